"""A `qt` module with the manners of PythonQt, made of PySide6.

PythonQt, as Slicer uses it, differs from PySide6 where module code meets it all the time:
  1. a Q_PROPERTY is an attribute (button.text, checkBox.checked = True) and wins over a method of the same name;
  2. obj.connect("clicked(bool)", f) and obj.disconnect(...) exist;
  3. one flat module `qt` holds QtCore, QtGui, QtWidgets and QtUiTools;
  4. what PythonQt does not wrap is absent (QColor.getRgb);
  5. an unknown attribute is an error, where PySide6 silently keeps a Python attribute (see stray_attributes).
PySide6's classes are patched in place: objects made by QUiLoader obey too, and type(w) == qt.QPushButton stays true.
"""

import enum
import sys
import types

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_PYTHON_TYPES = {"bool": bool, "int": int, "double": float, "QString": str}


def install() -> types.ModuleType:
    """Publish `qt` in sys.modules and patch PySide6's classes; idempotent."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    qt = types.ModuleType("qt", __doc__)
    for source in (QtCore, QtGui, QtWidgets, QtUiTools):
        for name in dir(source):
            if not name.startswith("_"):
                setattr(qt, name, getattr(source, name))
    for name, member in list(vars(qt).items()):
        if isinstance(member, type) and issubclass(member, QtCore.QObject) and member.__name__ == name:
            _patch_properties(member)
    _patch_connect()
    QtGui.QColor.getRgb = property(_absent)
    # Slicer's PythonQt offers objectName as `name` too; slicer.util.childWidgetVariables relies on it.
    QtCore.QObject.name = property(lambda self: self.property("objectName"), lambda self, name: self.setObjectName(name))
    QtCore.QObject.delete = QtCore.QObject.deleteLater
    QtWidgets.QDialog.exec_ = QtWidgets.QDialog.exec
    sys.modules["qt"] = qt
    return qt


def stray_attributes(root: QtCore.QObject) -> dict[str, list[str]]:
    """Attributes that Python code set on Qt objects and that Qt does not know.

    `button.txet = "x"` raises in Slicer and passes silently in PySide6, so tests assert that this is empty.

    Args:
        root: the object to search, with all its children.

    Returns:
        {object name (or class name): sorted attribute names}.
    """
    found = {}
    for qt_object in [root, *root.findChildren(QtCore.QObject)]:
        unknown = [name for name in getattr(qt_object, "__dict__", ()) if not hasattr(type(qt_object), name)]
        if unknown and type(qt_object).__module__.startswith("PySide6"):
            found[qt_object.property("objectName") or type(qt_object).__name__] = sorted(unknown)
    return found


def _patch_properties(qt_class: type) -> None:
    meta_object = qt_class.staticMetaObject
    for index in range(meta_object.propertyOffset(), meta_object.propertyCount()):
        meta_property = meta_object.property(index)
        name = meta_property.name()
        is_static_timer = (qt_class.__name__, name) == ("QTimer", "singleShot")  # modules call the static function
        if is_static_timer or isinstance(vars(qt_class).get(name), (staticmethod, property, QtCore.Signal)):
            continue
        setattr(qt_class, name, _python_property(name, meta_property))


def _python_property(name: str, meta_property: QtCore.QMetaProperty) -> property:
    writable, is_enum_property = meta_property.isWritable(), meta_property.isEnumType()

    def read(self):
        value = self.property(name)
        return value.value if isinstance(value, enum.Enum) else value  # PythonQt gives enumerations as int

    def write(self, value):
        if is_enum_property and isinstance(value, enum.Enum):
            value = value.value  # QObject.setProperty wants the number
        if not writable or not self.setProperty(name, value):
            raise ValueError(f"Property '{name}' of type '{type(self).__name__}' does not accept {value!r}.")

    return property(read, write, doc=f"Q_PROPERTY {name} ({meta_property.typeName()})")


def _signal(qt_object: QtCore.QObject, signature: str):
    """The bound PySide6 signal for a PythonQt signature such as "clicked(bool)"."""
    name, _, arguments = signature.rstrip(")").partition("(")
    signal = getattr(qt_object, name, None)
    if signal is None or not hasattr(signal, "connect"):
        raise ValueError(f"{type(qt_object).__name__} has no signal {signature}.")
    argument_types = [_PYTHON_TYPES.get(argument.strip()) for argument in arguments.split(",") if argument.strip()]
    if argument_types and None not in argument_types and hasattr(signal, "__getitem__"):
        try:
            return signal[tuple(argument_types)]
        except (KeyError, IndexError, TypeError):  # not overloaded: the signal itself is the one meant
            return signal
    return signal


def _absent(_object):
    raise AttributeError("PythonQt does not wrap this method.")


def _patch_connect() -> None:
    # PySide6 resolves "connect" inside QObject's own attribute lookup: the class dictionary is not enough.
    original_lookup = QtCore.QObject.__getattribute__

    def connecting_method(method_name):
        def connecting(self, *args):
            if len(args) == 2 and isinstance(args[0], str):
                getattr(_signal(self, args[0]), method_name)(args[1])
                return True
            return original_lookup(self, method_name)(*args)  # PySide6's own, which Signal.connect uses too

        return connecting

    patched = {method_name: connecting_method(method_name) for method_name in ("connect", "disconnect")}

    def lookup(self, name):
        if name in patched:
            return types.MethodType(patched[name], self)
        return original_lookup(self, name)

    QtCore.QObject.__getattribute__ = lookup
