"""The Slicer side of the worker: its process, its protocol's client, and runs that wait for it."""
