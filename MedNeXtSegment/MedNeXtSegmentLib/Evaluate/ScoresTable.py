"""Section "Results" of the evaluation: the numbers, the worst ones colored."""

from collections.abc import Callable
from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Evaluate.EvaluateRun import EvaluateRun, StructureResult
from MedNeXtSegmentLib.Widgets.Tables import fitHeight

_HEIGHT_PX = 200
# The worst value of a column, and the others of its worst quarter.
_WORST_COLOR, _BAD_COLOR = (240, 128, 128), (255, 222, 173)
_WORST_SHARE = 0.25


@dataclass(frozen=True)
class _Column:
    title: str
    key: str
    digits: int
    badness: Callable[[float], float]


def _columns() -> list[_Column]:
    return [
        _Column(_("Dice"), "dice", 3, lambda value: 1 - value),
        _Column(_("Surface\nDice"), "nsd", 3, lambda value: 1 - value),
        _Column(_("HD95\n[mm]"), "hd95_mm", 2, lambda value: value),
        _Column(_("ASSD\n[mm]"), "assd_mm", 2, lambda value: value),
        _Column(_("Volume\ndiff. [ml]"), "volume_difference_ml", 2, abs),
    ]


class ScoresTable:
    """Shows the measured numbers, a row for each structure.

    Args:
        table: QTableWidget.
        onRow: called with the StructureResult of a row that the user clicked.
    """

    def __init__(self, table, onRow: Callable[[StructureResult], None]) -> None:
        self._table, self._onRow = table, onRow
        self._run: EvaluateRun | None = None
        self._columns = _columns()
        table.setColumnCount(1 + len(self._columns))
        table.setHorizontalHeaderLabels([_("Segment"), *(column.title for column in self._columns)])
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)  # a selection would hide the colors
        table.setWordWrap(False)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.cellClicked.connect(lambda row, _column: self._onClicked(row))

    def show(self, run: EvaluateRun | None) -> None:
        """Fill the table; None empties it."""
        self._run = run
        results = [] if run is None else run.results
        self._table.setRowCount(len(results))
        for row, result in enumerate(results):
            item = qt.QTableWidgetItem(result.pair.name)
            item.setToolTip("\n".join([_toleranceText(result), *result.notes]))
            self._table.setItem(row, 0, item)
        for number, column in enumerate(self._columns, start=1):
            self._fillColumn(number, column, [result.metrics[column.key] for result in results])
        fitHeight(self._table, _HEIGHT_PX)

    def _onClicked(self, row: int) -> None:
        """Tell, and mark the row by bold type."""
        for number in range(self._table.rowCount):
            item = self._table.item(number, 0)
            font = item.font()
            font.setBold(number == row)
            item.setFont(font)
        self._onRow(self._run.results[row])

    def _fillColumn(self, number: int, column: _Column, values: list[float | None]) -> None:
        badness = [None if value is None else column.badness(value) for value in values]
        colors = worstColors(badness)
        for row, value in enumerate(values):
            item = qt.QTableWidgetItem("\u2013" if value is None else f"{value:.{column.digits}f}")
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if colors[row] is not None:
                item.setBackground(qt.QBrush(qt.QColor(*colors[row])))
                item.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))
            self._table.setItem(row, number, item)


def worstColors(badness: list[float | None]) -> list[tuple[int, int, int] | None]:
    """Background of each cell: the worst value red, others of the worst quarter orange; none where all are equal or perfect."""
    known = sorted((value for value in badness if value is not None), reverse=True)
    if len(known) < 2 or known[0] == known[-1]:
        return [None] * len(badness)
    limit = known[max(round(_WORST_SHARE * len(known)), 1) - 1]
    colors: list[tuple[int, int, int] | None] = []
    for value in badness:
        if value is None or value < limit or value <= 0:
            colors.append(None)
        else:
            colors.append(_WORST_COLOR if value == known[0] else _BAD_COLOR)
    return colors


def _toleranceText(result: StructureResult) -> str:
    return _("Surface Dice at {mm:g} mm. Click: slices jump to the largest error.").format(mm=result.metrics["tolerance_mm"])
