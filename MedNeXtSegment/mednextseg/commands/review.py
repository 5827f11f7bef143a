"""`mednextseg segment --review N`: the slices to review, where a model is least sure."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from mednextseg.geometry import Geometry

if TYPE_CHECKING:
    from mednextseg.models.loaded_model import LoadedModel
    from mednextseg.segment.recipe import SegmentRecipe
    from mednextseg.segment.roi import RegionOfInterest

# Neighboring slices are unsure in the same places.
GAP_MM = 3.0


def review_of(
    volume: np.ndarray,
    geometry: Geometry,
    model: "LoadedModel",
    roi: "RegionOfInterest | None",
    names: Sequence[str],
    recipe: "SegmentRecipe",
    device: str,
    whole: bool,
    count: int,
) -> list[dict]:
    """The fields of at most `count` ReviewSlice, most uncertain first; arguments as for `find_and_segment`,
    and the names of the segments that the run made."""
    from mednextseg.evaluate.review import predict_review_slices, worst_first_with_gap  # noqa: PLC0415

    found = predict_review_slices(volume, geometry, model, roi, recipe, device, whole=whole)
    kept = [item for item in found if item.label in names]
    return [asdict(item) for item in worst_first_with_gap(kept, count, GAP_MM)]


def print_review(slices: Sequence[dict]) -> None:
    """A line a slice; nothing for none."""
    if slices:
        print(f"{'look first at':30s} {'R, A, S (mm)':>24s} {'uncertain mm2':>14s} {'segment mm2':>12s}")
    for item in slices:
        place = ", ".join(f"{mm:.1f}" for mm in item["center_ras"])
        print(f"{item['label']:30s} {place:>24s} {item['uncertain_mm2']:14.1f} {item['segment_mm2']:12.1f}")
