"""Tables as high as their rows, so that short ones leave the panel's room to others."""

_FRAME_PX = 4


def fitHeight(table, maximumPx: int) -> None:
    """Give a QTableWidget the height of its header and rows, at least one row's and at most `maximumPx`; beyond that it scrolls."""
    header_px = table.horizontalHeader().property("sizeHint").height()
    rows_px = sum(table.rowHeight(row) for row in range(table.rowCount)) or table.verticalHeader().defaultSectionSize
    table.setFixedHeight(min(maximumPx, header_px + rows_px + _FRAME_PX))
