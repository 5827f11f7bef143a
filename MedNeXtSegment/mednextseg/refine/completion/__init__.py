"""A network that completes an object in three dimensions from the slices that are known."""
