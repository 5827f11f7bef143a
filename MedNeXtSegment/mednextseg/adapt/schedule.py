"""AdamW and its steps, as the recipes of networks for volumes give them."""

from dataclasses import dataclass

_DECAY_EXPONENT = 0.9  # as in nnU-Net


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a network learns.

    Attributes:
        batch_size, max_steps: patches a step, steps of the whole schedule.
        learning_rate, weight_decay: of AdamW.
        warmup_steps: of a linear rise before the polynomial decay.
        ema_decay: of the averaged weights, which are the ones validated and packaged.
        validate_every, save_every: steps between validations, and between checkpoints.
        seed: of the first weights and of every draw.
    """

    batch_size: int = 1
    max_steps: int = 4000
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    ema_decay: float = 0.998
    validate_every: int = 500
    save_every: int = 100
    seed: int = 0


def learning_rate_at(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then polynomial decay to zero at max_steps."""
    if step < schedule.warmup_steps:
        return schedule.learning_rate * (step + 1) / schedule.warmup_steps
    left = 1 - (step - schedule.warmup_steps) / max(1, schedule.max_steps - schedule.warmup_steps)
    return schedule.learning_rate * max(0.0, left) ** _DECAY_EXPONENT
