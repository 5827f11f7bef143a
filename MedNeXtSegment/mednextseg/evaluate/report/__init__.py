"""What an evaluation writes: pages, figures and tables."""
