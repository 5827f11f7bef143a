"""Q_PROPERTYs for stand-in widgets."""

from PySide6 import QtCore


def stored_property(property_type, name: str, default, changed_signal: str | None = None) -> QtCore.Property:
    """A Q_PROPERTY whose value is kept on the Python side.

    Args:
        property_type: Python type or Qt type name.
        name: name of the property in the real widget.
        default: value of the real widget before anyone set it.
        changed_signal: name of the signal emitted with the new value when it changes.
    """
    key = f"_property_{name}"

    def read(self):
        return vars(self).get(key, default)

    def write(self, value):
        if read(self) == value:
            return
        vars(self)[key] = value
        if changed_signal:
            getattr(self, changed_signal).emit(value)

    return QtCore.Property(property_type, read, write)


def setter(name: str):
    """The set<Name>() method that goes with the property `name`."""

    def set_value(self, value):
        setattr(self, name, value)

    return set_value
