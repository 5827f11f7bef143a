"""Models of MONAI: bundles of its Model Zoo, and zips of Auto3DSeg."""
