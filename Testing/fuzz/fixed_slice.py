"""The inputs that `make test` tries: seeds of each kind."""

from collections.abc import Iterable

SLICE: dict[str, Iterable[int]] = {
    "volumes": range(60),
    "dicom": range(40),
    "cards_and_recipes": range(12),
    "journals_and_tables": range(12),
    "checkpoints": range(50),
    "protocol": range(1),
    "geometries": range(6),
    "full_disk": (*range(11), 51),
}
