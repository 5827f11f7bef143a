"""The registry of stand-in widgets: published as ctk.* and slicer.*, and made by the .ui loader. Any other name raises."""

import sys
import types

import slicer

from .ctk_widgets import ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget
from .markups_place_widget import qSlicerMarkupsPlaceWidget
from .module_widget import qSlicerScriptedLoadableModuleWidget
from .mrml_widgets import qMRMLNodeComboBox, qMRMLWidget, qSlicerWidget
from .segment_selector import qMRMLSegmentSelectorWidget

CTK_WIDGETS = (ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit)
SLICER_WIDGETS = (
    qMRMLWidget,
    qSlicerWidget,
    qMRMLNodeComboBox,
    qMRMLSegmentSelectorWidget,
    qSlicerMarkupsPlaceWidget,
    qSlicerScriptedLoadableModuleWidget,
)
# What a .ui may name: all but the panel's outer widget, which only the application makes.
UI_CLASSES = {
    widget_class.__name__: widget_class
    for widget_class in (*CTK_WIDGETS, *SLICER_WIDGETS)
    if widget_class is not qSlicerScriptedLoadableModuleWidget
}


def install() -> None:
    """Publish `ctk`, the Slicer widgets, the .ui loader and what Segment Editor effects build on."""
    from .. import segment_editor
    from .ui_loader import UiLoader

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
