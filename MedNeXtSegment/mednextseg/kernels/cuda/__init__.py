"""The fast path of the networks on an NVIDIA card, in Triton."""
