"""File choosers. Each goes when it has been answered: the window that it belongs to would keep it, hidden."""

import qt
from slicer.i18n import tr as _


def pathFrom(dialog) -> str:
    """Show a QFileDialog and delete it; the path that the user chose, empty for none."""
    isAccepted = dialog.exec_()
    paths = list(dialog.selectedFiles())
    dialog.deleteLater()
    return paths[0] if isAccepted and paths else ""


def csvPath(window) -> str:
    """Ask where a table is to be written; empty for nowhere."""
    dialog = qt.QFileDialog(window, _("Export table"))
    dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
    dialog.setNameFilter(_("Table (*.csv)"))
    dialog.setDefaultSuffix("csv")
    return pathFrom(dialog)


def folderPath(window, title: str) -> str:
    """Ask for a folder; empty for none."""
    dialog = qt.QFileDialog(window, title)
    dialog.setFileMode(qt.QFileDialog.Directory)
    dialog.setOption(qt.QFileDialog.ShowDirsOnly, True)
    return pathFrom(dialog)
