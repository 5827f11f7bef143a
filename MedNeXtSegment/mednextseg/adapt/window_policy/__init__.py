"""Training of window policies: what a cheaper look at each window would have cost, and a network that foresees it."""
