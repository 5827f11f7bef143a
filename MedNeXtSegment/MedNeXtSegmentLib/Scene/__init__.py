"""The only place where nodes of the scene meet arrays: volumes, segmentations, regions, edits and their history."""
