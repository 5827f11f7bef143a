"""Stand-ins for CTK's widgets: names of the real properties, signals and methods, nothing more."""

# ruff: noqa: N801 - the names of the real classes

from PySide6 import QtCore, QtGui, QtWidgets

from .stored_property import setter, stored_property

_TITLE_HEIGHT = 18  # pixels
_NO_LIMIT = 16777215  # Qt's QWIDGETSIZE_MAX


class ctkCollapsibleButton(QtWidgets.QWidget):
    contentsCollapsed = QtCore.Signal(bool)
    toggled = QtCore.Signal(bool)
    clicked = QtCore.Signal(bool)
    text = stored_property(str, "text", "")
    collapsed = stored_property(bool, "collapsed", False, "contentsCollapsed")
    collapsedHeight = stored_property(int, "collapsedHeight", 10)
    checked = QtCore.Property(bool, lambda self: not self.collapsed, lambda self, on: self.setChecked(on))

    def __init__(self, *args):
        parents = [argument for argument in args if isinstance(argument, QtWidgets.QWidget)]
        super().__init__(parents[0] if parents else None)
        for title in (argument for argument in args if isinstance(argument, str)):
            self.text = title
        self.setContentsMargins(0, _TITLE_HEIGHT, 0, 0)
        self.contentsCollapsed.connect(self._showContents)

    setText = setter("text")

    def setChecked(self, checked):
        self.collapsed = not checked

    def isChecked(self):
        return not self.collapsed

    def _showContents(self, collapsed):
        # As CTK's: folded, a section is its title and collapsedHeight; the margins of its layout take no room.
        self.setMaximumHeight(_TITLE_HEIGHT + self.collapsedHeight if collapsed else _NO_LIMIT)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not collapsed)
        self.toggled.emit(not collapsed)

    def childEvent(self, event):
        # A section that starts collapsed in the .ui gets its children later.
        if event.added() and self.collapsed and isinstance(event.child(), QtWidgets.QWidget):
            event.child().setVisible(False)

    def paintEvent(self, _event):
        painter = QtGui.QPainter(self)
        painter.fillRect(0, 0, self.property("width"), _TITLE_HEIGHT - 1, self.palette.window().color().darker(112))
        painter.drawText(6, 13, ("\u25b8 " if self.collapsed else "\u25be ") + self.text)

    def mousePressEvent(self, event):
        if event.position().y() < _TITLE_HEIGHT:
            self.collapsed = not self.collapsed
            self.clicked.emit(not self.collapsed)


def _spin_box_property(property_type, name: str) -> QtCore.Property:
    return QtCore.Property(
        property_type,
        lambda self: self._spinBox.property(name),
        lambda self, value: self._spinBox.setProperty(name, value),
    )


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = QtCore.Signal(float)
    value = _spin_box_property(float, "value")
    minimum = _spin_box_property(float, "minimum")
    maximum = _spin_box_property(float, "maximum")
    singleStep = _spin_box_property(float, "singleStep")
    decimals = _spin_box_property(int, "decimals")
    suffix = _spin_box_property(str, "suffix")
    prefix = _spin_box_property(str, "prefix")
    setValue = setter("value")
    pageStep = stored_property(float, "pageStep", 10.0)
    tracking = stored_property(bool, "tracking", True)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._spinBox = QtWidgets.QDoubleSpinBox(self)
        self._spinBox.setMaximum(99)  # the real widget's default range is 0 to 99
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setProperty("maximum", 1000)
        layout.addWidget(self._slider)
        layout.addWidget(self._spinBox)
        self._spinBox.valueChanged.connect(self._show)
        self._spinBox.valueChanged.connect(self.valueChanged)
        self._slider.sliderMoved.connect(self._follow)

    def _show(self, value):
        low, high = (self._spinBox.property(name) for name in ("minimum", "maximum"))
        self._slider.setProperty("value", round((value - low) / (high - low) * 1000) if high > low else 0)

    def _follow(self, position):
        low, high = (self._spinBox.property(name) for name in ("minimum", "maximum"))
        self._spinBox.setProperty("value", low + position / 1000 * (high - low))


class ctkPathLineEdit(QtWidgets.QWidget):
    Dirs, Drives, Files, Readable, Writable, Executable = 0x01, 0x04, 0x02, 0x10, 0x20, 0x40  # QDir::Filter
    currentPathChanged = QtCore.Signal(str)  # with every change of the text, but not with an emptied one
    validInputChanged = QtCore.Signal(bool)  # whether there is text
    filters = stored_property(int, "filters", 0)
    nameFilters = stored_property("QStringList", "nameFilters", ())
    settingKey = stored_property(str, "settingKey", "")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit(self)
        self._isValid = False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        self._line.textChanged.connect(self._onText)

    def setCurrentPath(self, path):
        self._line.setText(str(path))

    currentPath = QtCore.Property(str, lambda self: self._line.property("text"), setCurrentPath)

    def _onText(self, text):
        wasValid, self._isValid = self._isValid, bool(text)
        if self._isValid:
            self.currentPathChanged.emit(text)
        if self._isValid != wasValid:
            self.validInputChanged.emit(self._isValid)
