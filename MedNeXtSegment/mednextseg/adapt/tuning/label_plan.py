"""Which label of the cases is which of the base's, by name: those the result has, and where their outputs start from."""

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mednextseg.json_values import listed
from mednextseg.labels.label import Label
from mednextseg.labels.names import canonical_name
from mednextseg.models.model_card import ModelCard
from mednextseg.segmentation_io import Segmentation

_HUE_STEP = 0.618  # golden section: neighbors in the list get hues far apart


@dataclass(frozen=True)
class LabelPlan:
    """The labels of the result: those that the cases have, in the base's order, new ones behind.

    Attributes:
        labels: of the result.
        sources: the base's class of each of them, counted from 1; None for a new label.
        targets: canonical name in the cases -> name in the result.
        notes: sentences on what is new, joined or left out.
    """

    labels: tuple[Label, ...]
    sources: tuple[int | None, ...]
    targets: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def new_names(self) -> tuple[str, ...]:
        """The labels that the base does not have."""
        return tuple(label.name for label, source in zip(self.labels, self.sources, strict=True) if source is None)

    @property
    def class_sources(self) -> tuple[int | None, ...]:
        """The base's class of every class of the result, background first."""
        return (0, *self.sources)

    def named(self, segmentation: Segmentation) -> Segmentation:
        """A segmentation of a case under the names and values of the result; joined labels are one."""
        values = {label.name: label.value for label in self.labels}
        labelmap_kji = np.zeros(segmentation.labelmap_kji.shape, dtype=np.int16)
        drawn = {}
        for label in segmentation.labels:
            name = self.targets[canonical_name(label.name)]
            labelmap_kji[segmentation.labelmap_kji == label.value] = values[name]
            drawn[name] = None
        return Segmentation(labelmap_kji, segmentation.geometry, tuple(label for label in self.labels if label.name in drawn))

    def classes(self, segmentation: Segmentation) -> np.ndarray:
        """A segmentation from `named` as classes 0, 1, 2, ... of the network, uint8; same grid."""
        classes_kji = np.zeros(segmentation.labelmap_kji.shape, dtype=np.uint8)
        for number, label in enumerate(self.labels, start=1):
            classes_kji[segmentation.labelmap_kji == label.value] = number
        return classes_kji

    def absent(self, segmentation: Segmentation) -> frozenset[int]:
        """Classes that were not looked for in a segmentation from `named`: they may be there all the same."""
        drawn = {label.name for label in segmentation.labels}
        return frozenset(number for number, label in enumerate(self.labels, start=1) if label.name not in drawn)


def plan_labels(card: ModelCard, tables: Sequence[Iterable[str]], same: Mapping[str, str] | None = None) -> LabelPlan:
    """Match the labels of all cases with the base's.

    Args:
        card: of the base.
        tables: the label names of each case. Spelling and case do not count ("hippocampus_anterior" is "Anterior hippocampus").
        same: name in the cases -> name in the result, for labels that have another name there; two with one name there are joined.
    Raises:
        ValueError: where no case has a label, `same` names a label that no case has, or a case has one structure twice.
    """
    names: dict[str, str] = {}
    for table in tables:
        keys = [canonical_name(name) for name in table]
        if twice := [name for name, key in zip(table, keys, strict=True) if keys.count(key) > 1]:
            raise ValueError(f"a case names the same structure twice: {listed(twice)}; rename one of them or join them.")
        names.update({key: name for key, name in zip(keys, table, strict=True) if key not in names})
    if not names:
        raise ValueError("the cases have no labels; draw at least one structure.")
    given = {canonical_name(name): target for name, target in (same or {}).items()}
    if unknown := [name for name in (same or {}) if canonical_name(name) not in names]:
        raise ValueError(f"no case has the label {listed(unknown)}; the cases have: {listed(names.values())}.")
    base = {canonical_name(label.name): label for label in card.labels}
    targets: dict[str, str] = {}
    for key, name in names.items():
        target = given.get(key, name)
        known = base.get(canonical_name(target))
        targets[key] = target if known is None else known.name
    _use_one_spelling(targets)
    wanted = set(targets.values())
    kept = [(number, label) for number, label in enumerate(card.labels, start=1) if label.name in wanted]
    new = [name for name in dict.fromkeys(targets.values()) if canonical_name(name) not in base]
    labels = tuple(label for _, label in kept) + _new_labels(new, [label for _, label in kept])
    sources = (*(number for number, _ in kept), *(None for _ in new))
    return LabelPlan(labels, sources, targets, _notes(card, names, targets, new, len(kept)))


def _use_one_spelling(targets: dict[str, str]) -> None:
    spellings: dict[str, str] = {}
    for key, name in targets.items():
        targets[key] = spellings.setdefault(canonical_name(name), name)


def _new_labels(names: Sequence[str], kept: Sequence[Label]) -> tuple[Label, ...]:
    first = 1 + max((label.value for label in kept), default=0)
    return tuple(Label(first + n, name, _color(n)) for n, name in enumerate(names))


def _color(number: int) -> tuple[int, int, int]:
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb((0.3 + number * _HUE_STEP) % 1, 0.6, 0.9))


def _notes(
    card: ModelCard, names: Mapping[str, str], targets: Mapping[str, str], new: Sequence[str], kept: int
) -> tuple[str, ...]:
    notes = []
    for target in dict.fromkeys(targets.values()):
        theirs = [names[key] for key, name in targets.items() if name == target]
        if len(theirs) > 1:
            notes.append(f"{listed(theirs)} of the cases are joined as {listed([target])}.")
        elif theirs[0].lower() != target.lower():
            notes.append(f"{listed(theirs)} of the cases is {listed([target])} of the model.")
    if new:
        notes.append(
            f"New to {card.id}: {listed(new)}; the model has {listed(label.name for label in card.labels[:8])}"
            f"{', ...' if len(card.labels) > 8 else ''}."
        )
    left_out = len(card.labels) - kept
    if left_out and kept:
        notes.append(f"{left_out} of the {len(card.labels)} labels of {card.id} are in no case, and not in the result.")
    return tuple(notes)
