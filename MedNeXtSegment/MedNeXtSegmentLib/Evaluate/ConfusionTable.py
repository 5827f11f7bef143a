"""Section "Confusion" of the evaluation: what each reference segment was taken for."""

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Evaluate.EvaluateRun import EvaluateRun
from MedNeXtSegmentLib.Evaluate.SegmentPairs import segmentNames
from MedNeXtSegmentLib.Widgets.Tables import fitHeight

_HEIGHT_PX = 160
# A share of a structure that went elsewhere is colored from here on; deepest at one half.
_COLORED_FROM, _FULL_COLOR_AT = 0.05, 0.5
_WHITE, _WRONG_COLOR = (255, 255, 255), (240, 128, 128)


class ConfusionTable:
    """Shows, for each reference segment, which test segments its voxels were given.

    Args:
        table: QTableWidget.
    """

    def __init__(self, table) -> None:
        self._table = table
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)  # a selection would hide the colors
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)

    def show(self, run: EvaluateRun | None) -> None:
        """Fill the table; None empties it."""
        confusion = None if run is None else run.confusion
        self._table.setRowCount(0 if confusion is None else len(confusion.rows))
        if confusion is None:
            fitHeight(self._table, _HEIGHT_PX)
            return
        heads = [_("Reference"), *(name.replace(" ", "\n") for name in confusion.columns)]
        self._table.setColumnCount(len(heads))
        self._table.setHorizontalHeaderLabels(heads)
        testIds = list(segmentNames(run.testNode))
        for row, (result, volumes_ml) in enumerate(zip(run.results, confusion.volumesMl.tolist(), strict=True)):
            self._table.setItem(row, 0, qt.QTableWidgetItem(result.pair.name))
            matched = {testIds.index(segmentId) for segmentId in result.pair.testIds if segmentId in testIds}
            for column, volume_ml in enumerate(volumes_ml):
                item = _item(volume_ml, result.metrics["reference_ml"], isMatch=column in matched)
                self._table.setItem(row, 1 + column, item)
        fitHeight(self._table, _HEIGHT_PX)


def _item(volume_ml: float, total_ml: float, isMatch: bool):
    """A share of a structure; bold where it belongs there, colored where it does not."""
    share = volume_ml / total_ml if total_ml else 0.0
    item = qt.QTableWidgetItem(f"{share:.1%}" if volume_ml else "")
    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    item.setToolTip(_("{ml:.3f} of {total:.3f} ml").format(ml=volume_ml, total=total_ml))
    if isMatch:
        font = item.font()
        font.setBold(True)
        item.setFont(font)
    elif share >= _COLORED_FROM:
        item.setBackground(qt.QBrush(qt.QColor(*shareColor(share))))
        item.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))
    return item


def shareColor(share: float) -> tuple[int, int, int]:
    """Of a part of a structure that was taken for something else."""
    strength = min(share / _FULL_COLOR_AT, 1.0)
    r, g, b = (round(white + strength * (wrong - white)) for white, wrong in zip(_WHITE, _WRONG_COLOR, strict=True))
    return r, g, b
