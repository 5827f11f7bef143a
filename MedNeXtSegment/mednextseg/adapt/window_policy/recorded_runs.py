"""Runs that keep what each window alone says, beside the labels that all of them together give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from mednextseg.segment.windows.layout import Window, WindowGrid
from mednextseg.segment.windows.policy import Decision, RowPlan
from mednextseg.segment.windows.sliding_window import Network, SlidingWindow, WindowCount, predict_slabs


@dataclass(frozen=True)
class RecordedRun:
    """One run over a padded volume.

    Attributes:
        labels_kji: uint8, the winners of the averages.
        windows: the winners of each window that was looked at, or of its crop.
    """

    labels_kji: np.ndarray
    windows: Mapping[Window, np.ndarray]


def recorded_run(
    padded_ckji: np.ndarray,
    load_network: Callable[[], Network],
    num_outputs: int,
    sliding: SlidingWindow,
    decide: Callable[[Window], Decision],
    report: Callable[[float], None] = lambda fraction: None,
) -> RecordedRun:
    """Run a network over the windows that `decide` says; arguments as `predict_slabs`."""
    policy = _RecordingPolicy(decide)
    sliding = replace(sliding, policy=policy)
    slabs = predict_slabs(padded_ckji, [load_network], num_outputs, sliding, WindowCount(), report)
    labels_kji = np.concatenate([_winners(values) for _, values in slabs])
    return RecordedRun(labels_kji, policy.windows)


def _winners(values: Tensor) -> np.ndarray:
    return values.argmax(dim=0).cpu().numpy().astype(np.uint8)


@dataclass(frozen=True)
class _RecordingPolicy:
    decide: Callable[[Window], Decision]
    windows: dict[Window, np.ndarray] = field(default_factory=dict)
    name: str = "recording"

    def plan(self, grid: WindowGrid, image_ckji: np.ndarray, rows_at_once: int, members: int) -> "_RecordingPlan":
        return _RecordingPlan(self.decide, grid, None, self.windows)

    def fewest(self, grid: WindowGrid) -> int:
        return grid.count

    def planes_ahead(self, grid: WindowGrid) -> int:
        return 0


@dataclass(frozen=True)
class _RecordingPlan(RowPlan):
    windows: dict[Window, np.ndarray]

    def saw(self, window: Window, values: Tensor) -> None:
        self.windows[window] = _winners(values)
