"""What an adaptation is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mednextseg.adapt.tuning.gate import TOLERATED_LOSS
from mednextseg.adapt.tuning.methods import method_named
from mednextseg.json_values import listed, number, whole_number
from mednextseg.models.tuning_choices import LOSSES, SAMPLINGS, choice_named

DEFAULT_MINUTES = 10.0
_MOST_MINUTES = 60 * 24 * 30


@dataclass(frozen=True)
class TuningOptions:
    """What an adaptation is asked for beside the base and the cases.

    Attributes:
        method, loss, sampling: names of models/tuning_choices.py: what is trained, what is minimized, and where patches lie.
        minutes: of training in all, from which the steps are worked out on this machine; None with `steps`.
        steps: of each training; None with `minutes`. Where nothing is trained (the method settings) there are neither, and no loss.
        same: label of the cases -> label of the result, where the two have different names; two with one name are joined.
        held_out: names of the cases to measure on; None lets them be chosen.
        seed: of everything random.
        tolerated_loss: of Dice, for the gate.
        model_id: of the result; None for the base's with -adapted.
        unlabeled: folder of volumes that the network is pre-trained on before it learns from the cases; None for none.
        pretraining_steps: of that.
    """

    method: str = "all"
    loss: str = "dice-ce"
    sampling: str = "usual"
    minutes: float | None = None
    steps: int | None = None
    same: Mapping[str, str] = field(default_factory=dict)
    held_out: tuple[str, ...] | None = None
    seed: int = 0
    tolerated_loss: float = TOLERATED_LOSS
    model_id: str | None = None
    unlabeled: str | None = None
    pretraining_steps: int = 100

    def __post_init__(self) -> None:
        method_named(self.method)
        choice_named(self.loss, "the loss", LOSSES)
        choice_named(self.sampling, "the sampling", SAMPLINGS)
        if self.method == "settings" and (
            given := [*self.of_a_training(), *(n for n in ("minutes", "steps") if getattr(self, n))]
        ):
            raise ValueError(f"the method settings trains nothing, so that {listed(given)} cannot be said; leave it out.")
        if self.minutes is not None and self.steps is not None:
            raise ValueError("give minutes or steps, not both: one follows from the other.")
        if self.minutes is not None and not 0 < number(self.minutes, "the minutes") <= _MOST_MINUTES:
            raise ValueError(f"the minutes must be more than 0 and at most {_MOST_MINUTES}, got {self.minutes:g}.")
        if self.steps is not None:
            whole_number(self.steps, "the steps", 1, 10_000_000)
        if self.unlabeled is not None and method_named(self.method).keeps_base:
            raise ValueError(
                f"pre-training changes the whole network, and the method {self.method} keeps that of the base; choose another method."
            )
        whole_number(self.pretraining_steps, "the steps of the pre-training", 1, 10_000_000)
        whole_number(self.seed, "the seed", 0)
        number(self.tolerated_loss, "the tolerated loss of Dice", low=0)

    def of_a_training(self) -> list[str]:
        """Which of loss and sampling is another than the usual one."""
        return [name for name in ("loss", "sampling") if getattr(self, name) != getattr(TuningOptions, name)]
