"""Frozen pretrained models, by name."""
