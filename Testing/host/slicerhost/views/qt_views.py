"""A Qt widget that shows a rendered view: VTK renders off-screen, Qt paints the pixels and passes the mouse on.

Works with QT_QPA_PLATFORM=offscreen, under a virtual X server and on a desktop alike, since Qt and VTK share no window.
"""

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .view import View

_BUTTONS = {
    QtCore.Qt.LeftButton: "Left",
    QtCore.Qt.MiddleButton: "Middle",
    QtCore.Qt.RightButton: "Right",
}
_RENDER_DELAY_MS = 15  # several requests for a picture become one


class ViewWidget(QtWidgets.QWidget):
    """Shows a SliceView or ThreeDView and follows its requests to be rendered.

    Attributes:
        view: the view.
    """

    def __init__(self, view: View, parent=None):
        super().__init__(parent)
        self.view = view
        self._image = None
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.StrongFocus)
        self.setMinimumSize(120, 120)
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_RENDER_DELAY_MS)
        self._timer.timeout.connect(self.render_now)
        self._observer_tag = view.group.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.request_render())

    def request_render(self) -> None:
        """Render soon, from the event loop."""
        if not self._timer.isActive():
            self._timer.start()

    def render_now(self) -> None:
        """Render and paint."""
        pixels = self.view.picture()
        height, width, channels = pixels.shape
        image = QtGui.QImage(pixels.data, width, height, channels * width, QtGui.QImage.Format_RGB888)
        self._image = image.copy()  # the pixels go, the picture stays
        self.update()

    def qt_position(self, x: float, y: float) -> QtCore.QPoint:
        """Position in this widget (origin top left) of a pixel of the view (origin bottom left)."""
        return QtCore.QPoint(round(x), self.property("height") - 1 - round(y))

    def close_view(self) -> None:
        """Stop rendering; to be called before view.close()."""
        self._timer.stop()
        self.view.group.RemoveObserver(self._observer_tag)

    def resizeEvent(self, event):
        self.view.resize(event.size().width(), event.size().height())
        self.request_render()

    def paintEvent(self, _event):
        painter = QtGui.QPainter(self)
        if self._image is None:
            painter.fillRect(self.property("rect"), QtCore.Qt.black)
        else:
            painter.drawImage(0, 0, self._image)

    def mousePressEvent(self, event):
        self.view.mouse.press(*self._view_position(event), _BUTTONS[event.button()], **_keys(event))

    def mouseReleaseEvent(self, event):
        self.view.mouse.release(*self._view_position(event), _BUTTONS[event.button()], **_keys(event))

    def mouseMoveEvent(self, event):
        self.view.mouse.move(*self._view_position(event), **_keys(event))

    def wheelEvent(self, event):
        self.view.mouse.wheel(*self._view_position(event), 1 if event.angleDelta().y() > 0 else -1, **_keys(event))

    def enterEvent(self, event):
        self.view.mouse.enter(*self._view_position(event))

    def leaveEvent(self, _event):
        self.view.interactor.LeaveEvent()

    def _view_position(self, event) -> tuple[float, float]:
        position = event.position()
        return position.x(), self.property("height") - 1 - position.y()


def _keys(event) -> dict[str, bool]:
    modifiers = event.modifiers()
    return {
        "ctrl": bool(modifiers & QtCore.Qt.ControlModifier),
        "shift": bool(modifiers & QtCore.Qt.ShiftModifier),
    }
