"""The policies "dynamic" and "bank": a small network decides on every window before any of them is looked at.

"dynamic" skips windows, crops them or looks at all of them (Med-DANet V2, Wang et al. 2023); "bank" gives each window to the cheapest of
several models whose answer is good enough (Med-DANet, Wang et al. 2022). Both are trained by `mednextseg adapt --policy`.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from mednextseg.models.learned_windows import LearnedWindows
from mednextseg.segment.windows.air import AirRule
from mednextseg.segment.windows.layout import Shape, Window, WindowGrid
from mednextseg.segment.windows.option_choice import chosen_options
from mednextseg.segment.windows.policy import Crop, Decision, Other, RowPlan
from mednextseg.segment.windows.window_features import window_features


@dataclass(frozen=True)
class LearnedPolicy:
    """See above.

    Attributes:
        learned: the decision network and what it was made for.
        budget: share of what looking at every window costs; "dynamic" exceeds it where windows that are not empty need more.
        air: rule for windows that are never looked at.
    """

    learned: LearnedWindows
    budget: float
    air: AirRule | None = None

    @property
    def name(self) -> str:
        return self.learned.facts.kind

    def plan(self, grid: WindowGrid, image_ckji: np.ndarray, rows_at_once: int, members: int) -> RowPlan:
        decisions = self._decisions(grid, image_ckji)
        return RowPlan(decisions.__getitem__, grid, None if members == 1 else rows_at_once)

    def fewest(self, grid: WindowGrid) -> int:
        """By what windows took in training: what is in the volume is not known yet."""
        return max(1, ceil(max(self.budget, self.learned.facts.least) * grid.count))

    def planes_ahead(self, grid: WindowGrid) -> int:
        return 0

    def _decisions(self, grid: WindowGrid, image_ckji: np.ndarray) -> dict[Window, Decision]:
        facts, network = self.learned.facts, self.learned.network
        features = window_features(image_ckji, grid)
        with torch.inference_mode():
            falls_short = network.falls_short(features).double().numpy()
            positions = network.positions(features).numpy() if facts.crop_kji is not None else np.zeros((grid.count, 3))
        options = chosen_options(falls_short, np.array(facts.costs), self.budget, facts.kind == "dynamic")
        decided = zip(grid.windows, options.tolist(), positions, strict=True)
        return {window: self._decision(window, option, at, grid, image_ckji) for window, option, at in decided}

    def _decision(
        self, window: Window, option: int, position: np.ndarray, grid: WindowGrid, image_ckji: np.ndarray
    ) -> Decision:
        facts = self.learned.facts
        if self.air is not None and self.air.holds(image_ckji, window, grid.patch_kji):
            return "skip"
        if option == len(facts.costs) - 1:
            return "full"
        if facts.crop_kji is None:
            return Other(option)
        return "skip" if option == 0 else crop_at(position, facts.patch_kji, facts.crop_kji)


def crop_at(position: np.ndarray, patch_kji: Shape, crop_kji: Shape) -> Crop:
    """The crop at a position from 0 to 1 along each axis of the window."""
    room = [patch - crop for patch, crop in zip(patch_kji, crop_kji, strict=True)]
    return Crop(tuple(round(float(at) * n) for at, n in zip(position, room, strict=True)), crop_kji)
