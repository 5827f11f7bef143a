"""A table from which one row is chosen."""

import qt


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
