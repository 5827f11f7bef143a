"""Networks that people already have -> model packages.

One file for each layout; every importer reads the architecture from the tensors' shapes and everything around the network from the
files beside it, and refuses what the engine could not do exactly as the program that trained it.
"""

from mednextseg.models.importers.import_model import import_model
from mednextseg.models.importers.package import ImportedModel

__all__ = ["ImportedModel", "import_model"]
