"""Half 1: what should my classifier see next?"""
