"""Segmentations against references, models against each other, and the slices to review."""
