"""Section "Results": the volume of each segment, left against right, as a table and as a CSV file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import qt
from slicer.i18n import tr as _

from mednextseg.labels.label import Label
from mednextseg.labels.volume_table import VolumeRow, volume_rows, write_volumes
from MedNeXtSegmentLib.Scene.Segmentations import volumesMl

_HEIGHT_PX = 130
_ASYMMETRY = 2


class ResultsTable:
    """Shows the volume of each segment, and exports it.

    Args:
        table: QTableWidget.
    """

    def __init__(self, table) -> None:
        self._table = table
        self._name = ""
        self._rows: list[VolumeRow] = []
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Segment"), _("Volume [ml]"), _("Left - right [%]")])
        table.horizontalHeaderItem(_ASYMMETRY).setToolTip(_("Left minus right, in percent of the mean of both sides."))
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setMaximumHeight(_HEIGHT_PX)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)

    @property
    def isEmpty(self) -> bool:
        """Whether there is nothing to export."""
        return not self._rows

    def show(self, segmentationNode, labels: list[Label], totals: Mapping[str, Sequence[str]]) -> None:
        """Fill the table with the segments of these labels, as they are in the node now; a node of None empties it.

        Args:
            segmentationNode: vtkMRMLSegmentationNode, or None.
            labels: in the order of the rows.
            totals: of the model card, shown below the segments.
        """
        volumes = {} if segmentationNode is None else volumesMl(segmentationNode, [label.name for label in labels])
        self._name = "" if segmentationNode is None else segmentationNode.GetName()
        self._rows = volume_rows(volumes, totals)
        colors = {label.name: label.color for label in labels}
        self._table.setRowCount(len(self._rows))
        self._table.setColumnHidden(_ASYMMETRY, all(row.asymmetry_percent is None for row in self._rows))
        for number, row in enumerate(self._rows):
            asymmetry = "" if row.asymmetry_percent is None else f"{row.asymmetry_percent:+.1f}"
            items = [qt.QTableWidgetItem(text) for text in (row.name, f"{row.volume_ml:.2f}", asymmetry)]
            if not row.is_total:
                swatch = qt.QPixmap(12, 12)
                swatch.fill(qt.QColor(*colors[row.name]))
                items[0].setIcon(qt.QIcon(swatch))
            for column, item in enumerate(items):
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(number, column, item)

    def exportCsv(self, path: str | Path) -> None:
        """Write the table, with full precision.

        Raises:
            OSError: where the file cannot be written.
        """
        write_volumes(self._rows, path, self._name, column="segmentation")
