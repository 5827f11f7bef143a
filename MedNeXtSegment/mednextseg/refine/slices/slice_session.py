"""One slice being corrected: the prompts so far and the last answer."""

from dataclasses import dataclass, replace

import numpy as np

from mednextseg.refine.prompter import Cancel, Embedding, Prompter, Result, obey_prompts
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.strokes import Stroke, mask_after_lassos

_REACH = 0.8  # of the object's side there: so far from a click its answer and what was there before count about equally
_SUREST = 6.0  # log odds


@dataclass(frozen=True, eq=False)
class SliceState:
    """What Refinement's undo restores: saved, not computed again, because the same prompts in another order give another mask.

    Attributes:
        prompts: the user's points, box and strokes; the mask is kept apart in `result`.
        result: the answer to them; None before the first prompt.
        answer: (H, W) probability that the prompter gave, where a whole object has changed the result since.
    """

    prompts: Prompts
    result: Result | None
    answer: np.ndarray | None = None


class SliceSession:
    """Prompts on one slice and the answers to them.

    Args:
        prompter: the network that turns prompts into a mask.
        embedding: of this slice, from prompter.encode.
        start_mask: (H, W) probability of the automatic result, the first mask prompt; None to start from nothing.
        object_side_px: on a slice of a whole object, the root of its area there. A box is then answered without the mask, as who draws
            one has found the object wrong; a click where nothing is yet means something about as large. None elsewhere.

    Attributes:
        state: the prompts and the answer now; a saved one may be put back.
    """

    def __init__(
        self,
        prompter: Prompter,
        embedding: Embedding,
        start_mask: np.ndarray | None = None,
        object_side_px: float | None = None,
    ) -> None:
        self.prompter, self.embedding, self.object_side_px = prompter, embedding, object_side_px
        has_start = start_mask is not None and (np.asarray(start_mask) > 0.5).any()
        self.start_mask = np.array(start_mask, np.float32) if has_start else None
        self.state = SliceState(Prompts(), None)

    @property
    def prompts(self) -> Prompts:
        """The user's points, box and strokes."""
        return self.state.prompts

    @property
    def probability(self) -> np.ndarray:
        """(H, W) float32: the last answer, or the start before the first."""
        if self.state.result is not None:
            return self.state.result.probability
        return np.zeros(self.embedding.image_rc.shape, np.float32) if self.start_mask is None else self.start_mask

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool."""
        return self.probability > 0.5

    def add_point(self, point_rc: np.ndarray, positive: bool, cancel: Cancel | None = None) -> Result:
        """A click at a continuous (row, col); answers from the last mask and all prompts.

        Raises:
            PromptCancelledError: when `cancel` said so; the session is then as before.
        """
        before = self.probability
        result = self._answer(self.prompts.with_point(point_rc, positive), self._last_mask(), cancel)
        if self.object_side_px is None or (before > 0.5).any():
            return result
        changed = changed_near(before, result.probability, np.asarray(point_rc, float), _REACH * self.object_side_px)
        result = replace(result, probability=obey_prompts(changed, self.prompts))
        result.probability.setflags(write=False)
        self.state = replace(self.state, result=result)
        return result

    def keep_point(self, point_rc: np.ndarray, positive: bool) -> None:
        """A click that is not answered, because a newer one is on its way: the mask stays, the next answer obeys both."""
        self.state = replace(self.state, prompts=self.prompts.with_point(point_rc, positive))

    def set_box(self, box: np.ndarray, cancel: Cancel | None = None) -> Result:
        """A box r0, c0, r1, c1 (half-open); it starts a new object in it."""
        prompts = self.prompts.with_box(box)
        return self._answer(prompts, self._start(prompts), cancel)

    def ask(self, prompts: Prompts, cancel: Cancel | None = None) -> Result:
        """Other prompts in the place of those so far, answered from the last mask where they have one."""
        return self._answer(prompts.with_mask(None), None if prompts.mask is None else self._last_mask(), cancel)

    def add_stroke(self, stroke: Stroke, cancel: Cancel | None = None) -> Result:
        """A scribble or lasso; answers from the last mask, to which a lasso adds or from which it takes, and all prompts."""
        mask = mask_after_lassos(self._last_mask(), (stroke,), self.embedding.image_rc.shape)
        return self._answer(self.prompts.with_stroke(stroke), mask, cancel)

    def remove_box(self, cancel: Cancel | None = None) -> Result | None:
        """Take the box away and answer the clicks anew from the start mask, which is shown again where there are none."""
        return self._answer_the_rest(self.prompts.with_box(None), cancel)

    def remove_point(self, index: int, cancel: Cancel | None = None) -> Result | None:
        """Take one click away and answer what is left anew, as `remove_box` does."""
        return self._answer_the_rest(self.prompts.without_point(index), cancel)

    def remove_stroke(self, index: int, cancel: Cancel | None = None) -> Result | None:
        """Take one stroke away and answer what is left anew, as `remove_box` does."""
        return self._answer_the_rest(self.prompts.without_stroke(index), cancel)

    def _start(self, prompts: Prompts) -> np.ndarray | None:
        """The mask to answer anew from."""
        start = None if self.object_side_px is not None and prompts.box is not None else self.start_mask
        return mask_after_lassos(start, prompts.strokes, self.embedding.image_rc.shape)

    def _answer_the_rest(self, prompts: Prompts, cancel: Cancel | None) -> Result | None:
        if prompts.is_empty:
            self.state = SliceState(prompts, None)
            return None
        return self._answer(prompts, self._start(prompts), cancel)

    def _last_mask(self) -> np.ndarray | None:
        return self.start_mask if self.state.result is None else self.state.result.probability

    def _answer(self, prompts: Prompts, mask: np.ndarray | None, cancel: Cancel | None) -> Result:
        last = self.state.result
        state = last.state if last is not None and mask is last.probability else None
        result = self.prompter.predict(self.embedding, prompts.with_mask(mask), state, cancel)
        result.probability.setflags(write=False)
        self.state = SliceState(replace(prompts, mask=None), result)
        return result


def changed_near(before_rc: np.ndarray, after_rc: np.ndarray, point_rc: np.ndarray, reach_px: float) -> np.ndarray:
    """(H, W) float32: one probability near a point, another one far from it; their log odds weighed by a Gaussian."""
    rows, cols = (np.arange(count) - place for count, place in zip(after_rc.shape, point_rc, strict=True))
    weight = np.exp(-(rows[:, None] ** 2 + cols**2) / (2 * reach_px**2))
    odds = (1 - weight) * _log_odds(before_rc) + weight * _log_odds(after_rc)
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def _log_odds(probability_rc: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.clip(np.log(probability_rc) - np.log1p(-probability_rc), -_SUREST, _SUREST)
