"""The Evaluate tab: a segmentation compared with a reference, label by label."""
