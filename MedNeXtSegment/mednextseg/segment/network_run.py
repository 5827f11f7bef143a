"""The network over a prepared volume, within the memory there is: class values become labels as they come."""

import logging
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod

import numpy as np
import torch
from torch import nn

from mednextseg.models.families import NetworkConfig, build_network, number_of_axes
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard
from mednextseg.networks.forward_cost import multiply_adds
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.finish.label_reduction_on_device import LabelReductionOnDevice
from mednextseg.segment.finish.layers import layers_of
from mednextseg.segment.finish.way_back import activated, on_resampled_grid
from mednextseg.segment.prepare.prepared_volume import PreparedVolume
from mednextseg.segment.progress import ProgressReporter
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.segment_report import SegmentReport
from mednextseg.segment.windows.layout import Shape
from mednextseg.segment.windows.memory_plan import (
    fallbacks,
    fits,
    is_out_of_memory,
    plan_memory,
    with_runners_that_fit,
)
from mednextseg.segment.windows.mirrored_views import MirroredView, views_for
from mednextseg.segment.windows.skip_map import LookedAt
from mednextseg.segment.windows.sliding_window import OtherNetwork, SlidingWindow, WindowCount, predict_slabs

_log = logging.getLogger(__name__)
# Of a network of slices: reading a member of an ensemble again then costs little beside what it computes.
_SLICES_AT_ONCE = 16


def sliding_window_for(card: ModelCard, recipe: SegmentRecipe, device: str) -> SlidingWindow:
    """The sliding window that a recipe asks for, on a torch device."""
    return SlidingWindow(
        patch_kji=tuple(card.patch_size_kji),
        overlap=card.overlap if recipe.overlap is None else recipe.overlap,
        views=views_for(card, recipe.tta_views) if recipe.tta or card.tta else (MirroredView(),),
        average=card.average,
        activation=card.activation,
        padding=card.padding,
        batch_size=recipe.batch_size,
        runners=torch.get_num_threads() if device == "cpu" else 1,
        device=device,
        sum_on=device,
        slices_at_once=_SLICES_AT_ONCE if card.slice_by_slice else 1,
        weights=card.window_weights,
        layout=card.window_layout,
    )


@dataclass(frozen=True)
class NetworkRun:
    """What the steps of one run share; `others` are the cheaper models of a bank."""

    prepared: PreparedVolume
    model: LoadedModel
    recipe: SegmentRecipe
    report: SegmentReport
    reporter: ProgressReporter
    others: tuple[LoadedModel, ...] = ()


def predict_labels(run: NetworkRun, sliding: SlidingWindow) -> tuple[np.ndarray, float]:
    """Labels on the cropped grid, and the seconds that reducing class values to them took.

    Steps down the ladder of fallbacks as far as memory asks for it.
    """
    prepared, report = run.prepared, run.report
    planned = partial(
        plan_memory,
        run.model.network_config,
        run.model.num_outputs,
        prepared.network_geometry.shape_kji,
        prepared.source.shape_kji,
        others=tuple(other.network_config for other in run.others),
    )
    sliding = with_runners_that_fit(sliding, planned)
    ladder = fallbacks(sliding)
    while True:
        report.memory = planned(sliding)
        if fits(report.memory, sliding):
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


def _reduced(run: NetworkRun, sliding: SlidingWindow) -> tuple[np.ndarray, float]:
    """Labels on the cropped grid, and the seconds that reducing class values to them took."""
    model, prepared, report = run.model, run.prepared, run.report
    card = model.card
    background = [0] if card.activation == "softmax" else []
    is_activated = card.interpolated == "activations"
    grid = prepared.resampled or prepared.network_geometry
    to_nearest = card.interpolated == "labels"
    sums_are_on_card = sliding.sum_on not in ("cpu", "disk")
    reduction = (LabelReductionOnDevice if sums_are_on_card else LabelReduction)(
        grid.shape_kji,
        grid.shape_kji if to_nearest else prepared.crop_geometry.shape_kji,
        background + [label.value for label in card.labels],
        card.activation,
        threshold=threshold_of(card),
        labels_overlap=card.labels_overlap,
        nearest_axis=prepared.coarse_axis,
        lines_kji=None if to_nearest else prepared.lines_kji,
    )
    networks = model.network_loaders(sliding.device, run.recipe.precision)[: None if run.recipe.ensemble else 1]
    report.windows, decisions = WindowCount(), []
    slabs = predict_slabs(
        prepared.image_ckji,
        networks,
        model.num_outputs,
        sliding,
        report.windows,
        lambda f: run.reporter.report("network", f),
        decisions,
        partial(multiply_adds_of, model.network_config),
        [_other_network(other, sliding.device, run.recipe.precision) for other in run.others],
    )
    slabs = on_resampled_grid(activated(slabs, card.activation) if is_activated else slabs, prepared)
    label_seconds = 0.0
    for k_start, values in slabs:
        report.windows.network_seconds += _seconds_until_done(sliding.device)
        start = time.perf_counter()
        reduction.add(k_start, values)
        label_seconds += time.perf_counter() - start
    report.looked_at[-1].append(LookedAt(prepared.without_image(), sliding.patch_kji, decisions))
    labelmap_kji = layers_of(reduction.labelmap_kji, card.labels) if card.labels_overlap else reduction.labelmap_kji
    return labelmap_kji, label_seconds


def _seconds_until_done(device: str) -> float:
    """Waits for a card, which only takes note of what it is to compute; what it is waited for are the windows."""
    start = time.perf_counter()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _other_network(model: LoadedModel, device: str, precision: str) -> OtherNetwork:
    return OtherNetwork(model.network_loaders(device, precision)[0], partial(multiply_adds_of, model.network_config))


def threshold_of(card: ModelCard) -> float:
    """Over which a channel's averages make its label where channels do not compete."""
    return 0.5 if card.interpolated == "activations" or card.average == "probabilities" else 0.0


@lru_cache(maxsize=64)
def multiply_adds_of(config: NetworkConfig, size_kji: Shape) -> int:
    """Of a forward pass over a window of this size; a network of slices takes them one by one."""

    def build() -> nn.Module:
        network = build_network(config)
        network.deep_supervision = False
        return network

    first = len(size_kji) - number_of_axes(config)
    return prod(size_kji[:first]) * multiply_adds(build, (1, config.in_channels, *size_kji[first:]))
