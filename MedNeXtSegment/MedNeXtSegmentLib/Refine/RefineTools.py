"""The tools of a refinement: clicks, boxes and strokes in the slice views become edits of a segment. The module's Refine tab and the
Segment Editor effect show this same widget."""

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from mednextseg.errors import Cancelled
from MedNeXtSegmentLib.Refine.ClickMarks import ClickMarks
from MedNeXtSegmentLib.Refine.ClickSources import ClickSource
from MedNeXtSegmentLib.Refine.IdleSurfaces import IdleSurfaces
from MedNeXtSegmentLib.Refine.MouseTools import MOUSE_TOOLS, MouseTools
from MedNeXtSegmentLib.Refine.RefineLogic import RefineLogic
from MedNeXtSegmentLib.Refine.RefineTarget import RefineTarget
from MedNeXtSegmentLib.Refine.RefineTexts import answeredBy, previewText, progressText
from MedNeXtSegmentLib.Refine.SlicePlanes import directionNames
from MedNeXtSegmentLib.Refine.ToolShortcuts import KEYS, toolShortcuts
from MedNeXtSegmentLib.Scene.SegmentationObserver import SegmentationObserver
from MedNeXtSegmentLib.Scene.Segmentations import isShown
from MedNeXtSegmentLib.Scene.SliceViews import jumpSlicesTo

_IDLE_MS = 300  # without an action, before neighboring slices are encoded


class RefineTools:
    """Turns clicks and buttons into actions of a session, which it starts where there is none.

    Args:
        widget: loaded from RefineTools.ui.
        logic: of refinement; asked for when the first session starts.
        clicks: where clicks come from.
        target: says what is to be corrected.
        hidden: names of buttons that have no place here.
        keyless: names of buttons whose keys belong to somebody else here.
    """

    def __init__(
        self,
        widget,
        logic: Callable[[], RefineLogic],
        clicks: ClickSource,
        target: Callable[[], RefineTarget],
        hidden: tuple[str, ...] = (),
        keyless: tuple[str, ...] = (),
    ) -> None:
        self._logic, self._clicks, self._target = logic, clicks, target
        self.ui = slicer.util.childWidgetVariables(widget)
        self.session = None
        self.marks = ClickMarks()
        # Undo, redo and edits of the segment by somebody else are followed at once.
        events = slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SegmentRemoved
        self._observer = SegmentationObserver(events, self._onSegmentation)
        self._prompter: tuple = ()  # of the session
        self._checked = -1  # which slice to check was shown last
        self._isUpdating = self._isStarting = False
        self._shownMissing = ""
        self._waiting: list[Callable] = []
        self._surfaces = IdleSurfaces()
        self._idle = qt.QTimer()
        self._idle.setSingleShot(True)
        self._idle.setInterval(_IDLE_MS)
        self._idle.timeout.connect(self._onIdle)
        for name in hidden:
            getattr(self.ui, name).setVisible(False)
        self.shortcuts = toolShortcuts(self.ui, hidden + keyless)
        self._mouse = MouseTools(
            self.ui, clicks, self.marks, self._act, self._prompt, self._showStatus, self._whyNotNow, self.update
        )
        self.ui.propagateButton.clicked.connect(lambda *_args: self._carryOn(self._propagate))
        self.ui.wholeObjectButton.clicked.connect(lambda *_args: self._carryOn(lambda session: session.wholeObject()))
        self.ui.repairButton.clicked.connect(lambda *_args: self._repair())
        self.ui.doubtfulButton.clicked.connect(lambda *_args: self._goToSliceToCheck())
        actions = {
            self.ui.fillBetweenButton: lambda session: session.propagateBetween(),
            self.ui.acceptButton: lambda session: session.accept(),
            self.ui.snapButton: lambda session: session.snapToEdges(),
            self.ui.undoButton: lambda session: session.undo(),
            self.ui.redoButton: lambda session: session.redo(),
        }
        for button, action in actions.items():
            button.clicked.connect(lambda *_args, action=action: self._act(action))
        self.setActive(False)

    @property
    def isBusy(self) -> bool:
        """Whether the network is being loaded or something is being done."""
        return self._isStarting or (self.session is not None and self.session.isBusy)

    def setActive(self, isActive: bool) -> None:
        """Shortcuts and tools live only while the user is here."""
        for shortcut in self.shortcuts:
            shortcut.setEnabled(isActive)
        if isActive:
            self.update()
        else:
            self._mouse.stop()

    def close(self) -> None:
        """The tools go."""
        self.leave()
        for shortcut in self.shortcuts:
            shortcut.deleteLater()  # it belongs to the main window, which stays
        self.shortcuts = []

    def leave(self) -> None:
        """End the session and let go of the scene; the tools may be made active again."""
        self.setActive(False)
        self._idle.stop()
        self._surfaces.follow(None)
        self.endSession()
        self._observer.follow(None)
        self._clicks.close()
        self.marks.removeNodes()

    def beginObject(self) -> None:
        """Another segment comes: whatever tool was chosen, the first click says where the object is."""
        self._mouse.beginObject()

    def endSession(self) -> None:
        """What was done stays; prompts and preview go."""
        session, self.session = self.session, None
        self._mouse.corner = None
        if session is not None:
            self._logic().endSession(session)

    def say(self, notice: str) -> None:
        """Show one sentence until the next action; empty for none."""
        if notice:
            self._showStatus(notice)

    def update(self) -> None:
        """Show what there is, and enable what can be done."""
        if self._isUpdating:
            return
        self._isUpdating = True
        target = self._target()
        self._observer.follow(target.segmentationNode)
        session = self.session
        if session is not None and (session.isClosed or not target.isOf(session) or self._prompter != target.prompter):
            self.endSession()
            session = None
            self._showStatus(self._mouse.hint())
        self._enable(session, bool(target.missing))
        self.marks.show(session, self._mouse.corner)
        self._surfaces.follow(session)
        self._isUpdating = False
        self._idle.start()
        if session is not None and session.slicesDone is not None:
            self._showStatus(progressText(session))
        if target.missing:
            self._mouse.stop()
            self._showStatus(target.missing)
        elif self._shownMissing:
            self._showStatus(self._mouse.hint())
        self._shownMissing = target.missing

    def _enable(self, session, isMissing: bool) -> None:
        for name in MOUSE_TOOLS:
            getattr(self.ui, name).enabled = not isMissing
        self.ui.repairButton.enabled = not isMissing
        plane = None if session is None else session.activePlane
        isPropagating = session is not None and session.isPropagating
        for button in (self.ui.acceptButton, self.ui.fillBetweenButton, self.ui.snapButton):
            button.enabled = plane is not None and not isPropagating
        self.ui.eraseButton.enabled = plane is not None
        self.ui.propagateButton.enabled = self.ui.wholeObjectButton.enabled = plane is not None
        self.ui.doubtfulButton.enabled = plane is not None and not isPropagating and bool(session.previewSlices())
        self.ui.propagateButton.setText((_("Stop") if isPropagating else _("Propagate")) + f" ({KEYS['propagateButton']})")
        self.ui.undoButton.enabled = session is not None and session.canUndo
        self.ui.redoButton.enabled = session is not None and session.canRedo
        ahead, back = (_("ahead"), _("back")) if plane is None else directionNames(plane)
        self.ui.slicesAheadSpinBox.setSuffix(_(" slices {direction}").format(direction=ahead))
        self.ui.slicesBackSpinBox.setSuffix(_(" slices {direction}").format(direction=back))
        self.ui.refinePrompterLabel.setText("" if session is None else answeredBy(session.prompterInfo))

    def _onSegmentation(self) -> None:
        # Later: whoever changes the segment is still at work.
        qt.QTimer.singleShot(0, self._follow)

    def _follow(self) -> None:
        session = self.session
        if session is None or session.isBusy:
            return
        try:
            hasChanged = session.follow()
            self._showNotice()
        except (ValueError, RuntimeError) as error:
            self._showStatus(str(error))
            hasChanged = True
        if hasChanged:
            self.update()

    def _onIdle(self, *_args) -> None:
        try:
            if self.session is not None and self.session.prefetch():
                self._idle.start()
        except (RuntimeError, Cancelled):  # nobody asked for it: the next click says what is wrong
            return

    def _whyNotNow(self) -> str:
        """Why nothing can be edited, where the segment is hidden."""
        target = self._target()
        if target.missing or isShown(target.segmentationNode, target.segmentId):
            return ""
        return _("The segment is hidden, so nothing was changed; show it first.")

    def _carryOn(self, action: Callable) -> None:
        """Have a slice carried on to others; where that is being done, stop it."""
        if self.session is not None and self.session.isPropagating:
            self.session.cancel()
        else:
            self._act(action)

    def _repair(self) -> None:
        whyNot = self._whyNotNow()
        if whyNot:
            self._showStatus(whyNot)
        else:
            self.marks.makeNodes()  # no tool of the mouse need be chosen
            self._carryOn(lambda session: session.repairSlices())

    def _propagate(self, session) -> None:
        session.propagate(self.ui.slicesAheadSpinBox.value, self.ui.slicesBackSpinBox.value)

    def _prompt(self, action: Callable) -> None:
        """Do what a click or a stroke says, and carry it on where the user wants that each time."""
        isCarriedOn = self.ui.wholeObjectCheckBox.checked
        self._act(lambda session: (action(session), session.wholeObject()) if isCarriedOn else action(session))

    def _goToSliceToCheck(self) -> None:
        """Show the slice of the preview on which a correction helps most, or the next one after that."""
        slices = self.session.slicesToCheck()
        self._checked = (self._checked + 1) % len(slices)
        centerRAS, confidence = slices[self._checked]
        jumpSlicesTo(centerRAS)
        text = _("Slice {number} of {count} to check: confidence {confidence:.2f}. Correct it, then press Whole object again.")
        self._showStatus(text.format(number=self._checked + 1, count=len(slices), confidence=confidence))

    def _act(self, action: Callable) -> None:
        """Do something in the session of the target, started where there is none; errors become the status line."""
        self._waiting.append(action)
        if self._isStarting:  # it will be done when the network is there
            return
        try:
            if self.session is None:
                self._startSession()
            while self._waiting and self.session is not None:
                self._showStatus("")
                self._checked = -1
                self._waiting.pop(0)(self.session)
                self._showStatus(self._mouse.hint())
                self._showPreview()
                self._showNotice()
        except (ValueError, RuntimeError, Cancelled) as error:
            self._showStatus(str(error))
        finally:
            self._waiting.clear()
        self.update()

    def _startSession(self) -> None:
        target = self._target()
        self._isStarting, self._prompter = True, target.prompter
        self._showStatus(_("Loading the network..."))
        try:
            self.session = self._logic().startRefinement(
                target.volumeNode, target.segmentationNode, target.segmentId, onChanged=self.update, **dict(target.options)
            )
        except ValueError:
            if self._target() == target:
                raise
            self._showStatus(self._mouse.hint())  # it went while the network was loaded, and another one is chosen
        finally:
            self._isStarting = False

    def _showPreview(self) -> None:
        text = "" if self.session is None else previewText(self.session)
        if text:
            self._showStatus(text)

    def _showNotice(self) -> None:
        self.say("" if self.session is None else self.session.takeNotice())

    def _showStatus(self, text: str) -> None:
        self.ui.refineStatusLabel.setText(text)
