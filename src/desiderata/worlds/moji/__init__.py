"""Scenes composed from OpenMoji artwork, with a grammar that writes their captions and reads them back."""
