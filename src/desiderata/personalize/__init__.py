"""Half 2: which of its own pictures should my generator learn from next?"""
