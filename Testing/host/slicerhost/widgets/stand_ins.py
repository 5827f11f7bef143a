"""Publishes the stand-in widgets as ctk.* and slicer.*, as Slicer does with the real ones."""

import sys
import types

import slicer

from .. import segment_editor
from .ui_classes import CTK_WIDGETS, SLICER_WIDGETS
from .ui_loader import UiLoader


def install() -> None:
    """Publish `ctk`, the Slicer widgets, the .ui loader and what Segment Editor effects build on."""
    ctk = types.ModuleType("ctk", __doc__)
    for widget_class in CTK_WIDGETS:
        setattr(ctk, widget_class.__name__, widget_class)
    sys.modules["ctk"] = ctk
    for widget_class in SLICER_WIDGETS:
        setattr(slicer, widget_class.__name__, widget_class)
    sys.modules["qt"].QUiLoader = UiLoader
    segment_editor.install()


def install_absent(names) -> None:
    """Publish classes that code may name in type checks and annotations, and that raise when instantiated."""

    def raise_absent(self, *_args, **_kwargs):
        raise NotImplementedError(f"The host has no stand-in for {type(self).__name__}.")

    for name in names:
        module = sys.modules["ctk"] if name.startswith("ctk") else slicer
        if not hasattr(module, name):
            setattr(module, name, type(name, (), {"__init__": raise_absent}))
