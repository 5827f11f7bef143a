"""The tools that are used with the mouse in slice views: which one is chosen, and what a click or a stroke with it does."""

from collections.abc import Callable
from functools import partial

import numpy as np
import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Refine.ClickMarks import ClickMarks
from MedNeXtSegmentLib.Refine.ClickSources import ClickSource
from MedNeXtSegmentLib.Refine.ToolHints import SECOND_CORNER, toolHints

_CLICKED = ("pointPlusButton", "pointMinusButton", "boxButton", "eraseButton", "autoPromptButton")
_DRAWN = {  # button -> whether it is positive, whether it is a lasso
    "scribblePlusButton": (True, False),
    "scribbleMinusButton": (False, False),
    "lassoPlusButton": (True, True),
    "lassoMinusButton": (False, True),
}
MOUSE_TOOLS = (*_CLICKED, *_DRAWN)


class MouseTools:
    """At most one tool is chosen; its button is down, and the mouse in slice views is its.

    Args:
        ui: of RefineTools.ui.
        clicks: where clicks and strokes come from.
        marks: shows what is being drawn.
        act: does something in a RefineSession, which it starts where there is none.
        prompt: the same for what a click or a stroke says.
        say: shows one sentence.
        whyNot: says in one sentence why nothing can be edited now; empty where it can.
        update: shows what there is.

    Attributes:
        name: of the chosen tool's button; empty for none.
        corner: (3,) world RAS mm, the first corner of a box, or None.
    """

    def __init__(
        self,
        ui,
        clicks: ClickSource,
        marks: ClickMarks,
        act: Callable[[Callable], None],
        prompt: Callable[[Callable], None],
        say: Callable[[str], None],
        whyNot: Callable[[], str],
        update: Callable[[], None],
    ) -> None:
        self._ui, self._clicks, self._marks = ui, clicks, marks
        self._act, self._prompt = act, prompt
        self._say, self._whyNot, self._update = say, whyNot, update
        self.name = ""
        self.corner: np.ndarray | None = None
        for name in MOUSE_TOOLS:
            getattr(ui, name).toggled.connect(lambda checked, name=name: self._onTool(name, checked))

    def hint(self) -> str:
        """What to do next with the chosen tool."""
        return toolHints()[SECOND_CORNER if self.corner is not None else self.name]

    def beginObject(self) -> None:
        """Another segment comes: whatever tool was chosen, the first click says where the object is."""
        if self.name:
            self._ui.pointPlusButton.checked = True

    def stop(self) -> None:
        """Back to moving the views."""
        if not self.name:
            return
        name, self.name, self.corner = self.name, "", None
        self._clicks.stop()
        self._marks.showDrawn(None)
        getattr(self._ui, name).checked = False
        if self._ui.refineStatusLabel.text in toolHints().values():
            self._say("")

    def _onTool(self, name: str, isChecked: bool) -> None:
        if not isChecked:
            if self.name == name:
                self.stop()
            return
        self.stop()
        self.name = name
        getattr(self._ui, name).checked = True
        self._marks.makeNodes()
        if name in _DRAWN:
            self._clicks.draw(partial(self._onMoved, name), partial(self._onDrawn, name), self.stop)
        else:
            self._clicks.start(name != "pointMinusButton", partial(self._onClick, name), self.stop)
        self._say(self.hint())
        # So that the first click need not wait for the network.
        qt.QTimer.singleShot(0, lambda: self._act(lambda session: None) if self.name == name else None)

    def _onMoved(self, tool: str, pointsRAS: np.ndarray) -> None:
        self._marks.showDrawn((pointsRAS, *_DRAWN[tool]))

    def _onDrawn(self, tool: str, pointsRAS: np.ndarray, view) -> None:
        isPositive, isLasso = _DRAWN[tool]
        whyNot = self._whyNot()
        if whyNot:
            self._say(whyNot)
        elif isLasso:
            self._prompt(lambda session: session.addLasso(pointsRAS, isPositive, view))
        else:
            self._prompt(lambda session: session.addScribble(pointsRAS, isPositive, view))
        self._marks.showDrawn(None)

    def _onClick(self, tool: str, pointRAS: np.ndarray, view) -> None:
        whyNot = self._whyNot()
        if view is None:
            self._say(_("Click in a slice view, not in the 3D view."))
        elif whyNot:
            self._say(whyNot)
        elif tool == "eraseButton":
            self._act(lambda session: session.erasePrompt(pointRAS, view))
        elif tool == "autoPromptButton":
            self._prompt(lambda session: session.promptFromSegment(pointRAS, view))
        elif tool != "boxButton":
            self._prompt(lambda session: session.addPoint(pointRAS, tool == "pointPlusButton", view))
        elif self.corner is None:
            self.corner = pointRAS
            self._say(self.hint())
            self._update()
        else:
            corners, self.corner = np.stack([self.corner, pointRAS]), None
            self._prompt(lambda session: session.addBox(corners, view))
