"""One slice being corrected: the prompts so far, the last answer, undo and redo."""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from mednextseg.refine.prompter import Cancel, Embedding, Prompter, Result
from mednextseg.refine.prompts import Prompts

UNDO_LEVELS = 64


@dataclass(frozen=True, eq=False)
class SliceState:
    """What undo restores: saved, not computed again, because the same prompts in another order give another mask.

    Attributes:
        prompts: the user's points and box; the mask is kept apart in `result`.
        result: the answer to them; None before the first prompt.
    """

    prompts: Prompts
    result: Result | None


class SliceSession:
    """Prompts on one slice and the answers to them.

    Args:
        prompter: who answers.
        embedding: of this slice, from prompter.encode.
        start_mask: (H, W) probability of the automatic result, the first mask prompt; None to start from nothing.
        undo_levels: how many actions can be taken back; each holds one float32 slice.
    """

    def __init__(
        self, prompter: Prompter, embedding: Embedding, start_mask: np.ndarray | None = None, undo_levels: int = UNDO_LEVELS
    ) -> None:
        self.prompter, self.embedding = prompter, embedding
        has_start = start_mask is not None and (np.asarray(start_mask) > 0.5).any()
        self.start_mask = np.array(start_mask, np.float32) if has_start else None
        self.state = SliceState(Prompts(), None)
        self._undone: deque[SliceState] = deque(maxlen=undo_levels)
        self._done: deque[SliceState] = deque(maxlen=undo_levels)

    @property
    def prompts(self) -> Prompts:
        """The user's points and box."""
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

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def add_point(self, point_rc: np.ndarray, positive: bool, cancel: Cancel | None = None) -> Result:
        """A click at a continuous (row, col); answers from the last mask and all prompts.

        Raises:
            PromptCancelledError: when `cancel` said so; the session is then as before.
        """
        return self._answer(self.prompts.with_point(point_rc, positive), self._last_mask(), cancel)

    def keep_point(self, point_rc: np.ndarray, positive: bool) -> None:
        """A click that is not answered, because a newer one is on its way: the mask stays, the next answer obeys both."""
        self._store(SliceState(self.prompts.with_point(point_rc, positive), self.state.result))

    def set_box(self, box: np.ndarray, cancel: Cancel | None = None) -> Result:
        """A box r0, c0, r1, c1 (half-open); it starts a new object in it."""
        return self._answer(self.prompts.with_box(box), self.start_mask, cancel)

    def remove_box(self, cancel: Cancel | None = None) -> Result | None:
        """Take the box away and answer the clicks anew from the start mask, which is shown again where there are none."""
        return self._answer_the_rest(self.prompts.with_box(None), cancel)

    def remove_point(self, index: int, cancel: Cancel | None = None) -> Result | None:
        """Take one click away and answer what is left anew, as `remove_box` does."""
        return self._answer_the_rest(self.prompts.without_point(index), cancel)

    def clear(self) -> None:
        """Take all prompts away; the start mask is shown again."""
        self._store(SliceState(Prompts(), None))

    def undo(self) -> bool:
        """Restore the state before the last action; False where there is none."""
        return self._move(self._done, self._undone)

    def redo(self) -> bool:
        """Restore the state that was undone last; False where there is none."""
        return self._move(self._undone, self._done)

    def _answer_the_rest(self, prompts: Prompts, cancel: Cancel | None) -> Result | None:
        if prompts.is_empty:
            return self._store(SliceState(prompts, None))
        return self._answer(prompts, self.start_mask, cancel)

    def _last_mask(self) -> np.ndarray | None:
        return self.start_mask if self.state.result is None else self.state.result.probability

    def _answer(self, prompts: Prompts, mask: np.ndarray | None, cancel: Cancel | None) -> Result:
        last = self.state.result
        state = last.state if last is not None and mask is last.probability else None
        result = self.prompter.predict(self.embedding, prompts.with_mask(mask), state, cancel)
        result.probability.setflags(write=False)
        self._store(SliceState(replace(prompts, mask=None), result))
        return result

    def _store(self, state: SliceState) -> None:
        self._done.append(self.state)
        self._undone.clear()
        self.state = state

    def _move(self, source: deque[SliceState], target: deque[SliceState]) -> bool:
        if not source:
            return False
        target.append(self.state)
        self.state = source.pop()
        return True
