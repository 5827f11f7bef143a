"""Adapting an installed model to a few cases of one's own, and the gate that says whether it got better."""
