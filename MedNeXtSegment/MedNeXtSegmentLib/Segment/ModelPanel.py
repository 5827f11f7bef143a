"""Section "Model": a list that can be searched, the chosen model's card, and which of its segments to make."""

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.ParameterNode import labelNamesOf
from MedNeXtSegmentLib.Segment.ModelCardText import groupedByBodyPart, matchesSearch, modelCardHtml, modelSubtitle

_LIST_HEIGHT_PX, _CARD_HEIGHT_PX, _LABELS_HEIGHT_PX = 84, 150, 96


class ModelPanel:
    """Keeps list, card and segments equal to the parameters `modelId` and `labelNames`.

    Args:
        ui: widgets of Segment.ui.
        models: gives the cards of the installed models.
        onLabelsChanged: called when the user checked or unchecked segments.
    """

    def __init__(self, ui, models: Callable[[], list[ModelCard]], onLabelsChanged: Callable[[], None]) -> None:
        self._ui, self._models, self._afterLabelsChanged = ui, models, onLabelsChanged
        self._parameterNode = None
        self._cards: dict[str, ModelCard] = {}
        self._shownCard: ModelCard | None = None
        self._isUpdating = False
        ui.modelList.setMaximumHeight(_LIST_HEIGHT_PX)
        ui.modelCardBrowser.setMaximumHeight(_CARD_HEIGHT_PX)
        ui.labelList.setMaximumHeight(_LABELS_HEIGHT_PX)
        ui.modelSearchEdit.textChanged.connect(self._fillList)
        ui.groupModelsCheckBox.toggled.connect(self._fillList)
        ui.modelList.currentItemChanged.connect(self._onModelChosen)
        ui.labelList.itemChanged.connect(self._onLabelsChanged)
        ui.selectAllButton.clicked.connect(lambda *_args: self._setAllLabels(True))
        ui.selectNoneButton.clicked.connect(lambda *_args: self._setAllLabels(False))
        self.reload()

    @property
    def card(self) -> ModelCard | None:
        """Of the chosen model; None where none is chosen, or where it is not installed on this computer."""
        return self._cards.get(self._parameterNode.modelId) if self._parameterNode is not None else None

    @property
    def noLabelIsChecked(self) -> bool:
        """Whether the user unchecked every segment."""
        items = self._labelItems()
        return bool(items) and not any(item.checkState() == qt.Qt.Checked for item in items)

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; a new scene begins with the only model there is, if there is only one."""
        self._parameterNode = parameterNode
        if parameterNode is not None and not parameterNode.modelId and len(self._cards) == 1:
            parameterNode.modelId = next(iter(self._cards))
        self.update()

    def reload(self) -> None:
        """Read the installed models again."""
        self._cards = {card.id: card for card in self._models()}
        self._fillList()
        self._shownCard = None
        self.update()

    def choose(self, modelId: str) -> None:
        """Choose an installed model, as if the user had found and clicked it; one that is not listed changes nothing."""
        if modelId in self._cards and self._parameterNode is not None:
            self._ui.modelSearchEdit.setText("")
            if modelId != self._parameterNode.modelId:
                self._parameterNode.labelNames = ""
                self._parameterNode.modelId = modelId

    def update(self) -> None:
        """Show what the parameters say."""
        if self._isUpdating:
            return
        self._isUpdating = True
        self._selectInList()
        if self.card is not self._shownCard or self.card is None:
            self._showCard()
        self._checkLabels()
        self._isUpdating = False

    def _fillList(self, *_args) -> None:
        wasUpdating, self._isUpdating = self._isUpdating, True
        self._ui.modelList.clear()
        found = [card for card in self._cards.values() if matchesSearch(card, self._ui.modelSearchEdit.text)]
        for heading, cards in groupedByBodyPart(found) if self._ui.groupModelsCheckBox.checked else [("", found)]:
            if heading:
                item = qt.QListWidgetItem(heading)
                item.setFlags(qt.Qt.NoItemFlags)
                self._ui.modelList.addItem(item)
            for card in cards:
                item = qt.QListWidgetItem(f"{card.title}\n    {modelSubtitle(card)}")
                item.setData(qt.Qt.UserRole, card.id)
                item.setToolTip(card.description or card.title)
                self._ui.modelList.addItem(item)
        self._selectInList()
        self._isUpdating = wasUpdating

    def _selectInList(self) -> None:
        modelId = self._parameterNode.modelId if self._parameterNode is not None else ""
        rows = [row for row in range(self._ui.modelList.count) if self._modelIdAt(row) == modelId]
        self._ui.modelList.setCurrentRow(rows[0] if rows else -1)

    def _modelIdAt(self, row: int) -> str | None:
        """None where a heading stands."""
        return self._ui.modelList.item(row).data(qt.Qt.UserRole)

    def _showCard(self) -> None:
        self._shownCard = self.card
        self._ui.labelList.clear()
        if self.card is None:
            self._ui.modelCardBrowser.setHtml(self._absenceText())
        else:
            self._ui.modelCardBrowser.setHtml(modelCardHtml(self.card))
            for label in self.card.labels:
                item = qt.QListWidgetItem(label.name)
                swatch = qt.QPixmap(12, 12)
                swatch.fill(qt.QColor(*label.color))
                item.setIcon(qt.QIcon(swatch))
                item.setCheckState(qt.Qt.Checked)
                self._ui.labelList.addItem(item)
        for widget in (self._ui.labelList, self._ui.segmentsLabel, self._ui.selectAllButton, self._ui.selectNoneButton):
            widget.setVisible(self.card is not None and len(self.card.labels) > 1)

    def _absenceText(self) -> str:
        if not self._cards:
            return _("No model is installed.")
        modelId = self._parameterNode.modelId if self._parameterNode is not None else ""
        if modelId:
            return _("The model {model} is not installed on this computer.").format(model=modelId)
        return _("Choose a model.")

    def _labelItems(self) -> list:
        return [self._ui.labelList.item(row) for row in range(self._ui.labelList.count)]

    def _checkLabels(self) -> None:
        names = labelNamesOf(self._parameterNode) if self._parameterNode is not None else None
        if names is None and self.noLabelIsChecked:
            return  # nothing checked cannot be told from everything in the parameter; the user is about to pick a few
        for item in self._labelItems():
            isChecked = names is None or item.text() in names
            item.setCheckState(qt.Qt.Checked if isChecked else qt.Qt.Unchecked)

    def _onModelChosen(self, *_args) -> None:
        item = self._ui.modelList.currentItem()
        if self._isUpdating or item is None or self._parameterNode is None:
            return
        modelId = item.data(qt.Qt.UserRole)
        if modelId != self._parameterNode.modelId:
            self._parameterNode.labelNames = ""
            self._parameterNode.modelId = modelId

    def _onLabelsChanged(self, *_args) -> None:
        if self._isUpdating or self._parameterNode is None:
            return
        items = self._labelItems()
        checked = [item.text() for item in items if item.checkState() == qt.Qt.Checked]
        self._parameterNode.labelNames = "" if len(checked) == len(items) else "\n".join(checked)
        self._afterLabelsChanged()

    def _setAllLabels(self, isChecked: bool) -> None:
        wasUpdating, self._isUpdating = self._isUpdating, True
        for item in self._labelItems():
            item.setCheckState(qt.Qt.Checked if isChecked else qt.Qt.Unchecked)
        self._isUpdating = wasUpdating
        self._onLabelsChanged()
