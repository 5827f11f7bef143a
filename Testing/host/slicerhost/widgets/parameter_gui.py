"""Two-way connection between the parameters of a wrapper and the widgets of a panel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import vtk

from ..application import require_qt
from ..parameter_validators import Choice, Maximum, Minimum, WithinRange

PARAMETER_NAME_PROPERTY = "SlicerParameterName"  # dynamic property that the .ui gives to a widget


@dataclass
class _Connector:
    """How to read a widget, how to write it, and the signal it emits when the user changes it."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    changed: Any


def widgets_by_parameter_name(gui) -> dict:
    """Widgets that carry SlicerParameterName, in a widget tree or in the result of slicer.util.childWidgetVariables."""
    qt = require_qt("connectGui")
    widgets = gui.findChildren(qt.QWidget) if isinstance(gui, qt.QWidget) else vars(gui).values()
    named = [(widget.property(PARAMETER_NAME_PROPERTY), widget) for widget in widgets if isinstance(widget, qt.QWidget)]
    return {name: widget for name, widget in named if name}


def _node_connector(widget, parameter) -> _Connector:
    widget.nodeTypes = list(parameter.node_classes)
    return _Connector(widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged)


def _bool_connector(widget, _parameter) -> _Connector:
    widget.setCheckable(True)
    return _Connector(widget.isChecked, widget.setChecked, widget.toggled)


def _number_connector(widget, parameter) -> _Connector:
    limits = parameter.validator(WithinRange)
    lower, upper = limits or parameter.validator(Minimum), limits or parameter.validator(Maximum)
    if not limits and type(widget).__name__ in ("ctkSliderWidget", "QSlider"):
        raise RuntimeError(f"Parameter {parameter.name} needs WithinRange to be connected to a slider.")
    if lower:
        widget.setProperty("minimum", lower.minimum)
    if upper:
        widget.setProperty("maximum", upper.maximum)
    return _Connector(lambda: parameter.type(widget.property("value")), widget.setValue, widget.valueChanged)


def _choice_connector(widget, parameter) -> _Connector:
    choice = parameter.validator(Choice)
    if choice:
        values, texts = list(choice.choices), [str(value) for value in choice.choices]
    elif parameter.is_enum:
        values = list(parameter.type)
        texts = [value.label() if hasattr(value, "label") else value.name for value in values]
    else:
        raise _no_connector(widget, parameter)
    widget.clear()
    widget.addItems(texts)
    return _Connector(
        lambda: values[widget.property("currentIndex")],
        lambda value: widget.setCurrentIndex(values.index(value)),
        widget.currentIndexChanged,
    )


def _text_connector(widget, _parameter) -> _Connector:
    return _Connector(lambda: widget.property("text"), widget.setText, widget.textChanged)


def _path_connector(widget, parameter) -> _Connector:
    return _Connector(
        lambda: parameter.type(widget.property("currentPath")),
        lambda path: widget.setCurrentPath(str(path)),
        widget.currentPathChanged,
    )


def _no_connector(widget, parameter) -> RuntimeError:
    return RuntimeError(f"Unable to create GUI connector from {parameter.hint} to {type(widget).__name__}.")


def _connector(widget, parameter) -> _Connector:
    """Only pairs that Slicer's own wrapper accepts too."""
    name = type(widget).__name__
    kind = parameter.type.__name__
    if parameter.node_classes and name == "qMRMLNodeComboBox":
        return _node_connector(widget, parameter)
    if name == "QComboBox" and not parameter.node_classes:
        return _choice_connector(widget, parameter)
    makers = {
        "bool": ({"QCheckBox", "QPushButton"}, _bool_connector),
        "int": ({"QSpinBox", "QSlider", "ctkSliderWidget"}, _number_connector),
        "float": ({"QDoubleSpinBox", "ctkSliderWidget"}, _number_connector),
        "str": ({"QLineEdit"}, _text_connector),
        "Path": ({"ctkPathLineEdit"}, _path_connector),
    }
    widget_names, make = makers.get(kind, (set(), None))
    if name not in widget_names:
        raise _no_connector(widget, parameter)
    return make(widget, parameter)


class GuiConnection:
    """Keeps parameters and widgets equal until it is closed.

    Args:
        wrapper: the parameter node wrapper.
        mapping: {parameter name: widget}.
    """

    def __init__(self, wrapper, mapping: dict):
        self._wrapper = wrapper
        self._updating_widgets = False
        self._connections = []
        for name, widget in mapping.items():
            connector = _connector(widget, wrapper.allParameters[name])
            connector.write(wrapper.getValue(name))
            on_widget_changed = self._widget_handler(name, connector)
            connector.changed.connect(on_widget_changed)
            self._connections.append((name, connector, on_widget_changed))
        self._observer_tag = wrapper.AddObserver(vtk.vtkCommand.ModifiedEvent, self._update_widgets)

    def close(self) -> None:
        self._wrapper.RemoveObserver(self._observer_tag)
        for _name, connector, on_widget_changed in self._connections:
            connector.changed.disconnect(on_widget_changed)
        self._connections = []

    def _widget_handler(self, name, connector):
        def on_widget_changed(*_):
            if not self._updating_widgets:
                self._wrapper.setValue(name, connector.read())

        return on_widget_changed

    def _update_widgets(self, *_) -> None:
        if self._updating_widgets:
            return
        self._updating_widgets = True
        try:
            for name, connector, _handler in self._connections:
                connector.write(self._wrapper.getValue(name))
        finally:
            self._updating_widgets = False
