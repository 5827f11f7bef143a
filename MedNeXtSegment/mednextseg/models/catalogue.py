"""Publicly known weights that this extension can use, with their source pages: a list to read, nothing is fetched from it.

Only what the publishers or the record of this project state is in catalogue.json; what is not known is null. Standard library only.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class CatalogueEntry:
    """One published set of weights.

    Attributes:
        id, title, family: "mednext", "stu_net", "nnunet", "monai" or "sam_med2d".
        source_page: where the publisher offers the weights.
        files: names of the files that the importers take.
        weights_license: as the publisher states it, or "not stated".
        size: as published ("14.60 M parameters"), or None.
        sha256: of the file; None means that a copy cannot be verified.
        how_to_import: one sentence.
    """

    id: str
    title: str
    family: str
    source_page: str
    files: tuple[str, ...]
    weights_license: str
    size: str | None
    sha256: str | None
    how_to_import: str

    def to_dict(self) -> dict:
        """JSON-ready values, with the state of verification in words."""
        return {**asdict(self), "verified": self.sha256 is not None}


def catalogue() -> list[CatalogueEntry]:
    """All entries."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))["entries"]
    return [CatalogueEntry(**{**entry, "files": tuple(entry["files"])}) for entry in entries]
