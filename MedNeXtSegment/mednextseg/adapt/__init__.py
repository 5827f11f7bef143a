"""Training networks on labeled cases, and measuring what the training gave."""
