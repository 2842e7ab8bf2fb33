"""Torch modules and tensor functions: no training, no files but weights."""
