"""From a volume to what a decision network learns: windows, and how good each way of looking at them would have been.

What counts as right is the run that the policy saves on, over every window by the best model; so no labels are needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mednextseg.adapt.window_policy.recorded_runs import RecordedRun, recorded_run
from mednextseg.adapt.window_policy.window_scores import window_dice, window_shares
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.windows.layout import Shape, Window, WindowGrid
from mednextseg.segment.windows.learned_policy import crop_at
from mednextseg.segment.windows.policy import Decision
from mednextseg.segment.windows.sliding_window import SlidingWindow, padded_to_patch
from mednextseg.segment.windows.window_features import window_features


@dataclass(frozen=True)
class WindowPairs:
    """The windows of one volume or more.

    Attributes:
        features: (windows, features).
        scores: (windows, options) in [0, 1], from the cheapest option to the best.
        positions: (windows, 3) where a crop should lie; NaN for windows without a structure, and for a bank.
    """

    features: Tensor
    scores: np.ndarray
    positions: np.ndarray

    @classmethod
    def joined(cls, parts: "Sequence[WindowPairs]") -> "WindowPairs":
        """Those of several volumes."""
        arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "positions"))
        return cls(torch.cat([part.features for part in parts]), *arrays)


@dataclass(frozen=True)
class PairMaker:
    """What looks at the volumes.

    Attributes:
        sliding: every window of the best model, without views.
        best: the model whose windows are decided on.
        others: the cheaper models of a bank, from the cheapest on.
        crop_kji: of a cropped window; None for a bank.
        report: called with the done fraction of each run; may raise to stop.
    """

    sliding: SlidingWindow
    best: LoadedModel
    others: tuple[LoadedModel, ...]
    crop_kji: Shape | None
    report: Callable[[float], None] = lambda fraction: None

    def pairs(self, image_ckji: np.ndarray) -> WindowPairs:
        """Look at a prepared volume in every way."""
        padded_ckji, _ = padded_to_patch(image_ckji, self.sliding.patch_kji, self.sliding.padding)
        grid = self.sliding.grid(padded_ckji.shape[1:])
        full = self._run(padded_ckji, self.best, lambda window: "full")
        right = {window: full.labels_kji[window.slices(grid.patch_kji)] for window in grid.windows}
        if self.crop_kji is None:
            positions = np.full((grid.count, 3), np.nan)
            cheaper = [self._run(padded_ckji, other, lambda window: "full").windows for other in self.others]
        else:
            positions = np.stack([_position(right[window], self.crop_kji) for window in grid.windows])
            cheaper = [{}, self._cropped(padded_ckji, grid, positions)]
        nothing, shares = np.zeros(grid.patch_kji, dtype=np.uint8), window_shares(grid, self.sliding.weights)
        scores = [
            [window_dice(way.get(window, nothing), right[window], share) for way in (*cheaper, full.windows)]
            for window, share in zip(grid.windows, shares, strict=True)
        ]
        return WindowPairs(window_features(padded_ckji, grid), np.array(scores), positions)

    def _run(self, padded_ckji: np.ndarray, model: LoadedModel, decide: Callable[[Window], Decision]) -> RecordedRun:
        load = model.network_loaders(self.sliding.device)[0]
        return recorded_run(padded_ckji, load, model.num_outputs, self.sliding, decide, self.report)

    def _cropped(self, padded_ckji: np.ndarray, grid: WindowGrid, positions: np.ndarray) -> dict[Window, np.ndarray]:
        """What crops say, as whole windows."""
        where = dict(zip(grid.windows, positions, strict=True))
        crops = {w: crop_at(at, grid.patch_kji, self.crop_kji) for w, at in where.items() if not np.isnan(at).any()}
        run = self._run(padded_ckji, self.best, lambda window: crops.get(window, "skip"))
        answers = {}
        for window, inside in run.windows.items():
            answers[window] = np.zeros(grid.patch_kji, dtype=np.uint8)
            box = zip(crops[window].offset_kji, self.crop_kji, strict=True)
            answers[window][tuple(slice(start, start + n) for start, n in box)] = inside
        return answers


def _position(labels_kji: np.ndarray, crop_kji: Shape) -> np.ndarray:
    """Where a crop lies whose middle is that of the box around all structures, from 0 to 1; NaN where there is none."""
    found = np.argwhere(labels_kji > 0)
    if not len(found):
        return np.full(3, np.nan)
    middle = (found.min(axis=0) + found.max(axis=0) + 1) / 2
    room = np.subtract(labels_kji.shape, crop_kji)
    return ((middle - np.array(crop_kji) / 2) / np.maximum(room, 1)).clip(0, 1)
