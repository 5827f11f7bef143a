"""Simulated users of whole objects: a stroke or a box on one slice, then clicks where the answer in three dimensions is wrong.

What the network is told of a slice is what the click network answered there, with its errors, so that it learns how far to believe it.
"""

import numpy as np

from mednextseg.adapt.click_net.clicks import SimulatedUser, degraded_mask, drawn_box, stroke_through
from mednextseg.adapt.completion.draws import SlicedCube
from mednextseg.refine.completion.network_input import NO_CLICKS, network_channels, said_points
from mednextseg.refine.prompter import Prompter, obey_prompts
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.strokes import Stroke

_STARTS = {"stroke": 0.5, "box": 0.4, "drawn": 0.1}  # drawn: by hand or by another method, rightly or nearly so
_LARGEST_JITTER = 0.1  # of a box
_EXACT_SHARE = 0.05  # of corrections that go on until the slice is right
_MOST_WRONG_SHARE = 0.85  # of corrections on the slice that is most wrong; others are somewhere else
_STROKE_STEP = 2.0  # voxels between the points of a stroke, and between those that count as clicks


class CompletionSession:
    """One object in one cube.

    Args:
        sliced: what is seen.
        prompter: answers prompts on slices.
        generator: source of randomness.

    Attributes:
        rounds: corrections so far.
    """

    def __init__(self, sliced: SlicedCube, prompter: Prompter, generator: np.random.Generator) -> None:
        self._sliced, self._prompter, self._generator = sliced, prompter, generator
        self._user = SimulatedUser(generator)
        self._prompts: dict[int, Prompts] = {}
        self._answers: dict[int, np.ndarray] = {}
        self.rounds = 0
        self._start()

    @property
    def codes(self) -> np.ndarray:
        """(N, N, N) uint8 truth."""
        return self._sliced.cube.truth_zyx.astype(np.uint8)

    def channels(self) -> np.ndarray:
        """(5, N, N, N) float32: what the network sees now."""
        known = {}
        for number, answer in self._answers.items():
            known.update(dict.fromkeys(np.flatnonzero(self._sliced.layers(number)).tolist(), answer))
        for number, answer in self._answers.items():
            known[self._plane(number)] = answer
        return network_channels(self._sliced.cube.image_zyx, known, self._clicks())

    def correct(self, probability_zyx: np.ndarray) -> bool:
        """The next interaction, after an answer (N, N, N), on which clicks and strokes are obeyed; False where nothing is wrong on any
        slice."""
        planes, truth = self._sliced.planes(), self._sliced.cube.truth_zyx
        for number, prompts in self._prompts.items():
            obey_prompts(probability_zyx[planes[number]], prompts)
        numbers = np.array(list(planes))
        wrong = ((probability_zyx > 0.5) ^ truth).sum(axis=(1, 2))[[planes[number] for number in numbers]].astype(float)
        if not wrong.any():
            return False
        is_worst = self._generator.random() < _MOST_WRONG_SHARE
        number = int(numbers[wrong.argmax()] if is_worst else self._generator.choice(numbers, p=wrong / wrong.sum()))
        self.rounds += 1
        if self._generator.random() < _EXACT_SHARE:
            self._answers[number] = truth[planes[number]].astype(np.float32)
            return self._has_object() or self._back_to(number)
        before = probability_zyx[planes[number]].astype(np.float32)
        click = self._user.correction(before > 0.5, truth[planes[number]])
        prompts = self._prompts.get(number, Prompts()).with_point(click[:2], bool(click[2]))
        self._answer(number, prompts, before)
        return self._has_object() or self._back_to(number)

    def _start(self) -> None:
        truth = self._sliced.cube.truth_zyx[self._sliced.cube.first]
        kind = self._generator.choice(list(_STARTS), p=list(_STARTS.values()))
        if kind == "stroke":
            stroke = Stroke(np.array(stroke_through(truth, _STROKE_STEP, self._generator)))
            self._answer(0, Prompts(strokes=(stroke,)), None)
        elif kind == "box":
            self._answer(0, Prompts(box=drawn_box(truth, self._generator.uniform(0, _LARGEST_JITTER), self._generator)), None)
        if not self._has_object():
            drawn = degraded_mask(truth, self._generator)
            self._answers[0] = drawn if self._generator.random() < 0.5 and (drawn > 0.5).any() else truth.astype(np.float32)

    def _answer(self, number: int, prompts: Prompts, before_rc: np.ndarray | None) -> None:
        """What the prompter makes of the prompts on a slice."""
        mask = before_rc if before_rc is not None and (before_rc > 0.5).any() else None
        embedding = self._prompter.encode(self._sliced.cube.image_zyx[self._plane(number)])
        found = self._prompter.predict(embedding, prompts.with_mask(mask)).probability
        self._prompts[number], self._answers[number] = prompts, found

    def _plane(self, number: int) -> int:
        return self._sliced.planes()[number]

    def _has_object(self) -> bool:
        return any((answer > 0.5).any() for answer in self._answers.values())

    def _back_to(self, number: int) -> bool:
        """Without a correction after which nothing would be left; the user gives up."""
        del self._answers[number]
        self._prompts.pop(number, None)
        return False

    def _clicks(self) -> np.ndarray:
        """(N, 4): clicks, and points of strokes, that network_channels takes."""
        found = [NO_CLICKS]
        for number, prompts in self._prompts.items():
            points = said_points(prompts, _STROKE_STEP)
            found.append(np.column_stack([np.full(len(points), self._plane(number)), points]))
        return np.concatenate(found)
