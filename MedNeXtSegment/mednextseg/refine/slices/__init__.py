"""Slices of any orientation: the plane, sampling a volume on it, and a session of prompts."""
