"""Section "More": volumes without labels, to pre-train on, and pairs of images without labels, in place of cases."""

from collections.abc import Callable

from slicer.i18n import tr as _

from MedNeXtSegmentLib.Adapt.SceneCases import scenePairs, setScenePairs
from MedNeXtSegmentLib.Widgets.Tables import asChoice, listRows

_HEIGHT_PX = 120


class MorePanel:
    """Says what a training learns beside or in place of the cases.

    Args:
        ui: widgets of Adapt.ui.
        chooseFolder: asks for a folder; empty for none.
    """

    def __init__(self, ui, chooseFolder: Callable[[], str]) -> None:
        self._ui, self._parameterNode = ui, None
        asChoice(ui.pairsTable, [_("As the model knows it"), _("New")], _HEIGHT_PX)
        for selector in (ui.knownSelector, ui.newSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda *_args: self._updateButtons())
        ui.pairsTable.itemSelectionChanged.connect(lambda *_args: self._updateButtons())
        ui.addPairButton.clicked.connect(lambda *_args: setScenePairs(self._parameterNode, [*self._pairs, self._chosenPair()]))
        ui.removePairButton.clicked.connect(lambda *_args: self._remove())
        for button, edit in ((ui.unlabeledButton, ui.unlabeledEdit), (ui.pairsButton, ui.pairsEdit)):
            button.clicked.connect(lambda *_args, edit=edit: edit.setText(chooseFolder() or edit.text))

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none."""
        self._parameterNode = parameterNode

    @property
    def pairs(self) -> str | list[tuple]:
        """The folder of pairs, or (known, new) volume node of each pair of the scene; empty for none."""
        if self._parameterNode is None:
            return []
        return self._parameterNode.adaptPairs.strip() or self._pairs

    def options(self) -> dict:
        """For the worker; the pairs themselves are not among them."""
        parameters = self._parameterNode
        if self.pairs:
            return {"registered": not parameters.adaptRegisterPairs}
        unlabeled = parameters.adaptUnlabeled.strip()
        return {"unlabeled": unlabeled, "pretraining_steps": parameters.adaptPretrainingSteps} if unlabeled else {}

    def missing(self, channels: int) -> str:
        """Why pairs cannot be learned from as they are, in one sentence; empty where they can, or where there are none.

        Args:
            channels: of the model that learns.
        """
        if self.pairs and self._parameterNode.adaptUnlabeled.strip():
            return _("Pre-training goes with cases; remove its folder, or the pairs of images.")
        if isinstance(self.pairs, list) and self.pairs:
            if channels > 1:
                text = _(
                    "This model needs {count} volumes of each image; choose a folder of pairs, where they lie side by side."
                )
                return text.format(count=channels)
            if len(self.pairs) < 2:
                return _("Add two pairs of images at the least, better five, or choose a folder of pairs.")
        return ""

    def update(self) -> None:
        """Show what the parameters say."""
        listRows(self._ui.pairsTable, [[node.GetName() for node in pair] for pair in self._pairs], _HEIGHT_PX)
        self._updateButtons()

    @property
    def _pairs(self) -> list[tuple]:
        return [] if self._parameterNode is None else scenePairs(self._parameterNode)

    def _chosenPair(self) -> tuple:
        return self._ui.knownSelector.currentNode(), self._ui.newSelector.currentNode()

    def _remove(self) -> None:
        row = self._ui.pairsTable.currentRow()
        setScenePairs(self._parameterNode, [pair for n, pair in enumerate(self._pairs) if n != row])

    def _updateButtons(self) -> None:
        problem = self._whyNotAdded()
        self._ui.addPairButton.enabled = not problem
        self._ui.addPairButton.setToolTip(problem or _("Let the model learn the new image from the one that it knows."))
        self._ui.removePairButton.enabled = bool(self._pairs) and bool(self._ui.pairsTable.selectedItems())

    def _whyNotAdded(self) -> str:
        known, new = self._chosenPair()
        if self._parameterNode is None or known is None or new is None:
            return _("Choose two volumes of one patient.")
        if known is new:
            return _("Choose another volume: the two images of a pair are by different scanners or sequences.")
        if any(new is other for _known, other in self._pairs):
            return _("This new image is in the list already.")
        return ""
