"""The worker process, in which networks run so that nothing they do can take Slicer down."""
