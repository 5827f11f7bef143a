"""The slices to review, as rows to click."""

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Review.ReviewRun import ReviewSlice
from MedNeXtSegmentLib.Widgets.Tables import fitHeight

_HEIGHT_PX = 200


class ReviewTable:
    """Shows the slices to review, a row for each.

    Args:
        table: QTableWidget.
        onRow: called with the ReviewSlice of a row that the user clicked.
    """

    def __init__(self, table, onRow: Callable[[ReviewSlice], None]) -> None:
        self._table, self._onRow = table, onRow
        self._slices: list[ReviewSlice] = []
        self.chosen: ReviewSlice | None = None
        heads = [_("Segment"), _("R, A, S\n[mm]"), _("Uncertain\n[mm\u00b2]"), _("Segment\n[mm\u00b2]")]
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels(heads)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.cellClicked.connect(lambda row, _column: self._onClicked(row))

    def show(self, slices: list[ReviewSlice]) -> None:
        """Fill the table, most uncertain first; no row is chosen."""
        self._slices, self.chosen = list(slices), None
        self._table.clearSelection()
        self._table.setRowCount(len(slices))
        fitHeight(self._table, _HEIGHT_PX)
        for row, item in enumerate(slices):
            place = ", ".join(f"{mm:.0f}" for mm in item.centerRAS)
            self._table.setItem(row, 0, qt.QTableWidgetItem(item.segmentName))
            for column, text in enumerate((place, f"{item.uncertainMm2:.1f}", f"{item.segmentMm2:.0f}"), start=1):
                cell = qt.QTableWidgetItem(text)
                cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, cell)

    def _onClicked(self, row: int) -> None:
        self.chosen = self._slices[row]
        self._onRow(self.chosen)
