"""A run that finds its own regions: a coarse model over the whole volume, then the fine one in boxes around what that found.

Where the card names no coarse model, or a region is given, this is `auto_segmenter.segment` and nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.json_values import listed
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.fine_runs import COARSE_PHASE, FineRuns, joined_report
from mednextseg.segment.prepare.region_check import finds_own_region
from mednextseg.segment.progress import Progress, SharedProgress
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.segment_report import SegmentReport
from mednextseg.segment.windows.coarse_to_fine import FoundRegion, regions_around, united

# Of the whole wait; only the progress bar depends on it.
_COARSE_SHARE = 0.7


def find_and_segment(
    volume: np.ndarray,
    geometry: Geometry,
    model: LoadedModel,
    roi: RegionOfInterest | None = None,
    labels: Sequence[str] | None = None,
    recipe: SegmentRecipe | None = None,
    device: str = "auto",
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    whole: bool = False,
    open_model: Callable[[str], LoadedModel] = load_model,
) -> tuple[np.ndarray, SegmentReport]:
    """Segment a volume, and find the region first where none is given and the model's card says how (`region_from`).

    A region that cuts its result off is enlarged once. Where that does not suffice, or nothing is found at all, the whole volume is
    looked at, unless the model only knows boxes around its structure: then the enlarged region stays, or the run ends with a sentence.
    Where the coarse structures have sides and the model's labels have none, each label comes once for each side.

    Args:
        volume, geometry, model, roi, labels, recipe, device, progress, cancelled, whole: as for `auto_segmenter.segment`.
        open_model: opens the coarse model by its id.
    Returns:
        The labelmap and the report as there; `report.labels` says what the labelmap holds, `report.regions` what was found where.
    Raises:
        ValueError, Cancelled, MemoryError: as there, and ValueError where no region is found that the model could look at.
    """
    recipe, card = recipe or SegmentRecipe(), model.card
    if not finds_own_region(geometry, card, roi, whole):
        labelmap_kji, report = segment(volume, geometry, model, roi, labels, recipe, device, progress, cancelled, whole)
        if roi is None and not whole and card.region_from is not None and not card.needs_region:
            report.notes.append(f"The model {card.region_from.model} is not installed, so the whole volume was looked at.")
        return labelmap_kji, report
    kept = [card.label_named(name) for name in labels] if labels is not None else list(card.labels)
    recipe.applied_to(card)  # a slip in it comes before the wait
    shared = SharedProgress(progress)
    coarse = open_model(card.region_from.model)
    on_progress = shared.part(0, _COARSE_SHARE, COARSE_PHASE)
    regions, coarse_report = find_regions(volume, geometry, card, coarse, device, on_progress, cancelled)
    runs = FineRuns(volume, geometry, model, kept, recipe, device, shared.part(_COARSE_SHARE, 1), cancelled)
    if regions:
        runs.look_at(regions)
    else:
        runs.look_everywhere(f"{coarse.card.id} found no {' and no '.join(card.region_from.labels)} in the volume")
    return runs.labelmap_kji, joined_report(runs, coarse.card, coarse_report)


def find_regions(
    volume: np.ndarray,
    geometry: Geometry,
    card: ModelCard,
    coarse: LoadedModel,
    device: str,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[list[FoundRegion], SegmentReport]:
    """The boxes in which a model is to look, by what the coarse one finds in the whole volume; and the report of that run.

    Mirrored views, which sharpen borders, are left out: the boxes have a margin.

    Raises:
        ValueError: where the volume does not suit the coarse model, or has no channel for it.
    """
    source = card.region_from
    channels_kji = _channels_for(volume, card, coarse.card)
    labelmap_kji, report = segment(
        channels_kji,
        geometry,
        coarse.without_views(),
        labels=source.labels,
        device=device,
        progress=progress,
        cancelled=cancelled,
    )
    found = regions_around(labelmap_kji, geometry, report.labels, source.margin_mm)
    if source.together:
        return [reduce(FoundRegion.union, found.values())] if found else [], report
    return united([replace(region, side=source.side(name, card.labels)) for name, region in found.items()]), report


def _channels_for(volume: np.ndarray, card: ModelCard, coarse: ModelCard) -> np.ndarray:
    """The fine model's channels that the coarse one looks at: those of its names, or the first where it wants one only."""
    names = [channel.name for channel in card.channels]
    wanted = [channel.name for channel in coarse.channels]
    if len(names) == 1 == len(wanted):
        return volume
    if len(wanted) == 1 and wanted[0] not in names:
        return volume[0]
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(
            f"the model {coarse.id}, which finds the region, needs the channel {listed(missing)} and {card.id} only has "
            f"{listed(names)}; give a region of interest."
        )
    return volume[[names.index(name) for name in wanted]]
