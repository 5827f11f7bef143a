"""Stand-ins for a scripted Segment Editor effect and for the editor around it.

Undo, masking and the parameter node are real (vtkSlicerSegmentEditorLogic, vtkMRMLSegmentEditorNode), and so are the events of the
view; what Slicer's editor widget does with them is imitated: it is Qt and not in slicer-core.
"""

# ruff: noqa: N801 - the names of the real classes

import importlib.util
import sys
import types
from pathlib import Path

import slicer
import vtk
from PySide6 import QtWidgets

_EVENTS = ("LeftButtonPressEvent", "LeftButtonReleaseEvent", "LeftButtonDoubleClickEvent", "MouseMoveEvent")
# The keys that the editor's widget takes on the main window, as Slicer's qMRMLSegmentEditorWidget::installKeyboardShortcuts has them.
SHORTCUT_KEYS = (
    *"1234567890",
    *"ZYQWI",
    *"/*,.<>",
    "Esc",
    "Space",
    "Ctrl+Z",
    "Ctrl+Y",
    *(f"Shift+{digit}" for digit in range(10)),
)
_BEFORE_THE_VIEW = 1.0  # priority of the editor's observers


class qSlicerSegmentEditorScriptedEffect:
    """Only the members listed here; a property that the real one lacks raises."""

    __slots__ = ("_frame", "_python", "_source", "editor", "name", "perSegment", "requireSegments", "title")

    def __init__(self, _parent=None):
        self.name = self.title = self._source = ""
        self.perSegment = self.requireSegments = True
        self.editor = self._python = None
        self._frame = QtWidgets.QFrame()
        QtWidgets.QFormLayout(self._frame)

    def setPythonSource(self, path: str) -> bool:
        """As Slicer: the folder's name is the module, the file's name the class."""
        name = Path(path).stem
        spec = importlib.util.spec_from_file_location(f"{Path(path).parent.name}.{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._python, self._source = getattr(module, name)(self), path
        return True

    def self(self):
        return self._python

    def parameterSetNode(self):
        return None if self.editor is None else self.editor.node

    def optionsFrame(self):
        return self._frame

    def addOptionsWidget(self, widget) -> None:
        self._frame.layout().addRow(widget)

    def saveStateForUndo(self) -> None:
        self.editor.logic.SaveStateForUndo()

    def confirmCurrentSegmentVisible(self) -> int:
        """Without a dialog: 1 (confirmed) where the segment is shown, else 0."""
        display = self.editor.node.GetSegmentationNode().GetDisplayNode()
        return int(display.GetSegmentVisibility(self.editor.node.GetSelectedSegmentID()))

    @staticmethod
    def viewNode(view):
        return view.node


class AbstractScriptedSegmentEditorEffect:
    """Base of scripted effects, as `SegmentEditorEffects` has it."""

    def __init__(self, scriptedEffect):
        self.scriptedEffect = scriptedEffect

    def register(self):
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)


class qSlicerSegmentEditorEffectFactory:
    """The one list of effects."""

    _instance = None

    def __init__(self):
        self.registered = []

    @classmethod
    def instance(cls):
        cls._instance = cls._instance or cls()
        return cls._instance

    def registerEffect(self, effect) -> bool:
        self.registered.append(effect)
        return True


class SegmentEditor:
    """An editor with one effect: a clone of a registered one, as Slicer's.

    Args:
        effect: the registered one.
        volume_node, segmentation_node, segment_id: what is edited.

    Attributes:
        node: vtkMRMLSegmentEditorNode. logic: vtkSlicerSegmentEditorLogic, with the editor's undo.
        effect: the clone's Python object.
    """

    def __init__(self, effect, volume_node, segmentation_node, segment_id: str):
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetAndObserveSegmentationNode(segmentation_node)
        self.node.SetAndObserveSourceVolumeNode(volume_node)
        self.node.SetSelectedSegmentID(segment_id)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetMaximumNumberOfUndoStates(10)
        clone = effect.self().clone()
        clone.editor = self
        self.effect = clone.self()
        self.effect.setupOptionsFrame()
        self._observers = []

    def watch(self, view) -> None:
        """Give the active effect the events of a view first."""
        for name in _EVENTS:
            tag = view.interactor.AddObserver(name, lambda caller, event: self._on_event(view, event), _BEFORE_THE_VIEW)
            self._observers.append((view.interactor, tag))

    def select_segment(self, segment_id: str) -> None:
        """As by a click in the editor's table."""
        self.node.SetSelectedSegmentID(segment_id)
        self.effect.updateGUIFromMRML()

    def close(self) -> None:
        """Let go of the views and of the scene."""
        for interactor, tag in self._observers:
            interactor.RemoveObserver(tag)
        self.effect.cleanup()
        self.logic.SetSegmentEditorNode(None)
        self.effect.scriptedEffect.optionsFrame().deleteLater()

    def _on_event(self, view, event: str) -> None:
        number = vtk.vtkCommand.GetEventIdFromString(event)
        if self.effect.processInteractionEvents(view.interactor, number, view):
            for interactor, tag in self._observers:
                if interactor is view.interactor:
                    interactor.GetCommand(tag).AbortFlagOn()


def install() -> None:
    """Publish the modules that Slicer offers to effects."""
    for name, members in {
        "qSlicerSegmentationsEditorEffectsPythonQt": (qSlicerSegmentEditorScriptedEffect,),
        "SegmentEditorEffects": (AbstractScriptedSegmentEditorEffect,),
    }.items():
        module = types.ModuleType(name, __doc__)
        for member in members:
            setattr(module, member.__name__, member)
        sys.modules[name] = module
    slicer.qSlicerSegmentEditorEffectFactory = qSlicerSegmentEditorEffectFactory
