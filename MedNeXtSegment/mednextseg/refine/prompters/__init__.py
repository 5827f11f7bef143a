"""The networks and methods that turn prompts on a slice into a mask."""
