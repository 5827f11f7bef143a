"""Slices to review: where a model was least sure, by the probabilities averaged over mirrored views and folds.

The measure is the binary entropy of a segment's probability in bits: 0 where the network is sure, 1 at one half. Summed over a slice it
is an area: so many square millimeters are as good as undecided.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mednextseg.geometry import Geometry
from mednextseg.machine import resolve_device
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.segment.find_and_segment import find_regions
from mednextseg.segment.fine_runs import labels_by_side
from mednextseg.segment.network_run import sliding_window_for
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.prepare.region_check import check_region, finds_own_region
from mednextseg.segment.progress import SharedProgress
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.windows.sliding_window import WindowCount, predict_slabs

# A segment's probability must reach this somewhere in a slice for the slice to be offered: below, there is nothing to correct.
_MIN_PROBABILITY = 0.1


@dataclass(frozen=True)
class ReviewSlice:
    """One slice of one segment.

    Attributes:
        label: the segment.
        center_ras: in mm; the entropy's center of mass, where the slice views should go.
        uncertain_mm2: entropy (bits) summed over the slice.
        segment_mm2: the segment's expected area in the slice (probabilities summed).
    """

    label: str
    center_ras: tuple[float, float, float]
    uncertain_mm2: float
    segment_mm2: float


def binary_entropy(probability: Tensor) -> Tensor:
    """Entropy in bits of a yes/no question, elementwise: 0 at 0 and 1, 1 at one half."""
    return (torch.special.entr(probability) + torch.special.entr(1 - probability)) / float(np.log(2))


def review_slices(probability_ckji: np.ndarray, geometry: Geometry, labels: Sequence[str]) -> list[ReviewSlice]:
    """Slices along K, most uncertain first.

    Args:
        probability_ckji: float (labels, K, J, I): each segment's probability, without the background.
        geometry: of that grid.
        labels: names in the order of the channels.
    """
    return _sorted(_slices_of(0, torch.from_numpy(probability_ckji), geometry, labels))


def predict_review_slices(
    volume: np.ndarray,
    geometry: Geometry,
    model: LoadedModel,
    roi: RegionOfInterest | None = None,
    recipe: SegmentRecipe | None = None,
    device: str = "auto",
    progress: Callable[[float], None] = lambda fraction: None,
    whole: bool = False,
    open_model: Callable[[str], LoadedModel] = load_model,
) -> list[ReviewSlice]:
    """Run a model's folds over all mirror images its card allows, and list the slices of the network's grid to review.

    Slabs are reduced as they come: full-size probabilities never exist. Slices are those of the network's K axis, which is axial for
    models with an orientation such as RAS.

    Args:
        volume, geometry, model, roi, device, whole, open_model: as for `find_and_segment`.
        recipe: of the run to review; mirrored views are averaged and every window is looked at, whatever it says about them.
        progress: called with the done fraction; may raise to stop.
    Returns:
        Most uncertain first, by the names of the segments that such a run makes.
    Raises:
        ValueError: as `find_and_segment` does.
    """
    if model.card.parts:
        raise ValueError(
            f"{model.card.id} is several models in one; slices in doubt can only be found for one, so take one of its parts."
        )
    recipe, card = replace(recipe or SegmentRecipe(), tta=True, budget=1.0, window_policy=None), model.card
    if not finds_own_region(geometry, card, roi, whole):
        check_region(geometry, card, roi, whole)
        return _sorted(_predicted(volume, geometry, model, roi, recipe, device, progress))
    shared = SharedProgress(lambda p: progress(p.fraction))
    coarse = open_model(card.region_from.model)
    regions, _ = find_regions(volume, geometry, card, coarse, device, shared.part(0, 0.5))
    by_side, found = labels_by_side(card, card.labels), []
    for number, region in enumerate(regions):
        names = {label.name: named.name for label, named in zip(card.labels, by_side[region.side], strict=True)}

        def forward(fraction: float, number: int = number) -> None:
            progress(0.5 + 0.5 * (number + fraction) / len(regions))

        slices = _predicted(volume, geometry, model, region.roi, recipe, device, forward)
        found += [replace(item, label=names[item.label]) for item in slices]
    return _sorted(found)


def _predicted(
    volume: np.ndarray,
    geometry: Geometry,
    model: LoadedModel,
    roi: RegionOfInterest | None,
    recipe: SegmentRecipe,
    device: str,
    progress: Callable[[float], None],
) -> list[ReviewSlice]:
    """In one region, or everywhere for None; arguments as `predict_review_slices`."""
    card = recipe.applied_to(model.card)
    device = resolve_device(device)
    prepared = prepare(checked_channels(volume, geometry, card), geometry, card, roi)
    sliding = replace(sliding_window_for(card, recipe, device), average="probabilities")
    networks = model.network_loaders(device, recipe.precision)[: None if recipe.ensemble else 1]
    slabs = predict_slabs(prepared.image_ckji, networks, model.num_outputs, sliding, WindowCount(), progress)
    names = [label.name for label in card.labels]
    background = 1 if card.activation == "softmax" else 0
    # The margin around a region was only looked at as context.
    inside_kji = None if roi is None else torch.from_numpy(roi.mask(prepared.network_geometry))
    found: list[ReviewSlice] = []
    for k_start, values_ckji in slabs:
        probability_ckji = values_ckji[background:].cpu()
        if inside_kji is not None:
            probability_ckji = probability_ckji * inside_kji[k_start : k_start + values_ckji.shape[1]]
        found += _slices_of(k_start, probability_ckji, prepared.network_geometry, names)
    return found


def _sorted(slices: Sequence[ReviewSlice]) -> list[ReviewSlice]:
    return sorted(slices, key=lambda s: -s.uncertain_mm2)


def worst_first_with_gap(slices: Sequence[ReviewSlice], count: int, gap_mm: float) -> list[ReviewSlice]:
    """The first `count` slices that lie at least `gap_mm` apart for the same label: neighbors show the same problem twice."""
    kept: list[ReviewSlice] = []
    for candidate in slices:
        near = (s for s in kept if s.label == candidate.label)
        if all(np.linalg.norm(np.subtract(s.center_ras, candidate.center_ras)) >= gap_mm for s in near):
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept


def _slices_of(k_start: int, probability_ckji: Tensor, geometry: Geometry, labels: Sequence[str]) -> list[ReviewSlice]:
    """The reviewable slices of a slab whose first plane is `k_start`."""
    _, dj, di = geometry.spacing_kji_mm
    found = []
    for name, probability_kji in zip(labels, probability_ckji.clamp(0, 1).double(), strict=True):
        entropy_kji = binary_entropy(probability_kji)
        for plane in torch.nonzero(probability_kji.amax(dim=(1, 2)) >= _MIN_PROBABILITY).flatten().tolist():
            entropy_ji = entropy_kji[plane]
            total = float(entropy_ji.sum())
            if total == 0:
                continue
            j = float(entropy_ji.sum(dim=1) @ torch.arange(entropy_ji.shape[0], dtype=torch.float64)) / total
            i = float(entropy_ji.sum(dim=0) @ torch.arange(entropy_ji.shape[1], dtype=torch.float64)) / total
            r, a, s = geometry.ras_from_ijk(np.array([i, j, k_start + plane])).tolist()
            area = float(probability_kji[plane].sum()) * dj * di
            found.append(ReviewSlice(name, (r, a, s), total * dj * di, area))
    return found
