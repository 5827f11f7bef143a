"""What is trained, by which loss and on which patches, chosen from the engine's tables."""

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from mednextseg.models.model_card import ModelCard
from mednextseg.models.tuning_choices import LOSSES, METHODS, SAMPLINGS, Choice
from MedNeXtSegmentLib.Widgets.NodePanel import NodePanel


class TrainingChoices(NodePanel):
    """Three lists of the Adapt tab; each line explains itself where the mouse rests on it.

    Args:
        ui: the tab's widgets.
        isByPairs: whether pairs of images are learned in place of cases; that trains the whole network, by its features.
    """

    def __init__(self, ui, isByPairs: Callable[[], bool]) -> None:
        super().__init__(ui, isBound=False)
        self._isByPairs = isByPairs
        self._isUpdating = False
        self._lists = {
            "adaptMethod": (ui.methodSelector, METHODS),
            "adaptLoss": (ui.lossSelector, LOSSES),
            "adaptSampling": (ui.samplingSelector, SAMPLINGS),
        }
        for selector, table in self._lists.values():
            for row, choice in enumerate(table.values()):
                selector.addItem(choice.title[0].upper() + choice.title[1:], choice.name)
                selector.setItemData(row, choice.advice, qt.Qt.ToolTipRole)
            selector.currentIndexChanged.connect(lambda *_args: self._onChosen())

    def update(self) -> None:
        """Show what the parameters say."""
        if self._parameterNode is None:
            return
        self._isUpdating = True
        for name, (selector, _table) in self._lists.items():
            selector.setCurrentIndex(selector.findData(getattr(self._parameterNode, name)))
            selector.setToolTip("" if self._chosen(name) is None else self._chosen(name).advice)
        isByPairs = self._isByPairs()
        self.ui.methodSelector.enabled = not isByPairs
        self.ui.lossSelector.enabled = self.ui.samplingSelector.enabled = self._isTrained and not isByPairs
        self.ui.minutesSpinBox.enabled = self._isTrained or isByPairs
        self._isUpdating = False

    def options(self, methods: Sequence[str] = ()) -> dict:
        """For the worker.

        Args:
            methods: to compare, in place of the chosen one; none for that one.
        """
        parameters = self._parameterNode
        minutes, lossAndPatches = {"minutes": parameters.adaptMinutes}, {}
        if self._isByPairs():
            return minutes
        if self._isTrained:
            lossAndPatches = {"loss": parameters.adaptLoss, "sampling": parameters.adaptSampling}
        if methods:
            return {"methods": list(methods), **lossAndPatches, **minutes}
        return {"method": parameters.adaptMethod, **lossAndPatches, **(minutes if self._isTrained else {})}

    @property
    def _isTrained(self) -> bool:
        return self._parameterNode.adaptMethod != "settings"

    def missing(self, card: ModelCard) -> str:
        """Why this model cannot be trained so, in one sentence; empty where it can."""
        for name in self._lists:
            choice = self._chosen(name)
            if choice is not None and choice.is_for_mednext and card.family != "mednext":
                text = _("To train {title}, a MedNeXt is needed, and {model} is none; choose another way, or another model.")
                return text.format(title=choice.title, model=card.title)
        return ""

    def _chosen(self, name: str) -> Choice | None:
        return self._lists[name][1].get(getattr(self._parameterNode, name))

    def _onChosen(self) -> None:
        if self._isUpdating or self._parameterNode is None:
            return
        for name, (selector, _table) in self._lists.items():
            if selector.currentData is not None:
                setattr(self._parameterNode, name, selector.currentData)
        self.update()
