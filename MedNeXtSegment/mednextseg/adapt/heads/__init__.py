"""Training of whole-head models on real heads and on synthetic ones drawn from label maps."""
