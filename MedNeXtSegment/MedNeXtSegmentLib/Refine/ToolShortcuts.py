"""The keys of the refinement tools."""

import qt
import slicer

# The name of a button in RefineTools.ui -> its key.
KEYS = {
    "pointPlusButton": "P",
    "pointMinusButton": "N",
    "boxButton": "B",
    "eraseButton": "X",
    "propagateButton": "G",
    "fillBetweenButton": "I",
    "acceptButton": "A",
    "nextSegmentButton": "E",
    "undoButton": "Z",
    "redoButton": "Y",
}


def toolShortcuts(ui, hidden: tuple[str, ...]) -> list:
    """A QShortcut for each button that is not hidden by its name; the button's text says so."""
    return [_shortcut(getattr(ui, name), key) for name, key in KEYS.items() if name not in hidden]


def _shortcut(button, key: str):
    """The key must work while the mouse is in a view, so it belongs to the window."""
    button.setText(f"{button.text} ({key})")
    shortcut = qt.QShortcut(slicer.util.mainWindow() or button)
    shortcut.setKey(qt.QKeySequence(key))
    shortcut.setContext(qt.Qt.ApplicationShortcut)
    shortcut.activated.connect(lambda *_args: button.click())
    return shortcut
