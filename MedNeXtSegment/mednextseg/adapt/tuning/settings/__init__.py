"""Auto-tune: nothing is trained; how the network is run and how its labels are cleaned is chosen on the user's cases."""
