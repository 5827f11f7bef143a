"""Section "Known weights" of the Models tab: what others published, where, and under which license. Nothing is fetched by looking."""

from html import escape

import qt
from slicer.i18n import tr as _

from mednextseg.models.catalogue import CatalogueEntry, catalogue
from MedNeXtSegmentLib.Widgets.Tables import asChoice

_TABLE_HEIGHT_PX = 150


class CataloguePanel:
    """A list to read; a click opens the publisher's page in the browser, from which the user downloads.

    Args:
        ui: widgets of Models.ui.
    """

    def __init__(self, ui) -> None:
        self._ui, self._entries = ui, catalogue()
        table = ui.catalogueTable
        asChoice(table, [_("Weights"), _("Size"), _("SHA-256")], _TABLE_HEIGHT_PX)
        self._fill()
        table.itemSelectionChanged.connect(self._update)
        ui.openPageButton.clicked.connect(lambda *_args: self.openPage(self.selected.source_page))
        self._update()

    @property
    def selected(self) -> CatalogueEntry | None:
        """The entry of the selected row."""
        row = self._ui.catalogueTable.currentRow()
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def openPage(self, address: str) -> None:
        """Show a page in the user's browser."""
        qt.QDesktopServices.openUrl(qt.QUrl(address))

    def _fill(self) -> None:
        table = self._ui.catalogueTable
        table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            verified = _("known") if entry.sha256 else _("unverified")
            for column, text in enumerate((entry.title, entry.size or _("unknown"), verified)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(f"{entry.title}\n{entry.source_page}")
                table.setItem(row, column, item)

    def _update(self) -> None:
        entry = self.selected
        self._ui.openPageButton.enabled = entry is not None
        self._ui.catalogueLabel.setText(entryHtml(entry) if entry is not None else _("Select weights to read about them."))


def entryHtml(entry: CatalogueEntry) -> str:
    """What the publisher and this project know of an entry."""
    unverified = _("No SHA-256 was published, so a downloaded copy cannot be verified.")
    rows = [
        (_("Page"), entry.source_page),
        (_("Files"), ", ".join(entry.files)),
        (_("Size"), entry.size or _("unknown")),
        (_("License"), entry.weights_license),
        (_("SHA-256"), entry.sha256 or unverified),
        (_("To import"), entry.how_to_import),
    ]
    return "".join(f"<p><b>{escape(name)}:</b> {escape(text)}</p>" for name, text in rows)
