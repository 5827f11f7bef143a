"""Publishes slicer.i18n, slicer.ScriptedLoadableModule and slicer.parameterNodeWrapper, which slicer-core lacks.

The host brings its own. SLICERHOST_SLICER_PYTHON=<Slicer checkout>/Base/Python/slicer swaps in Slicer's own files, to check
that a module behaves the same on both; none of those files is part of this project.
"""

import importlib
import os
import sys
import types

import slicer

from . import i18n, parameter_node, parameter_validators, scripted_module

ENVIRONMENT_VARIABLE = "SLICERHOST_SLICER_PYTHON"

OWN_MODULES = {
    "i18n": (i18n.__doc__, (i18n.tr, i18n.translate)),
    "ScriptedLoadableModule": (
        scripted_module.__doc__,
        (
            scripted_module.ScriptedLoadableModule,
            scripted_module.ScriptedLoadableModuleWidget,
            scripted_module.ScriptedLoadableModuleLogic,
            scripted_module.ScriptedLoadableModuleTest,
        ),
    ),
    "parameterNodeWrapper": (
        parameter_node.__doc__,
        (
            parameter_node.parameterNodeWrapper,
            parameter_validators.Default,
            parameter_validators.WithinRange,
            parameter_validators.Minimum,
            parameter_validators.Maximum,
            parameter_validators.Choice,
        ),
    ),
}

# Widgets that Slicer's parameterNodeWrapper mentions in type checks; they exist as names and raise when instantiated.
WIDGETS_MENTIONED_BY_SLICER = (
    "ctkCheckBox",
    "ctkCheckablePushButton",
    "ctkColorPickerButton",
    "ctkComboBox",
    "ctkDirectoryButton",
    "ctkDoubleRangeSlider",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkRangeWidget",
    "qMRMLRangeWidget",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
)


def uses_slicers_own_files() -> bool:
    """True when the environment names Slicer's Base/Python/slicer; these files need Qt already at import."""
    return bool(os.environ.get(ENVIRONMENT_VARIABLE))


def publish() -> None:
    """Make the three modules importable as slicer.<name>."""
    if uses_slicers_own_files():
        slicer.__path__.append(os.environ[ENVIRONMENT_VARIABLE])
        for name in OWN_MODULES:
            setattr(slicer, name, importlib.import_module(f"slicer.{name}"))
        return
    for name, (doc, members) in OWN_MODULES.items():
        module = types.ModuleType(f"slicer.{name}", doc)
        for member in members:
            setattr(module, member.__name__, member)
        module.__all__ = [member.__name__ for member in members]
        sys.modules[module.__name__] = module
        setattr(slicer, name, module)
