"""Section "Segments": one row for each segment of the reference, with a choice of the test segment that belongs to it."""

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Evaluate.SegmentPairs import SegmentPair, matchSegments, segmentNames
from MedNeXtSegmentLib.Widgets.Tables import fitHeight

_HEIGHT_PX = 150


class PairsTable:
    """Lets the user say which test segment belongs to which reference segment.

    Args:
        table: QTableWidget.
        onChanged: called when the user chose another segment.
    """

    def __init__(self, table, onChanged: Callable[[], None]) -> None:
        self._table, self._onChanged = table, onChanged
        self._pairs: list[SegmentPair] = []
        self._choices: list[list[tuple[str, ...]]] = []
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Reference segment"), _("Test segment")])
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)
        table.verticalHeader().setVisible(False)
        for column in range(2):
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.Stretch)

    def match(self, referenceNode, testNode) -> str:
        """Fill the table by name; returns one sentence where the names do not tell, else an empty text."""
        self._pairs, note = matchSegments(referenceNode, testNode)
        names = segmentNames(testNode)
        self._choices = []
        self._table.setRowCount(len(self._pairs))
        for row, pair in enumerate(self._pairs):
            choices = [(), *((segmentId,) for segmentId in names)]
            if len(pair.testIds) > 1:
                choices.append(pair.testIds)
            self._choices.append(choices)
            self._table.setItem(row, 0, qt.QTableWidgetItem(pair.name))
            self._table.setCellWidget(row, 1, self._selector(choices, names, pair.testIds))
        fitHeight(self._table, _HEIGHT_PX)
        return note

    def pairs(self) -> list[SegmentPair]:
        """What the user wants compared, those without a test segment included."""
        return [
            SegmentPair(pair.name, pair.referenceIds, choices[self._table.cellWidget(row, 1).currentIndex])
            for row, (pair, choices) in enumerate(zip(self._pairs, self._choices, strict=True))
        ]

    def _selector(self, choices: list[tuple[str, ...]], names: dict[str, str], chosen: tuple[str, ...]):
        selector = qt.QComboBox()
        for segmentIds in choices:
            selector.addItem(" + ".join(names[segmentId] for segmentId in segmentIds) or _("(not compared)"))
        selector.setCurrentIndex(choices.index(chosen))
        selector.currentIndexChanged.connect(lambda *_args: self._onChanged())
        return selector
