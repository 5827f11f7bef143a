"""Broken and random inputs for everything that reads: each gives the exact answer or one sentence, never a third thing."""
