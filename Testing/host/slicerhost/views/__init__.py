"""Rendered views, the mouse over them, and pictures of them."""
