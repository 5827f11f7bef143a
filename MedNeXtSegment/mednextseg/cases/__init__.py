"""What a case is on disk: its channels, folders of cases, and runs of a model over them."""
