"""Desiderata: which data does my model need next?"""

__version__ = "0.1.0"
