"""The middle of an automatic run: the sliding window, its plan, its memory and its sum."""
