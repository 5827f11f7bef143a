"""Stand-in for slicer.parameterNodeWrapper: typed access to a parameter node.

Known types: MRML nodes, bool, int, float, str, pathlib.Path and enumerations, with the validators below. Any other raises.
What Slicer stores for a value is not imitated, only that it survives saving and loading the scene.
"""

import enum
import pathlib
import types
import typing

import slicer
import vtk

from .parameter_validators import Choice, Default
from .widgets import parameter_gui

_ZERO = {bool: False, int: 0, float: 0.0, str: "", pathlib.Path: pathlib.Path()}
_NOT_GIVEN = object()


class Parameter:
    """One annotated name of a wrapped class: its type, default and validators."""

    def __init__(self, name: str, hint, default=_NOT_GIVEN):
        self.name = name
        self.hint = hint
        base, *annotations = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        is_union = typing.get_origin(base) in (typing.Union, types.UnionType)
        kinds = [kind for kind in typing.get_args(base) if kind is not type(None)] if is_union else [base]
        self.node_classes = [kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)]
        self.type = kinds[0]
        if not self.node_classes and (len(kinds) > 1 or not self._is_plain_type()):
            raise NotImplementedError(f"The host's parameterNodeWrapper does not know {hint} (parameter {name}).")
        self.validators = [annotation for annotation in annotations if hasattr(annotation, "validate")]
        self.default = self._default(default, annotations)

    @property
    def is_enum(self) -> bool:
        return isinstance(self.type, type) and issubclass(self.type, enum.Enum)

    def validator(self, kind):
        """The first validator of class `kind`, or None."""
        return next((validator for validator in self.validators if isinstance(validator, kind)), None)

    def is_in(self, node) -> bool:
        return bool(self.node_classes) or self.name in node.GetParameterNames()

    def read(self, node):
        if self.node_classes:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.type is bool:
            return text == "True"
        return self.type[text] if self.is_enum else self.type(text)

    def write(self, node, value) -> None:
        if self.node_classes:
            if value is not None and not any(value.IsA(node_class) for node_class in self.node_classes):
                raise TypeError(f"Parameter {self.name} takes {self.node_classes}, not {value.GetClassName()}.")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        value = self._converted(value)
        for validator in self.validators:
            validator.validate(value)
        node.SetParameter(self.name, value.name if self.is_enum else repr(value) if self.type is float else str(value))

    def _is_plain_type(self) -> bool:
        return self.type in _ZERO or self.is_enum

    def _default(self, given, annotations):
        if given is not _NOT_GIVEN:
            return given
        annotated = [annotation.value for annotation in annotations if isinstance(annotation, Default)]
        if annotated:
            return annotated[0]
        if self.node_classes:
            return None
        choice = self.validator(Choice)
        if choice:
            return choice.choices[0]
        return next(iter(self.type)) if self.is_enum else _ZERO[self.type]

    def _converted(self, value):
        is_whole_number = isinstance(value, int) and not isinstance(value, bool)
        if self.type is float and is_whole_number:
            return float(value)
        if self.type is pathlib.Path and isinstance(value, str):
            return pathlib.Path(value)
        if not isinstance(value, self.type) or (self.type is int and not is_whole_number):
            raise TypeError(f"Parameter {self.name} takes {self.type.__name__}, not {type(value).__name__}.")
        return value


class ParameterNodeWrapper:
    """Base of every class that @parameterNodeWrapper makes."""

    allParameters: typing.ClassVar[dict[str, Parameter]] = {}

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connections = {}
        self._nextTag = 0
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def __setattr__(self, name, value):
        # A misspelled parameter would otherwise vanish silently.
        if not name.startswith("_") and name != "parameterNode" and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no parameter {name}.")
        super().__setattr__(name, value)

    def getValue(self, paramName):
        return self.allParameters[paramName].read(self.parameterNode)

    def setValue(self, paramName, value):
        self.allParameters[paramName].write(self.parameterNode, value)

    def default(self, paramName):
        return Default(self.allParameters[paramName].default)

    def connectGui(self, gui):
        """Connect every widget whose property SlicerParameterName names a parameter; returns the tag for disconnectGui."""
        return self.connectParametersToGui(parameter_gui.widgets_by_parameter_name(gui))

    def connectParametersToGui(self, mapping):
        unknown = [name for name in mapping if name not in self.allParameters]
        if unknown:
            raise ValueError(f"Cannot find a param with the given name: {unknown[0]}")
        connection = parameter_gui.GuiConnection(self, mapping)
        self._nextTag += 1
        self._connections[self._nextTag] = connection
        return self._nextTag

    def disconnectGui(self, tag):
        connection = self._connections.pop(tag, None)
        if connection:
            connection.close()

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying):
        return self.parameterNode.EndModify(wasModifying)

    def Modified(self):
        self.parameterNode.InvokeEvent(vtk.vtkCommand.ModifiedEvent)


def parameterNodeWrapper(classtype=None):
    """Class decorator: annotated names become properties kept in the parameter node. Works with and without brackets."""
    if classtype is None:
        return parameterNodeWrapper
    parameters = {
        name: Parameter(name, hint, vars(classtype).get(name, _NOT_GIVEN))
        for name, hint in typing.get_type_hints(classtype, include_extras=True).items()
    }

    def accessor(name):
        return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))

    members = {name: member for name, member in vars(classtype).items() if name not in ("__dict__", "__weakref__")}
    members.update({name: accessor(name) for name in parameters}, allParameters=parameters)
    return type(classtype.__name__, (ParameterNodeWrapper,), members)
