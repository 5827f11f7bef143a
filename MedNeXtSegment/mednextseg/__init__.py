"""MedNeXtSegment's engine: automatic and prompt-based segmentation of CT and MR volumes, without Slicer.

    from mednextseg import load_model, segment
    labelmap_kji, report = segment(volume_kji, geometry, load_model("hippocampus-mr"))

Nothing heavy is imported before it is used, so that Slicer's process can read model cards without torch.
"""

from importlib import import_module

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "segment":
        return import_module("mednextseg.segment")  # a package that can be called: see there
    if name == "load_model":
        return import_module("mednextseg.models.loaded_model").load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
