"""How requests reach the worker."""
