"""What a comparison is told beyond the files: label tables, spellings, tolerances (the --labels file)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mednextseg.json_values import json_list, json_object, listed, number, read_json_object, text
from mednextseg.labels.names import (
    AXIAL_RANGE_LABELS,
    LabelPair,
    LabelTable,
    canonical_name,
)
from mednextseg.labels.table_files import is_bare_table, table_from_json

_FIELDS = ("labels", "reference", "prediction", "pairs", "tolerances_mm", "axial_range", "unions")


@dataclass(frozen=True)
class MeasureOptions:
    """How labels are read and judged.

    Attributes:
        reference_table, prediction_table: names of the numbers in plain label volumes; .seg.nrrd files bring their own names.
        pairs: name in the prediction -> name in the reference, where the two call one structure by different names.
        tolerances_mm: of the surface Dice by canonical name, in front of the built-in ones.
        axial_range: canonical names of the labels compared only between the reference's first and last axial slice.
        unions: structures such as "hippocampus" that are measured as a whole, too, where both sides have only their parts.
    """

    reference_table: LabelTable | None = None
    prediction_table: LabelTable | None = None
    pairs: Mapping[str, str] = field(default_factory=dict)
    tolerances_mm: Mapping[str, float] = field(default_factory=dict)
    axial_range: frozenset[str] = AXIAL_RANGE_LABELS
    unions: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, raw: Mapping) -> "MeasureOptions":
        """Build from JSON values.

        Args:
            raw: "labels" (a table for both sides: name -> number(s), as in nnU-Net's dataset.json, or the name of a public data set),
                "reference" and "prediction" (tables for one side), "pairs", "tolerances_mm", "axial_range", "unions". Other fields, such
                as the rest of a dataset.json, are left alone. A file that is nothing but a table is one for both sides.
        Raises:
            ValueError: where none of these fields is there, or one of them is wrong.
        """
        raw = json_object(raw, "a labels file")
        if is_bare_table(raw):
            raw = {"labels": raw}
        if not any(name in raw for name in _FIELDS):
            raise ValueError(f"a labels file needs at least one of {listed(_FIELDS)}; it has: {listed(raw) or 'nothing'}.")
        both = raw.get("labels")
        tables = {side: raw.get(side, both) for side in ("reference", "prediction")}
        return cls(
            reference_table=None if tables["reference"] is None else table_from_json(tables["reference"]),
            prediction_table=None if tables["prediction"] is None else table_from_json(tables["prediction"]),
            pairs={name: text(other, f"the pair of {name}") for name, other in _object(raw, "pairs").items()},
            tolerances_mm={
                canonical_name(name): number(mm, f"the tolerance of {name} in mm", low=0)
                for name, mm in _object(raw, "tolerances_mm").items()
            },
            axial_range=frozenset(_names(raw, "axial_range", AXIAL_RANGE_LABELS)),
            unions=_names(raw, "unions", ()),
        )

    @classmethod
    def from_text(cls, given: str) -> "MeasureOptions":
        """From what people give as --labels: a JSON file, or the name of a public data set whose numbers both sides use."""
        return cls.from_json(given) if given.endswith(".json") or Path(given).is_file() else cls.from_dict({"labels": given})

    @classmethod
    def from_json(cls, path: str | Path) -> "MeasureOptions":
        """Read a labels file; raises ValueError as `from_dict` does, and for a file that is not JSON."""
        return cls.from_dict(read_json_object(path))

    def tolerance_for(self, pair: LabelPair) -> float:
        """Tolerance in mm of one structure."""
        return self.tolerances_mm.get(pair.key, pair.tolerance_mm)

    def unused(self, labels: Collection[str]) -> list[str]:
        """A sentence for each name in pairs and tolerances_mm that is none of the labels measured: it may be misspelled."""
        known = {canonical_name(label) for label in labels}
        asked = {"a tolerance": self.tolerances_mm, "a pair": {canonical_name(name): None for name in self.pairs.values()}}
        return [
            f"the labels file has {what} for {listed(unknown)}, which nothing measured is called; it has: {listed(sorted(labels))}."
            for what, names in asked.items()
            if (unknown := [name for name in names if name not in known])
        ]

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return {
            "reference": None if self.reference_table is None else {n: list(v) for n, v in self.reference_table.items()},
            "prediction": None if self.prediction_table is None else {n: list(v) for n, v in self.prediction_table.items()},
            "pairs": dict(self.pairs),
            "tolerances_mm": dict(self.tolerances_mm),
            "axial_range": sorted(self.axial_range),
            "unions": list(self.unions),
        }


def _object(raw: Mapping, name: str) -> dict:
    return json_object(raw.get(name, {}), f"{name} of a labels file")


def _names(raw: Mapping, name: str, default: Collection[str]) -> tuple[str, ...]:
    names = json_list(raw.get(name, list(default)), f"{name} of a labels file")
    return tuple(canonical_name(text(entry, f"an entry of {name}")) for entry in names)
