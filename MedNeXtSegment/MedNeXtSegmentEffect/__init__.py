"""The effect that the module adds to Slicer's Segment Editor."""

# ruff: noqa: N999 - a folder of the Slicer side
