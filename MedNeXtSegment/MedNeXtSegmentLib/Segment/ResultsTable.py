"""Section "Results": the volume of each segment, as a table and as a CSV file."""

import csv
from pathlib import Path

import qt
from slicer.i18n import tr as _

from mednextseg.labels.label import Label
from MedNeXtSegmentLib.Scene.Segmentations import volumesMl

_HEIGHT_PX = 130


class ResultsTable:
    """Shows the volume of each segment, and exports it.

    Args:
        table: QTableWidget.
    """

    def __init__(self, table) -> None:
        self._table = table
        self._rows: list[tuple[str, str, float]] = []
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Segment"), _("Volume [ml]")])
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setMaximumHeight(_HEIGHT_PX)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)

    @property
    def isEmpty(self) -> bool:
        """Whether there is nothing to export."""
        return not self._rows

    def show(self, segmentationNode, labels: list[Label]) -> None:
        """Fill the table with the segments of these labels, as they are in the node now; None empties it."""
        volumes = {} if segmentationNode is None else volumesMl(segmentationNode, [label.name for label in labels])
        self._rows = [
            (segmentationNode.GetName(), label.name, volumes[label.name]) for label in labels if label.name in volumes
        ]
        colors = {label.name: label.color for label in labels}
        self._table.setRowCount(len(self._rows))
        for row, (_segmentation, name, volume_ml) in enumerate(self._rows):
            swatch = qt.QPixmap(12, 12)
            swatch.fill(qt.QColor(*colors[name]))
            nameItem, volumeItem = qt.QTableWidgetItem(name), qt.QTableWidgetItem(f"{volume_ml:.2f}")
            nameItem.setIcon(qt.QIcon(swatch))
            volumeItem.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self._table.setItem(row, 0, nameItem)
            self._table.setItem(row, 1, volumeItem)

    def exportCsv(self, path: str | Path) -> None:
        """Write the table, with full precision.

        Raises:
            OSError: where the file cannot be written.
        """
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["segmentation", "segment", "volume_ml"])
            writer.writerows(self._rows)
