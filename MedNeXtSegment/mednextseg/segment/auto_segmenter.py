"""The automatic run from end to end: volume -> checked -> prepared -> windows -> labels -> cleaned -> the volume's own grid."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.machine import resolve_device
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.bank import opened_bank
from mednextseg.segment.finish.clean_labels import clean_labels
from mednextseg.segment.finish.layers import in_each_layer, only
from mednextseg.segment.finish.way_back import nearest_labels
from mednextseg.segment.network_run import NetworkRun, predict_labels, sliding_window_for
from mednextseg.segment.parts import run_parts
from mednextseg.segment.prepare.input_check import checked_channels, warnings_for
from mednextseg.segment.prepare.prepared_once import PreparedOnce
from mednextseg.segment.prepare.prepared_volume import PreparedVolume
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.segment.progress import Progress, ProgressReporter
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.segment_report import SegmentReport, volumes_ml
from mednextseg.segment.window_choice import policy_for
from mednextseg.segment.windows.learned_policy import LearnedPolicy
from mednextseg.segment.windows.mirrored_views import within_card
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount


def segment(
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
) -> tuple[np.ndarray, SegmentReport]:
    """Segment a volume where it is told to; `find_and_segment` finds the place where the model's card says how.

    Args:
        volume: (K, J, I), or (channels, K, J, I) in the card's channel order; any real dtype, never changed.
        geometry: where the volume lies.
        model: from `load_model`.
        roi: label only inside this region (RAS mm); a margin around it is looked at as context.
        labels: names of the labels to keep; None for all.
        recipe: what to do otherwise than the card says; None for the card's defaults.
        device: "auto", "cpu", "cuda:N" or "mps".
        progress, cancelled: called with phase, fraction and seconds left; asked between windows, True stops.
        whole: insist on the whole of a large volume with a model that needs a region.
    Returns:
        The labelmap, uint8 (int16 beyond 255 labels), same shape as one channel, values as in the card; and the report. Labels that
        overlap come as (layers, K, J, I), a layer for each of `report.labels`.
    Raises:
        ValueError: for input that cannot be segmented, in one sentence.
        Cancelled: where the caller stopped the run.
        MemoryError: where even the leanest sliding window needs too much.
    """
    recipe = recipe or SegmentRecipe()
    card = recipe.applied_to(model.card)
    kept = [card.label_named(name) for name in labels] if labels is not None else list(card.labels)
    report = SegmentReport(card.id, card.version, card.weights_sha256, recipe.to_dict(), resolve_device(device))
    volume_ckji = checked_channels(volume, geometry, card)
    report.warnings = [*check_region(geometry, card, roi, whole), *warnings_for(volume_ckji, geometry, card)]
    if card.previous_labels:
        raise ValueError(f"{card.id} is one stage of a cascade and needs the labels of the stage before; run the whole model.")
    image, names = PreparedOnce(volume_ckji, geometry, roi, report.device), {label.name for label in kept}
    run = partial(_segmented, image, report, cancelled, names)
    by_parts = partial(run_parts, model, kept, recipe, geometry.voxel_volume_mm3, progress, run)
    labelmap_kji = by_parts() if card.parts else run(model, recipe, progress)
    labelmap_kji = only(labelmap_kji, card.labels, kept)
    if roi is not None:
        labelmap_kji[..., ~roi.mask(geometry)] = 0
    report.labels, report.volumes_ml = kept, volumes_ml(labelmap_kji, kept, geometry)
    return labelmap_kji, report


def _segmented(
    volume: PreparedOnce,
    report: SegmentReport,
    cancelled: Callable[[], bool] | None,
    wanted: Collection[str],
    model: LoadedModel,
    recipe: SegmentRecipe,
    progress: Callable[[Progress], None] | None,
    previous_kji: np.ndarray | None = None,
) -> np.ndarray:
    """All labels of one network, or of several that are averaged, on the volume's grid; also in the margin around a region.

    Adds to the report; `previous_kji` are the labels of the stage before, of a cascade.
    """
    card, reporter = recipe.applied_to(model.card), ProgressReporter(progress, cancelled)
    reporter.report("prepare", 0.0)
    prepared = volume.prepare(card, previous_kji)
    spacing_kji_mm = prepared.network_geometry.spacing_kji_mm
    policy = policy_for(card, recipe, model.network_config, spacing_kji_mm, wanted, prepared.air_below)
    others = opened_bank(policy.learned, card) if isinstance(policy, LearnedPolicy) else ()
    sliding = replace(sliding_window_for(card, recipe, report.device), policy=policy)
    report.notes += _notes_on_views(sliding, card)
    windows, seconds = report.windows, report.seconds_by_phase  # of the parts before
    crop_kji, label_seconds = predict_labels(NetworkRun(prepared, model, recipe, report, reporter, others), sliding)
    reporter.report("clean up", 0.0)
    labelmap_kji = in_each_layer(prepared.restore, _cleaned(crop_kji, prepared, card))
    reporter.report("clean up", 1.0)
    reporter.finish()
    own = _seconds_by_phase(reporter, report.windows, label_seconds)
    report.seconds_by_phase = {phase: round(seconds.get(phase, 0.0) + spent, 3) for phase, spent in own.items()}
    report.windows = windows.plus(report.windows)
    report.window_policy = policy.name
    return labelmap_kji


def _notes_on_views(sliding: SlidingWindow, card: ModelCard) -> list[str]:
    beyond = "The views asked for go beyond those the model card allows; sides may be confused."
    return [] if within_card(sliding.views, card) else [beyond]


def _cleaned(labelmap_kji: np.ndarray, prepared: PreparedVolume, card: ModelCard) -> np.ndarray:
    """Clean labels on the cropped grid; those that are brought there as labels are cleaned where the network made them."""
    if card.interpolated != "labels":
        return clean_labels(labelmap_kji, card, prepared.crop_geometry.voxel_volume_mm3)
    grid = prepared.resampled or prepared.network_geometry
    return in_each_layer(partial(nearest_labels, prepared=prepared), clean_labels(labelmap_kji, card, grid.voxel_volume_mm3))


def _seconds_by_phase(reporter: ProgressReporter, windows: WindowCount, label_seconds: float) -> dict[str, float]:
    """The reporter's phases, with that of the network divided into what happens during it."""
    seconds = {}
    for phase, spent in reporter.seconds_by_phase.items():
        if phase == "network":
            summing = max(0.0, spent - windows.network_seconds - label_seconds)
            seconds |= {"network": windows.network_seconds, "sum": summing, "labels": label_seconds}
        else:
            seconds[phase] = spent
    return {phase: round(spent, 3) for phase, spent in seconds.items()}
