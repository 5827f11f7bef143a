"""What the tables of several tabs have in common."""

from collections.abc import Sequence

import qt

_FRAME_PX = 4


def asChoice(table, headers: list[str], heightPx: int) -> None:
    """Make a QTableWidget a list to choose one row from: nothing can be edited, and the first column takes the room that is left."""
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(headers)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.setFixedHeight(heightPx)
    table.verticalHeader().setVisible(False)
    for column in range(len(headers)):
        mode = qt.QHeaderView.ResizeToContents if column else qt.QHeaderView.Stretch
        table.horizontalHeader().setSectionResizeMode(column, mode)


def fitHeight(table, maximumPx: int) -> None:
    """Give a QTableWidget the height of its header and rows, at least one row's and at most `maximumPx`; beyond that it scrolls."""
    headerPx = table.horizontalHeader().property("sizeHint").height()
    rowsPx = sum(table.rowHeight(row) for row in range(table.rowCount)) or table.verticalHeader().defaultSectionSize
    table.setFixedHeight(min(maximumPx, headerPx + rowsPx + _FRAME_PX))


def listRows(table, rows: Sequence[Sequence[str]], maximumPx: int) -> None:
    """Show these texts, each in its own tooltip as well, since columns are narrow; the row that was chosen stays chosen."""
    chosen = table.currentRow()
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            table.setItem(row, column, item)
    fitHeight(table, maximumPx)
    if 0 <= chosen < len(rows):
        table.selectRow(chosen)
