"""Pre-training on unlabeled volumes: masked voxels are guessed, and frequencies are what counts (FreMIM)."""
