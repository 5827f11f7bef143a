"""Which windows of a volume the network looks at: a policy plans them in steps, and decides on each of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Protocol

import numpy as np
from torch import Tensor

from mednextseg.segment.windows.air import AirRule
from mednextseg.segment.windows.layout import Shape, Window, WindowGrid


@dataclass(frozen=True)
class Crop:
    """The part of a window that the network looks at: a box from `offset_kji` on within the window, `size_kji` voxels large."""

    offset_kji: Shape
    size_kji: Shape


@dataclass(frozen=True)
class Other:
    """The whole window, but by another network than the run's own: its place among those that the policy brings."""

    number: int


Decision = Literal["skip", "full"] | Crop | Other
Decided = tuple[Window, Decision]


@dataclass(frozen=True)
class Step:
    """Decisions that do not depend on each other.

    Attributes:
        decided: the windows with what is decided on them.
        next_k: no window of a later step starts before this plane.
    """

    decided: Sequence[Decided]
    next_k: int


class WindowPlan(Protocol):
    """The windows of one volume, each decided on once."""

    def steps(self) -> Iterator[Step]:
        """The steps in their order; the next one is asked for when the windows of the last one have been seen."""

    def saw(self, window: Window, values: Tensor) -> None:
        """Take note of the class values (C, K, J, I) of a window, or of its part that was looked at."""


class WindowPolicy(Protocol):
    """`FullPolicy` is the reference that all others are measured against."""

    name: str

    def plan(self, grid: WindowGrid, image_ckji: np.ndarray, rows_at_once: int, members: int) -> WindowPlan:
        """Plan the windows of a volume.

        Args:
            grid: all windows.
            image_ckji: what the network looks at, padded.
            rows_at_once: planes along K whose windows may come in one step where members of an ensemble take turns.
            members: of the ensemble.
        """

    def fewest(self, grid: WindowGrid) -> int:
        """How many windows are looked at where nothing is found; planned before any voxel is there."""

    def planes_ahead(self, grid: WindowGrid) -> int:
        """How far along K windows may start behind a plane that a later window still touches."""


@dataclass(frozen=True)
class FullPolicy:
    """Every window; those of only air are skipped where there is a rule for it (the policy "background").

    Every window that holds a voxel which is no air is looked at, so the averages at these voxels are those of the full run, bit for bit.
    """

    air: AirRule | None = None

    @property
    def name(self) -> str:
        return "full" if self.air is None else "background"

    def plan(self, grid: WindowGrid, image_ckji: np.ndarray, rows_at_once: int, members: int) -> "RowPlan":
        def decide(window: Window) -> Decision:
            is_air = self.air is not None and self.air.holds(image_ckji, window, grid.patch_kji)
            return "skip" if is_air else "full"

        return RowPlan(decide, grid, None if members == 1 else rows_at_once)

    def fewest(self, grid: WindowGrid) -> int:
        return grid.count

    def planes_ahead(self, grid: WindowGrid) -> int:
        return 0


@dataclass(frozen=True)
class RowPlan:
    """Everything is decided before anything is seen: one step for all windows, or one for each `rows_at_once` planes of starts."""

    decide: Callable[[Window], Decision]
    grid: WindowGrid
    rows_at_once: int | None

    def steps(self) -> Iterator[Step]:
        windows = self.grid.windows
        rows = groupby(windows, lambda window: 0 if self.rows_at_once is None else window.start_kji[0] // self.rows_at_once)
        for _, row in rows:
            decided = [(window, self.decide(window)) for window in row]
            yield Step(decided, decided[-1][0].start_kji[0] + 1)

    def saw(self, window: Window, values: Tensor) -> None:
        """Nothing depends on it."""
