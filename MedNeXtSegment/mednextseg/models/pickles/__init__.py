"""Checkpoints read without running what they contain."""
