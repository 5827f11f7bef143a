"""A simulated mouse: the same calls for a rendered view (through its interactor) and for a Qt widget."""

BUTTONS = ("Left", "Middle", "Right")


class Mouse:
    """Base of the two mice. Positions are (x, y) in the pixels of the target; buttons are "Left", "Middle", "Right".

    ctrl and shift are the keys held down during the event.
    """

    def move(self, x: float, y: float, ctrl: bool = False, shift: bool = False) -> None:
        raise NotImplementedError

    def press(self, x: float, y: float, button: str = "Left", ctrl: bool = False, shift: bool = False) -> None:
        raise NotImplementedError

    def release(self, x: float, y: float, button: str = "Left", ctrl: bool = False, shift: bool = False) -> None:
        raise NotImplementedError

    def wheel(self, x: float, y: float, steps: int, ctrl: bool = False, shift: bool = False) -> None:
        """Turn the wheel: positive steps away from the user, negative towards them."""
        raise NotImplementedError

    def click(self, x: float, y: float, button: str = "Left", ctrl: bool = False, shift: bool = False) -> None:
        """Move there, press and release."""
        self.move(x, y, ctrl, shift)
        self.press(x, y, button, ctrl, shift)
        self.release(x, y, button, ctrl, shift)

    def drag(self, start, end, button: str = "Left", steps: int = 8, ctrl: bool = False, shift: bool = False) -> None:
        """Press at start (x, y), move to end (x, y) in so many steps, release there."""
        self.move(*start, ctrl, shift)
        self.press(*start, button, ctrl, shift)
        for step in range(1, steps + 1):
            part = step / steps
            self.move(
                start[0] + part * (end[0] - start[0]),
                start[1] + part * (end[1] - start[1]),
                ctrl,
                shift,
            )
        self.release(*end, button, ctrl, shift)


class ViewMouse(Mouse):
    """The mouse of a rendered view: goes through the VTK interactor as a Qt event would. Origin bottom left."""

    def __init__(self, interactor):
        self._interactor = interactor

    def move(self, x, y, ctrl=False, shift=False):
        self._send("MouseMoveEvent", x, y, ctrl, shift)

    def press(self, x, y, button="Left", ctrl=False, shift=False):
        self._send(f"{button}ButtonPressEvent", x, y, ctrl, shift)

    def release(self, x, y, button="Left", ctrl=False, shift=False):
        self._send(f"{button}ButtonReleaseEvent", x, y, ctrl, shift)

    def wheel(self, x, y, steps, ctrl=False, shift=False):
        for _ in range(abs(steps)):
            self._send("MouseWheelForwardEvent" if steps > 0 else "MouseWheelBackwardEvent", x, y, ctrl, shift)

    def double_click(self, x, y):
        """Two quick clicks at one place, as Qt and VTK's adapter report them: the second press is no press but a double click."""
        self.click(x, y)
        self._interactor.SetEventInformation(round(x), round(y), 0, 0, chr(0), 1, None)
        self._interactor.InvokeEvent("LeftButtonDoubleClickEvent")
        self.release(x, y)

    def press_key(self, symbol):
        """Press and release a key (a VTK key symbol such as "b" or "Left") over the view."""
        self._interactor.SetKeyEventInformation(0, 0, symbol if len(symbol) == 1 else chr(0), 0, symbol)
        for event_name in ("KeyPressEvent", "CharEvent", "KeyReleaseEvent"):
            getattr(self._interactor, event_name)()

    def enter(self, x, y):
        self._send("EnterEvent", x, y, False, False)

    def leave(self, x, y):
        self._send("LeaveEvent", x, y, False, False)

    def _send(self, event_name, x, y, ctrl, shift):
        self._interactor.SetEventInformation(round(x), round(y), int(ctrl), int(shift), chr(0), 0, None)
        getattr(self._interactor, event_name)()
