"""The automatic run from end to end: volume -> checked -> prepared -> windows -> labels -> cleaned -> the volume's own grid."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.machine import processor_name, resolve_device
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.finish.clean_labels import clean_labels
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.finish.layers import in_each_layer, layers_of, only
from mednextseg.segment.finish.way_back import activated, nearest_labels, on_resampled_grid
from mednextseg.segment.parts import run_parts
from mednextseg.segment.prepare.input_check import checked_channels, warnings_for
from mednextseg.segment.prepare.prepared_once import PreparedOnce
from mednextseg.segment.prepare.prepared_volume import PreparedVolume
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.segment.progress import Progress, ProgressReporter
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.windows.memory_plan import (
    MemoryPlan,
    available_bytes,
    fallbacks,
    is_out_of_memory,
    plan_memory,
    with_runners_that_fit,
)
from mednextseg.segment.windows.mirrored_views import MirroredView, views_for, within_card
from mednextseg.segment.windows.policy import POLICIES
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount, predict_slabs

_log = logging.getLogger(__name__)
# Of a network of slices: reading a member of an ensemble again then costs little beside what it computes.
_SLICES_AT_ONCE = 16


@dataclass
class SegmentReport:
    """What a run did, for people and for the record.

    Attributes:
        model_id, model_version, weights_sha256, recipe: what makes the run reproducible.
        device, processor: where it ran.
        seconds_by_phase: the wait, part by part: "prepare" (check, resample, normalize), "network", "sum" (weigh and average windows),
            "labels" (resample and reduce class values), "clean up"; the command line adds "read" and "write".
        windows: counted cost.
        memory: predicted bytes.
        labels: what the labelmap holds, by number.
        volumes_ml: by label name.
        regions: where a coarse model found something to look at: "names", "bounds_mm" and "box_to_ras" of the box, whether "enlarged".
        coarse_model: id, version and weights_sha256 of that model.
        warnings: about the input; notes: what was done differently from what was asked, and why.
    """

    model_id: str
    model_version: str
    weights_sha256: tuple[str, ...]
    recipe: dict
    device: str
    processor: str = field(default_factory=processor_name)
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    windows: WindowCount = field(default_factory=WindowCount)
    memory: MemoryPlan | None = None
    labels: list[Label] = field(default_factory=list)
    volumes_ml: dict[str, float] = field(default_factory=dict)
    regions: list[dict] = field(default_factory=list)
    coarse_model: dict | None = None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return asdict(self)


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
    run = partial(_segmented, PreparedOnce(volume_ckji, geometry, roi), report, cancelled)
    if card.parts:
        labelmap_kji = run_parts(model, kept, recipe, geometry.voxel_volume_mm3, progress, run)
    else:
        labelmap_kji = run(model, recipe, progress)
    labelmap_kji = only(labelmap_kji, card.labels, kept)
    if roi is not None:
        labelmap_kji[..., ~roi.mask(geometry)] = 0
    report.labels, report.volumes_ml = kept, volumes_ml(labelmap_kji, kept, geometry)
    return labelmap_kji, report


def _segmented(
    volume: PreparedOnce,
    report: SegmentReport,
    cancelled: Callable[[], bool] | None,
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
    sliding = sliding_window_for(card, recipe, report.device)
    report.notes += _notes_on_views(sliding, card)
    windows, seconds = report.windows, report.seconds_by_phase  # of the parts before
    crop_kji, label_seconds = _predict(_Run(prepared, model, recipe, report, reporter), sliding)
    reporter.report("clean up", 0.0)
    labelmap_kji = in_each_layer(prepared.restore, _cleaned(crop_kji, prepared, card))
    reporter.report("clean up", 1.0)
    reporter.finish()
    own = _seconds_by_phase(reporter, report.windows, label_seconds)
    report.seconds_by_phase = {phase: round(seconds.get(phase, 0.0) + spent, 3) for phase, spent in own.items()}
    report.windows = windows.plus(report.windows)
    return labelmap_kji


def volumes_ml(labelmap_kji: np.ndarray, labels: Sequence[Label], geometry: Geometry) -> dict[str, float]:
    """Volume of each label in milliliters, by name, of a labelmap or of layers."""
    counts = np.zeros(np.iinfo(labelmap_kji.dtype).max + 1, dtype=np.int64)
    for plane in labelmap_kji.reshape(-1, *labelmap_kji.shape[-2:]):  # bincount makes 64 bit numbers of what it is given
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return {label.name: float(counts[label.value] * geometry.voxel_volume_mm3 / 1000) for label in labels}


def sliding_window_for(card: ModelCard, recipe: SegmentRecipe, device: str) -> SlidingWindow:
    """The sliding window that a recipe asks for, on a torch device."""
    return SlidingWindow(
        patch_kji=tuple(card.patch_size_kji),
        overlap=card.overlap if recipe.overlap is None else recipe.overlap,
        views=views_for(card, recipe.tta_views) if recipe.tta else (MirroredView(),),
        average=card.average,
        activation=card.activation,
        padding=card.padding,
        batch_size=recipe.batch_size,
        runners=torch.get_num_threads() if device == "cpu" else 1,
        device=device,
        sum_on=device,
        slices_at_once=_SLICES_AT_ONCE if card.slice_by_slice else 1,
        weights=card.window_weights,
        policy=POLICIES[card.window_layout](),
    )


def _notes_on_views(sliding: SlidingWindow, card: ModelCard) -> list[str]:
    beyond = "The views asked for go beyond those the model card allows; sides may be confused."
    return [] if within_card(sliding.views, card) else [beyond]


@dataclass(frozen=True)
class _Run:
    """What the steps of one run share."""

    prepared: PreparedVolume
    model: LoadedModel
    recipe: SegmentRecipe
    report: SegmentReport
    reporter: ProgressReporter


def _predict(run: _Run, sliding: SlidingWindow) -> tuple[np.ndarray, float]:
    """As `_reduced`, stepping down the ladder of fallbacks as far as memory asks for it."""
    prepared, report = run.prepared, run.report
    planned = partial(
        plan_memory,
        run.model.network_config,
        run.model.num_outputs,
        prepared.network_geometry.shape_kji,
        prepared.source.shape_kji,
    )
    sliding = with_runners_that_fit(sliding, planned)
    ladder = fallbacks(sliding)
    while True:
        report.memory = planned(sliding)
        # Planned on disk rather than tried: running into the limit can take other programs down with us.
        too_much = sliding.device == "cpu" and report.memory.needed > available_bytes() and sliding.sum_on != "disk"
        if not too_much:
            try:
                report.device = sliding.device
                return _reduced(run, sliding)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                _log.warning("out of memory with %s: %s", sliding, error)
        try:
            sliding, note = next(ladder)
        except StopIteration:
            gigabytes = report.memory.total / 1e9
            raise MemoryError(
                f"this run needs about {gigabytes:.1f} GB even with the leanest sliding window; close other programs, choose a region "
                "of interest or a smaller model."
            ) from None
        report.notes.append(note)


def _reduced(run: _Run, sliding: SlidingWindow) -> tuple[np.ndarray, float]:
    """Labels on the cropped grid, and the seconds that reducing class values to them took."""
    model, prepared, report = run.model, run.prepared, run.report
    card = model.card
    background = [0] if card.activation == "softmax" else []
    is_activated = card.interpolated == "activations"
    grid = prepared.resampled or prepared.network_geometry
    to_nearest = card.interpolated == "labels"
    reduction = LabelReduction(
        grid.shape_kji,
        grid.shape_kji if to_nearest else prepared.crop_geometry.shape_kji,
        background + [label.value for label in card.labels],
        card.activation,
        threshold=0.5 if is_activated or card.average == "probabilities" else 0.0,
        labels_overlap=card.labels_overlap,
        nearest_axis=prepared.coarse_axis,
        lines_kji=None if to_nearest else prepared.lines_kji,
    )
    networks = model.network_loaders(sliding.device, run.recipe.precision)[: None if run.recipe.ensemble else 1]
    report.windows = WindowCount()
    slabs = predict_slabs(
        prepared.image_ckji, networks, model.num_outputs, sliding, report.windows, lambda f: run.reporter.report("network", f)
    )
    slabs = on_resampled_grid(activated(slabs, card.activation) if is_activated else slabs, prepared)
    label_seconds = 0.0
    for k_start, values in slabs:
        start = time.perf_counter()
        reduction.add(k_start, values)
        label_seconds += time.perf_counter() - start
    labelmap_kji = layers_of(reduction.labelmap_kji, card.labels) if card.labels_overlap else reduction.labelmap_kji
    return labelmap_kji, label_seconds


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
