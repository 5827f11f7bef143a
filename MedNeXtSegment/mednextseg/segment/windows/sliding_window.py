"""The network over a whole volume: overlapping windows, weighted by a Gaussian, summed in slabs that are handed on as they finish.

Windows are visited along K. Once no later window touches a plane it is complete and leaves, so that never more than one patch depth of
logits is held, however long the volume and however many labels (nnU-Net keeps them all; Isensee et al. 2021, supplementary note 4, for
the windows and weights themselves).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import accumulate, groupby, islice, product

import numpy as np
import torch
from torch import Tensor

from mednextseg.segment.windows.layout import Shape, WindowGrid
from mednextseg.segment.windows.mirrored_views import MirroredView
from mednextseg.segment.windows.policy import Crop, Decided, Decision, FullPolicy, Other, WindowPlan, WindowPolicy
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
        layout: "even" or "dense", see layout.py.
        policy: which of the windows are looked at.
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
    layout: str = "even"
    policy: WindowPolicy = field(default_factory=FullPolicy)

    def grid(self, shape_kji: Sequence[int]) -> WindowGrid:
        """The windows of a volume of this shape."""
        return WindowGrid.laid(shape_kji, self.patch_kji, self.overlap, self.layout)

    def planes_ahead(self, grid: WindowGrid) -> int:
        """How far along K windows may start behind a plane that is still being added to."""
        return self.slices_at_once - 1 + self.policy.planes_ahead(grid)


@dataclass
class WindowCount:
    """What a run cost, filled in while it goes: windows by decision, forward passes of the network, and the seconds they took.

    `other` windows were looked at in full, but by a cheaper network than the run's own.
    `multiply_adds` are counted from shapes and not measured; they are 0 where nobody says what a pass costs.
    """

    full: int = 0
    crop: int = 0
    skip: int = 0
    other: int = 0
    forward_passes: int = 0
    multiply_adds: int = 0
    network_seconds: float = 0.0

    def plus(self, other: "WindowCount") -> "WindowCount":
        """Both together."""
        return WindowCount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class OtherNetwork:
    """One that looks at single windows in place of the run's own: its loader, and the multiply-adds of a forward pass of a size."""

    load: Callable[[], Network]
    multiply_adds_of: Callable[[Shape], int]


def predict_slabs(
    image_ckji: np.ndarray,
    networks: Sequence[Callable[[], Network]],
    num_outputs: int,
    sliding: SlidingWindow,
    count: WindowCount,
    report: Callable[[float], None] = lambda fraction: None,
    decisions: list[Decided] | None = None,
    multiply_adds_of: Callable[[Shape], int] = lambda size_kji: 0,
    others: Sequence[OtherNetwork] = (),
) -> Iterator[tuple[int, Tensor]]:
    """Run the networks over a volume.

    Args:
        image_ckji: float32 (channels, K, J, I).
        networks: one loader for each member of the ensemble; one member is asked for at a time.
        num_outputs: channels of the networks' output.
        sliding: windows and averaging.
        count: receives the cost.
        report: called between windows with the done fraction; may raise to stop.
        decisions: receives every window, on the padded grid, with what was decided on it.
        multiply_adds_of: those of a forward pass of this size.
        others: the networks of the decisions `Other`; there is one network then.
    Yields:
        (k, values): averaged logits or probabilities, float32 (num_outputs, planes, J, I), in order; on the device of the sums.
    """
    padded_ckji, offset_kji = padded_to_patch(image_ckji, sliding.patch_kji, sliding.padding)
    grid, members = sliding.grid(padded_ckji.shape[1:]), len(networks)
    image, plan = _on_device(padded_ckji, sliding), sliding.policy.plan(grid, padded_ckji, sliding.slices_at_once, members)
    inside = tuple(slice(o, o + n) for o, n in zip(offset_kji[1:], image_ckji.shape[2:], strict=True))
    done, total = 0, grid.count * members
    costs_of = [*(other.multiply_adds_of for other in others), multiply_adds_of]
    with _sums(num_outputs, grid, sliding) as sums, WindowRunners(sliding.runners, lambda: report(done / total)) as runners:
        loaded = [_timed(other.load, count) for other in others]
        for step in plan.steps():
            if decisions is not None:
                decisions += step.decided
            batches = _batches(step.decided, sliding)
            done += members * (len(step.decided) - sum(map(len, batches)))
            for load_network in networks:
                by_number = [*loaded, _timed(load_network, count)]
                values = _predicted(image, batches, by_number, sliding, runners)
                for batch, averages, k in zip(batches, values, _untouched_from(batches, step.next_k, members), strict=True):
                    yield from _within(sums.finish_before(k), offset_kji[0], image_ckji.shape[1], inside)
                    _add_values(sums, plan, batch, averages, sliding.patch_kji)
                    done += len(batch)
                _add_cost(count, step.decided, batches, sliding, costs_of)
        count.network_seconds += runners.seconds_waited
        report(1.0)
        yield from _within(sums.finish_before(grid.shape_kji[0]), offset_kji[0], image_ckji.shape[1], inside)


def padded_to_patch(image_ckji: np.ndarray, patch_kji: Sequence[int], padding: str) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Pad to at least one patch, evenly on both sides, with "edge" voxels or "zero"; also the offset of the image in there."""
    missing = [max(0, p - n) for p, n in zip(patch_kji, image_ckji.shape[1:], strict=True)]
    offset = tuple(m // 2 for m in missing)
    if not any(missing):
        return image_ckji, offset
    widths = [(0, 0), *((o, m - o) for o, m in zip(offset, missing, strict=True))]
    return np.pad(image_ckji, widths, mode="edge" if padding == "edge" else "constant"), offset


def _on_device(image_ckji: np.ndarray, sliding: SlidingWindow) -> Tensor:
    """On the network's device, once instead of window by window, where there is room for the sums, which are larger."""
    return torch.from_numpy(image_ckji).to(sliding.device if sliding.sum_on == sliding.device else "cpu")


def _sums(num_outputs: int, grid: WindowGrid, sliding: SlidingWindow) -> RunningSum:
    """Little more than a patch deep: members take turns step by step."""
    ahead = sliding.planes_ahead(grid)
    return RunningSum(num_outputs, grid.shape_kji, sliding.patch_kji, sliding.sum_on, ahead, sliding.weights)


def _timed(load_network: Callable[[], Network], count: WindowCount) -> Network:
    start = time.perf_counter()
    network = load_network()
    count.network_seconds += time.perf_counter() - start
    return network


def _within(
    slabs: Iterator[tuple[int, Tensor]], k_offset: int, k_length: int, inside: tuple[slice, ...]
) -> Iterator[tuple[int, Tensor]]:
    """Cut slabs of the padded image back to the image's own planes, rows and columns."""
    for k, values in slabs:
        first, last = max(k, k_offset), min(k + values.shape[1], k_offset + k_length)
        if first < last:
            yield first - k_offset, values[:, first - k : last - k, inside[0], inside[1]]


def _part(decision: Decision, patch_kji: Shape) -> Crop:
    """What is looked at of a window that is not skipped."""
    return decision if isinstance(decision, Crop) else Crop((0, 0, 0), patch_kji)


def _network_number(decision: Decision) -> int:
    """Which network looks, counting the others first; the run's own is the last."""
    return decision.number if isinstance(decision, Other) else -1


def _batches(decided: Sequence[Decided], sliding: SlidingWindow) -> list[list[Decided]]:
    """What is not skipped, in batches of one size and network; a batch lies within a row, because whole rows leave the sums."""

    def kind(pair: Decided) -> tuple:
        window, decision = pair
        row = window.start_kji[0] // sliding.slices_at_once
        return row, _part(decision, sliding.patch_kji).size_kji, _network_number(decision)

    alike = groupby((pair for pair in decided if pair[1] != "skip"), kind)
    batches = []
    for _, group in alike:
        row = list(group)
        batches += [row[first : first + sliding.batch_size] for first in range(0, len(row), sliding.batch_size)]
    return batches


def _untouched_from(batches: Sequence[Sequence[Decided]], next_k: int, members: int) -> list[int]:
    """For each batch the plane before which neither it nor anything after it adds; other members begin where the step does."""
    firsts = [min(window.start_kji[0] for window, _ in batch) for batch in batches]
    later = list(accumulate([next_k, *reversed(firsts)], min))[:0:-1]
    return later if members == 1 else [min(later, default=0)] * len(batches)


def _add_values(sums: RunningSum, plan: WindowPlan, batch: Sequence[Decided], averages: Tensor, patch_kji: Shape) -> None:
    for (window, decision), average in zip(batch, averages, strict=True):
        sums.add(window.start_kji, average, _part(decision, patch_kji).offset_kji)
        plan.saw(window, average)


def _add_cost(
    count: WindowCount,
    decided: Sequence[Decided],
    batches: Sequence[Sequence[Decided]],
    sliding: SlidingWindow,
    costs_of: Sequence[Callable[[Shape], int]],
) -> None:
    for _, decision in decided:
        name = "crop" if isinstance(decision, Crop) else "other" if isinstance(decision, Other) else decision
        setattr(count, name, getattr(count, name) + 1)
    count.forward_passes += len(batches) * len(sliding.views)
    for batch in batches:
        for _, decision in batch:
            cost = costs_of[_network_number(decision)](_part(decision, sliding.patch_kji).size_kji)
            count.multiply_adds += len(sliding.views) * cost


def _predicted(
    image_ckji: Tensor,
    batches: Sequence[Sequence[Decided]],
    networks: Sequence[Network],
    sliding: SlidingWindow,
    runners: WindowRunners,
) -> Iterator[Tensor]:
    """The values of each batch, averaged over the views; `networks` by `_network_number`."""
    jobs = [
        partial(_values_of, image_ckji, batch, view, networks[_network_number(batch[0][1])], sliding)
        for batch, view in product(batches, sliding.views)
    ]
    return _averages(runners.in_order(jobs), len(sliding.views))


def _values_of(
    image_ckji: Tensor, batch: Sequence[Decided], view: MirroredView, network: Network, sliding: SlidingWindow
) -> Tensor:
    """(N, outputs, K, J, I): logits or probabilities of one view of the windows of a batch, turned back."""
    patches = torch.stack([_patch(image_ckji, decided, sliding.patch_kji) for decided in batch])
    with torch.inference_mode():
        values = network(view.apply(patches.to(sliding.device)))
        if sliding.average == "probabilities":
            values = values.softmax(dim=1) if sliding.activation == "softmax" else values.sigmoid()
        return view.undo(values)


def _patch(image_ckji: Tensor, decided: Decided, patch_kji: Shape) -> Tensor:
    window, part = decided[0], _part(decided[1], patch_kji)
    start_kji = [start + offset for start, offset in zip(window.start_kji, part.offset_kji, strict=True)]
    box = tuple(slice(start, start + n) for start, n in zip(start_kji, part.size_kji, strict=True))
    return image_ckji[(slice(None), *box)]


def _averages(values_of_views: Iterator[Tensor], views: int) -> Iterator[Tensor]:
    """The mean of each `views` successive values."""
    for values in values_of_views:
        total = values
        for other in islice(values_of_views, views - 1):
            total = total + other
        yield total / views if views > 1 else total
