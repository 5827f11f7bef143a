"""Models of several networks that run one after the other: parts with labels of their own, and cascades.

The parts of a package are packages themselves, each with its card: every one takes the whole way from the volume to labels on the
volume's grid. Of parts that are merged, later ones write over earlier ones, as TotalSegmentator does; of a cascade, each stage sees the
labels of the one before and only the last one's count, as in nnU-Net.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from mednextseg.labels.label import Label
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.finish.clean_labels import clean_labels
from mednextseg.segment.progress import Progress
from mednextseg.segment.recipe import SegmentRecipe

Notify = Callable[[Progress], None]


class PartRun(Protocol):
    """Runs one part: model, recipe, whom to tell of progress, labels of the stage before (None for none) -> labelmap (K, J, I)."""

    def __call__(
        self, model: LoadedModel, recipe: SegmentRecipe, progress: Notify | None, previous_kji: np.ndarray | None, /
    ) -> np.ndarray: ...


def run_parts(
    model: LoadedModel,
    kept: Sequence[Label],
    recipe: SegmentRecipe,
    voxel_volume_mm3: float,
    progress: Notify | None,
    run: PartRun,
) -> np.ndarray:
    """Labels of all parts together, in the numbers of the model's card, cleaned up as the model as a whole asks for.

    Args:
        model: with parts.
        kept: the labels that are wanted; merged parts that have none of them are left out.
        recipe: of the whole run.
        voxel_volume_mm3: of the volume's voxels.
        progress: told of the whole run.
        run: see PartRun.
    """
    card = model.card
    parts = [part for part in model.parts if card.combination == "cascade" or _numbers_of(part.card, kept)]
    # What the recipe says of labels is for all of them together; clean-up of its own a part only leaves out where asked.
    own_recipe = replace(recipe, postprocessing={}, component_rules=None if recipe.component_rules is None else ())
    started = time.monotonic()
    labelmap_kji: np.ndarray | None = None
    for number, part in enumerate(parts):
        previous_kji = labelmap_kji if card.combination == "cascade" else None
        found_kji = run(part, own_recipe, _share(progress, number, len(parts), started), previous_kji)
        part.forget_networks()
        if card.combination == "cascade":
            labelmap_kji = found_kji
            continue
        if labelmap_kji is None:
            labelmap_kji = np.zeros(found_kji.shape, dtype=_dtype(card))
        _paint(labelmap_kji, found_kji, _numbers_of(part.card, card.labels))
    return clean_labels(labelmap_kji, recipe.applied_to(card), voxel_volume_mm3)


def _share(progress: Notify | None, number: int, count: int, started: float) -> Notify | None:
    """Tells of a part as its share of the whole run."""
    if progress is None:
        return None

    def notify(of_part: Progress) -> None:
        fraction = (number + of_part.fraction) / count
        left = (time.monotonic() - started) * (1 - fraction) / fraction if fraction > 0 else None
        progress(Progress(of_part.phase, fraction, left))

    return notify


def _numbers_of(card: ModelCard, labels: Sequence[Label]) -> dict[int, int]:
    """A part's own number -> the number of the label of the same name."""
    numbers = {label.name: label.value for label in labels}
    return {label.value: numbers[label.name] for label in card.labels if label.name in numbers}


def _paint(labelmap_kji: np.ndarray, found_kji: np.ndarray, numbers: dict[int, int]) -> None:
    table = np.zeros(int(found_kji.max()) + 1, dtype=labelmap_kji.dtype)
    for own, number in numbers.items():
        if own < len(table):
            table[own] = number
    for plane, found in zip(labelmap_kji, found_kji, strict=True):
        painted = table[found]
        np.copyto(plane, painted, where=painted > 0)


def _dtype(card: ModelCard) -> type[np.integer]:
    return np.uint8 if max(label.value for label in card.labels) <= np.iinfo(np.uint8).max else np.int16
