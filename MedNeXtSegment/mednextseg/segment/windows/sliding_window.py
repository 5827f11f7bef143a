"""The network over a whole volume: overlapping windows, weighted by a Gaussian, summed in slabs that are handed on as they finish.

Windows are visited along K. Once no later window touches a plane it is complete and leaves, so that never more than one patch depth of
logits is held, however long the volume and however many labels (nnU-Net keeps them all; Isensee et al. 2021, supplementary note 4, for
the windows and weights themselves).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import groupby, islice, product

import numpy as np
import torch
from torch import Tensor

from mednextseg.segment.windows.mirrored_views import MirroredView
from mednextseg.segment.windows.policy import FullPolicy, Window, WindowPolicy
from mednextseg.segment.windows.runners import WindowRunners
from mednextseg.segment.windows.running_sum import RunningSum

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SlidingWindow:
    """How the windows are laid, weighted and averaged.

    Attributes:
        patch_kji: window size, which the network must accept.
        overlap: of neighboring windows, in [0, 1).
        views: of every window, over which the outputs are averaged (TTA); by default the window itself.
        average: "logits" (nnU-Net v2) or "probabilities" (softmax before averaging, nnU-Net v1).
        activation: of those probabilities, "softmax" or "sigmoid".
        padding: "edge" or "zero", for images smaller than the patch.
        batch_size: windows that the network gets in one call.
        runners: calls at once, each on one thread; 1 gives every call all threads.
        device: of the network.
        sum_on: device of the running sums, or "disk" for a memory-mapped file where memory is short.
        slices_at_once: consecutive starts along K whose windows are worked on together: 1, or more for windows one slice deep, so
            that the members of an ensemble take turns every few slices only.
        weights: of a window's voxels in the average: "gaussian", "gaussian_centered" or "constant".
        policy: which windows there are.
    """

    patch_kji: tuple[int, int, int]
    overlap: float = 0.5
    views: tuple[MirroredView, ...] = (MirroredView(),)
    average: str = "logits"
    activation: str = "softmax"
    padding: str = "edge"
    batch_size: int = 1
    runners: int = 1
    device: str = "cpu"
    sum_on: str = "cpu"
    slices_at_once: int = 1
    weights: str = "gaussian"
    policy: WindowPolicy = field(default_factory=FullPolicy)


@dataclass
class WindowCount:
    """What a run cost, filled in while it goes: windows by decision, forward passes of the network, and the seconds they took."""

    full: int = 0
    skip: int = 0
    forward_passes: int = 0
    network_seconds: float = 0.0

    def plus(self, other: "WindowCount") -> "WindowCount":
        """Both together."""
        return WindowCount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def predict_slabs(
    image_ckji: np.ndarray,
    networks: Sequence[Callable[[], Network]],
    num_outputs: int,
    sliding: SlidingWindow,
    count: WindowCount,
    report: Callable[[float], None] = lambda fraction: None,
) -> Iterator[tuple[int, Tensor]]:
    """Run the networks over a volume.

    Args:
        image_ckji: float32 (channels, K, J, I).
        networks: one loader for each member of the ensemble; one member is asked for at a time.
        num_outputs: channels of the networks' output.
        sliding: windows and averaging.
        count: receives the cost.
        report: called between windows with the done fraction; may raise to stop.
    Yields:
        (k, values): averaged logits or probabilities, float32 (num_outputs, planes, J, I) on the CPU, for the planes from k on, in order.
    """
    padded_ckji, offset_kji = padded_to_patch(image_ckji, sliding.patch_kji, sliding.padding)
    windows = sliding.policy.plan(padded_ckji, sliding.patch_kji, sliding.overlap)
    rows = [list(row) for _, row in groupby(windows, key=lambda window: window.start_kji[0] // sliding.slices_at_once)]
    inside = tuple(slice(o, o + n) for o, n in zip(offset_kji[1:], image_ckji.shape[2:], strict=True))
    done, total = 0, max(1, len(windows) * len(networks) * len(sliding.views))
    runners = WindowRunners(sliding.runners, lambda: report(done / total))
    shape_kji, patch_kji, at_once = padded_ckji.shape[1:], sliding.patch_kji, sliding.slices_at_once
    with RunningSum(num_outputs, shape_kji, patch_kji, sliding.sum_on, at_once, sliding.weights) as sums, runners:
        # Members take turns row by row, so that one patch depth of sums does; a single network goes through all rows at once.
        for together in [rows] if len(networks) == 1 else [[row] for row in rows]:
            for load_network in networks:
                start = time.perf_counter()
                network = load_network()
                count.network_seconds += time.perf_counter() - start
                batches = _wanted(padded_ckji, together, sliding, count)
                pairs = product(batches, sliding.views)
                jobs = [partial(_values_of, padded_ckji, *pair, network, sliding) for pair in pairs]
                values = _averages(runners.in_order(jobs), len(sliding.views))
                for batch, averages in zip(batches, values, strict=True):
                    begun = batch if len(networks) == 1 else together[0]  # other members begin where their row does
                    yield from _within(sums.finish_before(begun[0].start_kji[0]), offset_kji[0], image_ckji.shape[1], inside)
                    for window, average in zip(batch, averages, strict=True):
                        sums.add(window.start_kji, average)
                    done += len(batch) * len(sliding.views)
                    count.forward_passes += len(sliding.views)
        count.network_seconds += runners.seconds_waited
        report(1.0)
        yield from _within(sums.finish_before(padded_ckji.shape[1]), offset_kji[0], image_ckji.shape[1], inside)


def padded_to_patch(image_ckji: np.ndarray, patch_kji: Sequence[int], padding: str) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Pad to at least one patch, evenly on both sides, with "edge" voxels or "zero"; also the offset of the image in there."""
    missing = [max(0, p - n) for p, n in zip(patch_kji, image_ckji.shape[1:], strict=True)]
    offset = tuple(m // 2 for m in missing)
    if not any(missing):
        return image_ckji, offset
    widths = [(0, 0), *((o, m - o) for o, m in zip(offset, missing, strict=True))]
    return np.pad(image_ckji, widths, mode="edge" if padding == "edge" else "constant"), offset


def _within(
    slabs: Iterator[tuple[int, Tensor]], k_offset: int, k_length: int, inside: tuple[slice, ...]
) -> Iterator[tuple[int, Tensor]]:
    """Cut slabs of the padded image back to the image's own planes, rows and columns."""
    for k, values in slabs:
        first, last = max(k, k_offset), min(k + values.shape[1], k_offset + k_length)
        if first < last:
            yield first - k_offset, values[:, first - k : last - k, inside[0], inside[1]]


def _wanted(
    padded_ckji: np.ndarray, rows: Sequence[Sequence[Window]], sliding: SlidingWindow, count: WindowCount
) -> list[list[Window]]:
    """The windows that the policy does not skip, in batches; a batch lies within a row, because whole rows leave the sums."""
    batches = []
    for row in rows:
        decisions = [sliding.policy.decide(padded_ckji, window, sliding.patch_kji) for window in row]
        wanted = [window for window, decision in zip(row, decisions, strict=True) if decision == "full"]
        count.full += len(wanted)
        count.skip += len(row) - len(wanted)
        batches += [wanted[first : first + sliding.batch_size] for first in range(0, len(wanted), sliding.batch_size)]
    return batches


def _values_of(
    padded_ckji: np.ndarray, batch: Sequence[Window], view: MirroredView, network: Network, sliding: SlidingWindow
) -> Tensor:
    """(N, outputs, K, J, I): logits or probabilities of one view of the windows of a batch, turned back."""
    patches = torch.stack([torch.from_numpy(_patch(padded_ckji, window, sliding.patch_kji)) for window in batch])
    with torch.inference_mode():
        values = network(view.apply(patches.to(sliding.device)))
        if sliding.average == "probabilities":
            values = values.softmax(dim=1) if sliding.activation == "softmax" else values.sigmoid()
        return view.undo(values)


def _patch(padded_ckji: np.ndarray, window: Window, patch_kji: Sequence[int]) -> np.ndarray:
    part = tuple(slice(start, start + n) for start, n in zip(window.start_kji, patch_kji, strict=True))
    return np.ascontiguousarray(padded_ckji[(slice(None), *part)])


def _averages(values_of_views: Iterator[Tensor], views: int) -> Iterator[Tensor]:
    """The mean of each `views` successive values."""
    for values in values_of_views:
        total = values
        for other in islice(values_of_views, views - 1):
            total = total + other
        yield total / views if views > 1 else total
