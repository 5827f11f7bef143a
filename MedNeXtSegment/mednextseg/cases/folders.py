"""Folders of cases by file name, and what counts as a failing case. Light: the processes that only run models need no metrics."""

from pathlib import Path

SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
CASE_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)


def case_files(path: Path) -> dict[str, Path]:
    """Case name -> file in a folder, by file name without its suffix; .seg.nrrd goes before a plain volume of the same name."""
    found: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for file in sorted(path.iterdir()):
            name = file.name[: -len(suffix)]
            is_plain_nrrd = suffix == ".nrrd" and file.name.endswith(".seg.nrrd")
            if file.name.endswith(suffix) and name and not is_plain_nrrd and not file.name.startswith("."):
                found.setdefault(name, file)
    return dict(sorted(found.items()))
