"""The fast path of the networks on a processor."""
