"""What the tables of several tabs have in common."""

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
