"""The Review section: where to look first, by how unsure the model was."""
