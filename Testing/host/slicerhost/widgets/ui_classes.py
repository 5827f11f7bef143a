"""Which stand-in widgets there are: those of CTK, those of Slicer, and what a .ui may name. Any other name raises."""

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
