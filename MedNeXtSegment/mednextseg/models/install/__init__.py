"""How a model gets into the library: download, zip, licenses, one step at a time."""
