"""The list of collected cases in section "Cases": a check mark says which of them the model learns from."""

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from mednextseg.cases.collected import CollectedCase
from mednextseg.json_values import listed
from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.Widgets.Tables import asChoice, fitHeight

_HEIGHT_PX = 150


class CollectedPanel:
    """Shows the list, keeps what is checked in the parameters, and removes cases.

    A case of the chosen model is checked until the user says otherwise, one of another model is not; the parameters keep the exceptions.

    Args:
        ui: widgets of Adapt.ui.
        cases, remove: as in CollectLogic.
        showStatus: shows one sentence.
    """

    def __init__(self, ui, cases: Callable, remove: Callable[[str], None], showStatus: Callable[[str], None]) -> None:
        self._ui, self._cases, self._removeCase, self._showStatus = ui, cases, remove, showStatus
        self._parameterNode, self._card = None, None
        self._shown: list[CollectedCase] = []
        self._names: list[str] = []  # of all rows, damaged cases included
        self._isUpdating, self._asked = False, ""
        asChoice(ui.collectedTable, [_("Collected case"), _("Corrected"), _("Labels"), _("Date")], _HEIGHT_PX)
        ui.collectedTable.itemChanged.connect(lambda *_args: self._onChecked())
        ui.collectedTable.itemSelectionChanged.connect(lambda *_args: self._updateButton())
        ui.removeCollectedButton.clicked.connect(lambda *_args: self._remove())

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none."""
        self._parameterNode = parameterNode

    @property
    def checked(self) -> list[CollectedCase]:
        """What the model learns from."""
        return [case for case in self._shown if self._isChecked(case)]

    def update(self, card: ModelCard | None) -> None:
        """List what there is; nothing is shown where nothing was collected.

        Args:
            card: of the model that learns; None for none.
        """
        self._card = card
        self._shown, damaged = self._cases()
        self._names = [*(case.id for case in self._shown), *damaged]
        table, chosen = self._ui.collectedTable, self._ui.collectedTable.currentRow()
        self._isUpdating = True
        table.setRowCount(len(self._names))
        for row, case in enumerate(self._shown):
            base = _("drawn by hand") if case.base is None else str(case.base.get("id"))
            texts = listed([case.name]), listed([base]), listed(case.labels), case.date[:10]
            self._fill(row, texts, f"{case.full_name}\n{case.folder}")
            state = qt.Qt.Checked if self._isChecked(case) else qt.Qt.Unchecked
            table.item(row, 0).setCheckState(state)
        for row, (name, sentence) in enumerate(damaged.items(), start=len(self._shown)):
            self._fill(row, (listed([name]), _("damaged"), "", ""), sentence)
        self._isUpdating = False
        for widget in (table, self._ui.removeCollectedButton):
            widget.setVisible(bool(self._names))
        self._ui.damagedLabel.setVisible(bool(damaged))
        self._ui.damagedLabel.setText("\n".join(damaged.values()))
        fitHeight(table, _HEIGHT_PX)
        if 0 <= chosen < len(self._names):
            table.selectRow(chosen)
        self._updateButton()

    def _fill(self, row: int, texts: tuple, toolTip: str) -> None:
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(toolTip)
            self._ui.collectedTable.setItem(row, column, item)

    def _isUsual(self, case: CollectedCase) -> bool:
        return self._card is not None and case.base is not None and case.base.get("id") == self._card.id

    def _isChecked(self, case: CollectedCase) -> bool:
        return self._isUsual(case) != (case.id in self._exceptions())

    def _exceptions(self) -> list[str]:
        return [] if self._parameterNode is None else self._parameterNode.adaptCollectedExceptions.split()

    def _onChecked(self) -> None:
        if self._isUpdating or self._parameterNode is None:
            return
        kept = [name for name in self._exceptions() if name not in self._names]
        for row, case in enumerate(self._shown):
            isChecked = self._ui.collectedTable.item(row, 0).checkState() == qt.Qt.Checked
            kept += [case.id] if isChecked != self._isUsual(case) else []
        self._parameterNode.adaptCollectedExceptions = "\n".join(kept)

    def _selected(self) -> str:
        """The id of the selected case; empty for none."""
        table = self._ui.collectedTable
        row = table.currentRow()
        return self._names[row] if table.selectedItems() and 0 <= row < len(self._names) else ""

    def _remove(self) -> None:
        """By a second click: a question without a pop-up."""
        name = self._selected()
        if self._asked != name:
            self._asked = name
            self._showStatus(_("The files of this case will be deleted; press once more to remove it."))
            self._updateButton()
            return
        try:
            self._removeCase(name)
            self._showStatus("")
        except (ValueError, OSError) as error:
            self._showStatus(str(error))
        self._asked = ""
        self.update(self._card)

    def _updateButton(self) -> None:
        name = self._selected()
        self._asked = self._asked if self._asked == name else ""
        self._ui.removeCollectedButton.enabled = bool(name)
        self._ui.removeCollectedButton.setText(_("Remove for good") if self._asked else _("Remove collected case"))
