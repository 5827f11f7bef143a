"""The effect that the module adds to Slicer's Segment Editor."""
