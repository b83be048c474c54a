"""The formats of pictures that are taken in: for what looks for files, what reads them, and what is said of both.

An animation counts as its first frame. SVG is no picture here: it can hold scripts and links.
"""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""As Pillow calls them; nothing else is tried."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
"""File names that are taken for images when a folder is searched."""

ONE_OF = "JPEG, PNG, WebP, GIF or BMP"
ALL_OF = "JPEG, PNG, WebP, GIF and BMP"
"""The same in words."""
