"""The policy "coarse": a first look at windows side by side, then at those around what it found, and at as many others as a budget allows.

Overlapping windows look at every voxel several times; the first look is the fewest of the same windows that look at each voxel once. A
window near anything that it found is never skipped. The others are looked at in the order of how nearly something was found in them, within
the share of all windows that the budget allows up to there: planes leave as the run goes on, so no window can wait for the whole volume.
Skip, crop and full are the choices of Med-DANet V2 (Wang et al. 2023), without its decision network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod

import numpy as np
from torch import Tensor

from mednextseg.segment.windows.air import AirRule
from mednextseg.segment.windows.layout import Shape, Window, WindowGrid
from mednextseg.segment.windows.policy import Crop, Decided, Decision, Step

# What was found is kept in cubes of so many voxels; a cube with one such voxel counts as found.
_CUBE = 4
# Networks without volumes to look back into leave in steps of so many slices.
_SLICES_A_STEP = 16


@dataclass(frozen=True)
class CoarsePolicy:
    """See above.

    Attributes:
        budget: share of all windows to look at, in [0, 1]; it is exceeded where the first look alone needs more, or finds more.
        margin_kji: voxels around what was found that count as near.
        wanted: channels of the network's output that count as found where they win.
        threshold: over which a wanted channel counts as found where channels do not compete; None where the largest one wins.
        divisor_kji: of the sizes that the network takes, for crops.
        air: rule for windows that are never looked at.
    """

    budget: float
    margin_kji: Shape
    wanted: tuple[int, ...]
    threshold: float | None
    divisor_kji: Shape
    air: AirRule | None = None
    name: str = "coarse"

    def plan(self, grid: WindowGrid, image_ckji: np.ndarray, rows_at_once: int, members: int) -> "CoarsePlan":
        return CoarsePlan(self, grid, image_ckji)

    def fewest(self, grid: WindowGrid) -> int:
        return max(prod(map(len, grid.covering_kji)), ceil(self.budget * grid.count))

    def planes_ahead(self, grid: WindowGrid) -> int:
        stages = _stages(grid, self.margin_kji[0])
        return max(stage.first[-1] - stage.start for stage in stages)


@dataclass(frozen=True)
class _Stage:
    """Rows that are decided on together.

    Attributes:
        start, stop: the K starts of the rows, half open.
        first: K starts of the first look that must be seen before, those of earlier stages among them.
    """

    start: int
    stop: int
    first: tuple[int, ...]


class CoarsePlan:
    """The windows of one volume.

    Args:
        policy: the rules.
        grid: all windows.
        image_ckji: what the network looks at, padded.
    """

    def __init__(self, policy: CoarsePolicy, grid: WindowGrid, image_ckji: np.ndarray) -> None:
        self._policy, self._grid, self._image_ckji = policy, grid, image_ckji
        cover = [set(starts) for starts in grid.covering_kji]
        first = [w for w in grid.windows if all(s in c for s, c in zip(w.start_kji, cover, strict=True))]
        self._first = {window: self._unless_air(window) for window in first}
        self._rest = [window for window in grid.windows if window not in self._first]
        # By how much a wanted channel came out above the others, or below, at best: found from 0 on.
        self._lead = np.full([-(-n // _CUBE) for n in grid.shape_kji], -np.inf, dtype=np.float32)
        self._looked_at = self._passed = 0

    def steps(self) -> Iterator[Step]:
        """A step is the rest of a stage, and what is next of the first look."""
        seen_before = -1
        rest: list[Decided] = []
        for stage in _stages(self._grid, self._policy.margin_kji[0]):
            new = [w for w in self._first if seen_before < w.start_kji[0] <= stage.first[-1]]
            seen_before = max(seen_before, stage.first[-1])
            yield Step([*rest, *((window, self._first[window]) for window in new)], stage.start)
            rest = self._decided(stage)
        yield Step(rest, self._grid.shape_kji[0])

    def saw(self, window: Window, values: Tensor) -> None:
        """Only the first look counts, which is the same for every budget, so that a lower budget never finds more to look at."""
        if window not in self._first:
            return
        start = window.start_kji
        lead = _lead(values, self._policy).cpu().numpy()
        front = [s % _CUBE for s in start]
        back = [-(s + n) % _CUBE for s, n in zip(start, lead.shape, strict=True)]
        padded = np.pad(lead, list(zip(front, back, strict=True)), constant_values=-np.inf)
        cubes = padded.reshape([part for n in padded.shape for part in (n // _CUBE, _CUBE)]).max(axis=(1, 3, 5))
        place = self._lead[tuple(slice(s // _CUBE, s // _CUBE + n) for s, n in zip(start, cubes.shape, strict=True))]
        np.maximum(place, cubes, out=place)

    def _unless_air(self, window: Window) -> Decision:
        air = self._policy.air
        return "skip" if air is not None and air.holds(self._image_ckji, window, self._grid.patch_kji) else "full"

    def _decided(self, stage: _Stage) -> list[Decided]:
        """Every window of the rest of a stage, in the order of the grid."""
        rest = [window for window in self._rest if stage.start <= window.start_kji[0] < stage.stop]
        candidates = [window for window in rest if self._unless_air(window) == "full"]
        near = {window for window in candidates if self._lead[self._cubes(window, self._policy.margin_kji)].max() >= 0}
        firsts = [made for window, made in self._first.items() if stage.start <= window.start_kji[0] < stage.stop]
        self._passed += len(firsts) + len(rest)
        self._looked_at += firsts.count("full") + len(near)
        others = sorted((w for w in candidates if w not in near), key=lambda w: -self._lead[self._cubes(w, (0, 0, 0))].max())
        allowed = max(0, min(len(others), ceil(self._policy.budget * self._passed) - self._looked_at))
        self._looked_at += allowed
        paid = set(others[:allowed])
        return [(w, self._near(w) if w in near else "full" if w in paid else "skip") for w in rest]

    def _near(self, window: Window) -> Decision:
        """A window that must be looked at: all of it, or where money is short the part around what was found, if that is small."""
        policy, patch = self._policy, self._grid.patch_kji
        found = np.argwhere(self._lead[self._cubes(window, policy.margin_kji)] >= 0) * _CUBE
        corner = [(max(0, s - m) // _CUBE) * _CUBE for s, m in zip(window.start_kji, policy.margin_kji, strict=True)]
        low = found.min(axis=0) + corner - policy.margin_kji - window.start_kji
        high = found.max(axis=0) + _CUBE + corner + policy.margin_kji - window.start_kji
        offset, size = [], []
        for first, last, n, divisor in zip(
            low.clip(0).tolist(), np.minimum(high, patch).tolist(), patch, policy.divisor_kji, strict=True
        ):
            length = min(n, -(-max(last - first, n // 2) // divisor) * divisor)
            offset.append(min(max(0, (first + last - length) // 2), n - length))
            size.append(length)
        # By the budget alone: a lower one then never costs more, however windows are spent elsewhere.
        is_small = prod(size) <= (1 - 2 * policy.budget) * prod(patch)
        return Crop(tuple(offset), tuple(size)) if is_small else "full"

    def _cubes(self, window: Window, margin_kji: Sequence[int]) -> tuple[slice, ...]:
        """Of the window and a margin."""
        sides = zip(window.start_kji, self._grid.patch_kji, margin_kji, strict=True)
        return tuple(slice(max(0, start - m) // _CUBE, -(-(start + n + m) // _CUBE)) for start, n, m in sides)


def _stages(grid: WindowGrid, margin_k: int) -> list[_Stage]:
    """The rows in groups, each with all of the first look that can touch one of its windows or their margin."""
    cover, patch = grid.covering_kji[0], grid.patch_kji[0]
    starts = cover[:: _SLICES_A_STEP if patch == 1 else 1]
    stages = []
    for start, stop in pairwise((*starts, grid.shape_kji[0])):
        last = max(k for k in grid.starts_kji[0] if k < stop)
        stages.append(_Stage(start, stop, tuple(k for k in cover if k < last + patch + margin_k)))
    return stages


def _lead(values: Tensor, policy: CoarsePolicy) -> Tensor:
    """(K, J, I): the best wanted channel less the best other one, or less the threshold."""
    wanted = list(policy.wanted)
    best = values[wanted].amax(dim=0)
    if policy.threshold is not None:
        return best - policy.threshold
    others = [channel for channel in range(len(values)) if channel not in policy.wanted]
    return best - values[others].amax(dim=0)
