"""k-shot curves: every method on one, two, five, ... cases, measured on the same held-out ones, accuracy beside cost."""
