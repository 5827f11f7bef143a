"""Training of MedNeXt on labeled volumes."""
