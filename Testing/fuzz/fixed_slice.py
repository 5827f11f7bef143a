"""The inputs that `make test` tries: seeds of each kind."""

from collections.abc import Iterable

SLICE: dict[str, Iterable[int]] = {
    "volumes": range(40),
    "dicom": range(28),
    "cards_and_recipes": range(12),
    "journals_and_tables": range(12),
    "checkpoints": range(32),
    "protocol": range(1),
    "geometries": range(6),
    "full_disk": (*range(11), 51),
}
