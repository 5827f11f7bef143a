"""The networks on an Apple card."""
