"""Observers of VTK objects that end when their widget goes, as those of CTK's VTK mixin do."""

import weakref

import shiboken6

# Python's garbage collector counts an observer that only VTK holds as lost, and takes its attributes while VTK still calls it.
_OBSERVING: "set[WidgetObservation]" = set()


class WidgetObservation:
    """Calls a widget's method on events of one VTK object, as long as the widget exists.

    Args:
        widget: the stand-in widget; only weakly held.
        vtk_object: what is observed.
        events: VTK event ids.
        method_name: method of the widget to call, without arguments.
    """

    def __init__(self, widget, vtk_object, events, method_name: str):
        self._widget = weakref.ref(widget)
        self._vtk_object = vtk_object
        self._method_name = method_name
        self._tags = [vtk_object.AddObserver(event, self._on_event) for event in events]
        _OBSERVING.add(self)

    def stop(self) -> None:
        for tag in self._tags:
            self._vtk_object.RemoveObserver(tag)
        self._tags = []
        _OBSERVING.discard(self)

    def _on_event(self, *_) -> None:
        widget = self._widget()
        if widget is not None and shiboken6.isValid(widget):
            getattr(widget, self._method_name)()
        else:
            self.stop()
