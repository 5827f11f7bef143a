"""Simulated sessions: how a user starts on a view, goes on, and what the network sees of it."""

from dataclasses import dataclass, field

import numpy as np

from mednextseg.adapt.click_net.clicks import SimulatedUser, drawn_box, stroke_through
from mednextseg.adapt.click_net.views import TrainingView, ViewSampler
from mednextseg.refine.prompters.click_net import STROKE_STEP_PX
from mednextseg.refine.prompters.prompt_channels import prompt_channels

_EXACT_BOXES, _LARGEST_JITTER = 0.25, 0.15  # share of boxes that fit; the others are off by up to so much of their length
_KEEP_BOX = 0.6


@dataclass
class Session:
    """A view and the prompts so far.

    Attributes:
        points_rc: (row, col, label) of each click.
        box_rc: r0, c0, r1, c1, or None.
        previous_rc: (S, S) float32 probability, or None.
        rounds: predictions made so far.
    """

    view: TrainingView
    points_rc: list[tuple[int, int, int]] = field(default_factory=list)
    box_rc: tuple[float, float, float, float] | None = None
    previous_rc: np.ndarray | None = None
    rounds: int = 0

    def channels(self, disk_radius_px: float) -> np.ndarray:
        """(5, S, S) float32 input of the network."""
        points = np.array([point[:2] for point in self.points_rc], float).reshape(-1, 2)
        labels = np.array([point[2] for point in self.points_rc], int)
        return prompt_channels(self.view.image_rc, points, labels, self.box_rc, self.previous_rc, disk_radius_px)

    def obeyed_pixels(self, disk_radius_px: float) -> np.ndarray:
        """(S, S) bool: pixels under clicks that the truth agrees with, where an error weighs more."""
        channels = self.channels(disk_radius_px)
        return ((channels[1] > 0) & self.view.truth_rc) | ((channels[2] > 0) & ~self.view.truth_rc)


class SessionPool:
    """The sessions of a batch: each step some go on with a click on their own error, the others give way to fresh ones.

    A prediction that has just been trained on is the next round's previous mask, so no extra forward pass is spent on
    iterating (one step of delay between the weights that made the mask and those that correct it).
    """

    def __init__(
        self,
        sampler: ViewSampler,
        batch_size: int,
        start_shares: dict[str, float],
        continue_share: float,
        max_rounds: int,
        generator: np.random.Generator,
    ) -> None:
        self.sampler, self.generator = sampler, generator
        self.names, weights = list(start_shares), np.array(list(start_shares.values()))
        self.weights = weights / weights.sum()
        self.continue_share, self.max_rounds = continue_share, max_rounds
        self.user = SimulatedUser(generator, jitter_px=1.0)
        self.sessions = [self.fresh() for _ in range(batch_size)]

    def fresh(self) -> Session:
        """A new session on a new view."""
        start = self.names[self.generator.choice(len(self.names), p=self.weights)]
        around_box = start in ("box", "stroke") or (start == "box_and_click" and self.generator.random() < 0.5)
        view = self.sampler.draw(start in ("mask", "mask_and_clicks"), start == "mask", around_box)
        session = Session(view)
        if start in ("box", "box_and_click"):
            jitter = 0.0 if self.generator.random() < _EXACT_BOXES else self.generator.uniform(0.0, _LARGEST_JITTER)
            session.box_rc = drawn_box(view.truth_rc, jitter, self.generator)
        if start in ("click", "clicks", "box_and_click"):
            session.points_rc.append((*self.user.first_click(view.truth_rc), 1))
        if start == "stroke":
            session.points_rc.extend((*point, 1) for point in stroke_through(view.truth_rc, STROKE_STEP_PX, self.generator))
        if start == "clicks":
            self._add_scattered_clicks(session)
        if start in ("mask", "mask_and_clicks"):
            session.previous_rc = view.neighbor_rc
            if start == "mask" and self.generator.random() < 0.4 and view.neighbor_rc.max() > 0.5:
                # Propagation sends the previous slice's box along with its mask.
                session.box_rc = drawn_box(view.neighbor_rc > 0.5, 0.06, self.generator)
        if start == "mask_and_clicks":
            self._add_correction(session, view.neighbor_rc > 0.5)
        return session

    def advance(self, probabilities: np.ndarray) -> None:
        """Take in the (N, S, S) probabilities of the last round and prepare the next one."""
        for n, (session, probability) in enumerate(zip(self.sessions, probabilities, strict=True)):
            session.rounds += 1
            mask = probability > 0.5
            goes_on = (
                session.rounds < self.max_rounds
                and session.view.truth_rc.any()
                and self.generator.random() < self.continue_share
                and hard_dice(mask, session.view.truth_rc) < 0.98
            )
            if not goes_on:
                self.sessions[n] = self.fresh()
                continue
            session.previous_rc = probability.astype(np.float32)
            if session.box_rc is not None and self.generator.random() > _KEEP_BOX:
                session.box_rc = None
            self._add_correction(session, mask)

    def _add_correction(self, session: Session, mask_rc: np.ndarray) -> None:
        click = self.user.correction(mask_rc, session.view.truth_rc)
        if click is not None:
            session.points_rc.append(click)

    def _add_scattered_clicks(self, session: Session) -> None:
        """One to four more clicks before the first prediction: inside the object, or around it."""
        truth = session.view.truth_rc
        for _ in range(int(self.generator.integers(1, 5))):
            positive = self.generator.random() < 0.5
            places = np.argwhere(truth if positive else ~truth)
            if len(places):
                row, col = places[self.generator.integers(len(places))]
                session.points_rc.append((int(row), int(col), int(positive)))


def hard_dice(mask_rc: np.ndarray, truth_rc: np.ndarray) -> float:
    """Dice of two boolean masks; 1 where both are empty."""
    total = int(mask_rc.sum()) + int(truth_rc.sum())
    return 1.0 if total == 0 else 2.0 * int((mask_rc & truth_rc).sum()) / total
