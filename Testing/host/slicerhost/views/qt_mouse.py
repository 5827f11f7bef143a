"""The simulated mouse of a Qt widget: real Qt events, handled by the event loop."""

from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from .mouse import Mouse

_BUTTONS = {"Left": QtCore.Qt.LeftButton, "Middle": QtCore.Qt.MiddleButton, "Right": QtCore.Qt.RightButton}
_WHEEL_STEP = 120  # Qt counts in eighths of a degree; a step of a usual wheel is 15 degrees


class QtMouse(Mouse):
    """The mouse over one widget; the widget must be shown. Origin top left."""

    def __init__(self, widget: QtWidgets.QWidget):
        self._widget = widget
        self._pressed = QtCore.Qt.NoButton

    def move(self, x, y, ctrl=False, shift=False):
        # QTest.mouseMove carries neither buttons nor keys.
        self._send(QtCore.QEvent.MouseMove, QtCore.Qt.NoButton, self._pressed, x, y, ctrl, shift)

    def press(self, x, y, button="Left", ctrl=False, shift=False):
        self._pressed = _BUTTONS[button]
        self._send(QtCore.QEvent.MouseButtonPress, _BUTTONS[button], _BUTTONS[button], x, y, ctrl, shift)

    def release(self, x, y, button="Left", ctrl=False, shift=False):
        self._pressed = QtCore.Qt.NoButton
        self._send(QtCore.QEvent.MouseButtonRelease, _BUTTONS[button], QtCore.Qt.NoButton, x, y, ctrl, shift)

    def wheel(self, x, y, steps, ctrl=False, shift=False):
        position = QtCore.QPointF(x, y)
        for _ in range(abs(steps)):
            event = QtGui.QWheelEvent(
                position,
                QtCore.QPointF(self._widget.mapToGlobal(position)),
                QtCore.QPoint(0, 0),
                QtCore.QPoint(0, _WHEEL_STEP if steps > 0 else -_WHEEL_STEP),
                QtCore.Qt.NoButton,
                _modifiers(ctrl, shift),
                QtCore.Qt.NoScrollPhase,
                False,
            )
            QtWidgets.QApplication.sendEvent(self._widget, event)

    def _send(self, kind, button, buttons, x, y, ctrl, shift):
        position = QtCore.QPointF(x, y)
        event = QtGui.QMouseEvent(kind, position, self._widget.mapToGlobal(position), button, buttons, _modifiers(ctrl, shift))
        QtWidgets.QApplication.sendEvent(self._widget, event)


def click(widget: QtWidgets.QWidget, button: str = "Left") -> None:
    """Click on a widget through Qt's own test library: a disabled or hidden widget does not react."""
    # The middle of what the widget draws: a check box in a wide row reacts on its box and text only.
    size, size_hint = widget.property("size"), widget.property("sizeHint")
    drawn = size.boundedTo(size_hint) if size_hint.isValid() else size
    position = QtCore.QPoint(drawn.width() // 2, widget.property("height") // 2)
    QtTest.QTest.mouseClick(widget, _BUTTONS[button], QtCore.Qt.NoModifier, position)


def press_key(widget: QtWidgets.QWidget, key, ctrl: bool = False, shift: bool = False) -> None:
    """Press and release a key (qt.Qt.Key_... or a character) over a widget; shortcuts of its window react."""
    QtTest.QTest.keyClick(widget, key, _modifiers(ctrl, shift))


def _modifiers(ctrl: bool, shift: bool):
    modifiers = QtCore.Qt.NoModifier
    if ctrl:
        modifiers |= QtCore.Qt.ControlModifier
    if shift:
        modifiers |= QtCore.Qt.ShiftModifier
    return modifiers
