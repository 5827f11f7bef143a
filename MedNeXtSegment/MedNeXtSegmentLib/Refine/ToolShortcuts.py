"""The keys of the refinement tools."""

import qt
import slicer
from slicer.i18n import tr as _

# The name of a button in RefineTools.ui -> its key. P, S and L are those of nnInteractive; the key beside S and L takes away.
# None is a key of Slicer's slice views (arrows, b, f, g, r, t, v, brackets), and none but those of undo and redo is one of the
# Segment Editor's (digits, Escape, space, i, q, w, y, z, punctuation): two shortcuts for one key block each other, so the
# effect leaves undo and redo to the editor. No letter is left for the two tools that make prompts from a segment.
KEYS = {
    "pointPlusButton": "P",
    "pointMinusButton": "N",
    "scribblePlusButton": "S",
    "scribbleMinusButton": "D",
    "lassoPlusButton": "L",
    "lassoMinusButton": "K",
    "boxButton": "C",
    "eraseButton": "X",
    "wholeObjectButton": "O",
    "doubtfulButton": "U",
    "propagateButton": "M",
    "fillBetweenButton": "J",
    "snapButton": "H",
    "acceptButton": "A",
    "nextSegmentButton": "E",
    "undoButton": "Z",
    "redoButton": "Y",
}


def toolShortcuts(ui, keyless: tuple[str, ...]) -> list:
    """A QShortcut for each button but those named; the button's text and tooltip say so."""
    return [_shortcut(getattr(ui, name), key) for name, key in KEYS.items() if name not in keyless]


def _shortcut(button, key: str):
    """The key must work while the mouse is in a view, so it belongs to the window."""
    button.setText(f"{button.text} ({key})")
    button.setToolTip(f"{button.toolTip} " + _("Key: {key}.").format(key=key))
    shortcut = qt.QShortcut(slicer.util.mainWindow() or button)
    shortcut.setKey(qt.QKeySequence(key))
    shortcut.setContext(qt.Qt.ApplicationShortcut)
    shortcut.activated.connect(lambda *_args: button.click())
    return shortcut
