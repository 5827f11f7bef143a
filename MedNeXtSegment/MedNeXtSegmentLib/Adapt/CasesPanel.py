"""Section "Cases": pairs of a volume and what was drawn on it, and which of the drawn segments the model knows."""

import slicer
from slicer.i18n import tr as _

from mednextseg.labels.names import canonical_name
from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.Adapt.SceneCases import sceneCases, setSceneCases
from MedNeXtSegmentLib.Widgets.Tables import asChoice, listRows

_HEIGHT_PX = 150


class CasesPanel:
    """Adds cases to those that the parameters keep, removes them, and lists them.

    Args:
        ui: widgets of Adapt.ui.
    """

    def __init__(self, ui) -> None:
        self._ui, self._parameterNode = ui, None
        asChoice(ui.casesTable, [_("Volume"), _("Segmentation"), _("Labels")], _HEIGHT_PX)
        ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda *_args: self._onSegmentationChosen())
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda *_args: self._updateButtons())
        ui.casesTable.itemSelectionChanged.connect(lambda *_args: self._updateButtons())
        ui.addCaseButton.clicked.connect(lambda *_args: self._add())
        ui.removeCaseButton.clicked.connect(lambda *_args: self._remove())

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none."""
        self._parameterNode = parameterNode

    @property
    def cases(self) -> list[tuple]:
        """(volume node, segmentation node) of each case."""
        return [] if self._parameterNode is None else sceneCases(self._parameterNode)

    def update(self, card: ModelCard | None) -> None:
        """List the cases.

        Args:
            card: of the model that learns them; None for none.
        """
        rows = [(volume.GetName(), drawn.GetName(), labelsText(drawn, card)) for volume, drawn in self.cases]
        listRows(self._ui.casesTable, rows, _HEIGHT_PX)
        self._updateButtons()

    def _onSegmentationChosen(self) -> None:
        """The volume that it was drawn on is most likely meant."""
        node = self._ui.segmentationSelector.currentNode()
        if node is not None:
            source = node.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())
            if source is not None:
                self._ui.volumeSelector.setCurrentNode(source)
        self._updateButtons()

    def _chosenPair(self) -> tuple:
        return self._ui.volumeSelector.currentNode(), self._ui.segmentationSelector.currentNode()

    def _add(self) -> None:
        setSceneCases(self._parameterNode, [*self.cases, self._chosenPair()])

    def _remove(self) -> None:
        row = self._ui.casesTable.currentRow()
        setSceneCases(self._parameterNode, [case for n, case in enumerate(self.cases) if n != row])

    def _updateButtons(self) -> None:
        problem = self._whyNotAdded()
        self._ui.addCaseButton.enabled = not problem
        self._ui.addCaseButton.setToolTip(problem or _("Let the model learn this segmentation of this volume."))
        self._ui.removeCaseButton.enabled = bool(self.cases) and bool(self._ui.casesTable.selectedItems())

    def _whyNotAdded(self) -> str:
        pair = self._chosenPair()
        if self._parameterNode is None or None in pair:
            return _("Choose a volume and its segmentation.")
        if any(pair[0] is volumeNode for volumeNode, _segmentation in self.cases):
            return _("This volume is in the list already.")
        return ""


def labelsText(segmentationNode, card: ModelCard | None) -> str:
    """The names of the segments, those that the model does not have marked as new."""
    segmentation = segmentationNode.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    known = None if card is None else {canonical_name(label.name) for label in card.labels}
    isNew = [known is not None and canonical_name(name) not in known for name in names]
    texts = [_("{name} (new)").format(name=name) if new else name for name, new in zip(names, isNew, strict=True)]
    return ", ".join(texts) or _("(no segments)")
