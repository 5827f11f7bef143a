"""A training on a schedule: the learning rate of each step, and validations and checkpoints when they are due."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.precision import Precision
from mednextseg.adapt.resumable_training import LAST_CHECKPOINT
from mednextseg.adapt.schedule import Schedule, learning_rate_at
from mednextseg.kernels import trainable

OnStep = Callable[[int, int, float], None]  # step, max_steps, loss


def no_report(step: int, max_steps: int, loss: float) -> None:
    """The `on_step` of a training that nobody watches."""


class ScheduledTraining(PlannedTraining):
    """A network that learns by AdamW on a schedule.

    Subclasses implement `_train`, which ends each step by `_finish_step`, and `_figures`.

    Args:
        schedule: the recipe.
        network: on its device.
        folder: gets last.pt, best.pt and log.jsonl.
        on_step: called after each step; raise KeyboardInterrupt there to stop.
        adam_eps: of AdamW.
    """

    def __init__(
        self, schedule: Schedule, network: nn.Module, folder: Path, on_step: OnStep = no_report, adam_eps: float = 1e-8
    ) -> None:
        self.schedule, self.on_step = schedule, on_step
        self.device = next(network.parameters()).device
        self._precision = Precision(self.device)
        optimizer = torch.optim.AdamW(
            network.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay, eps=adam_eps
        )
        super().__init__(folder, network, optimizer, schedule.ema_decay, self._precision.scaler)
        self._logits = trainable(self.network)
        self._losses: list[float] = []  # since the last validation
        self._started = time.monotonic()

    def _figures(self) -> dict[str, Any]:
        """Of the averaged network on the validation cases; the best checkpoint is the one with the highest "mean_dice"."""
        raise NotImplementedError

    def _set_learning_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, self.schedule)

    def _finish_step(self, loss: float) -> None:
        """Count a step and tell of it; then validate or save, where it is time."""
        self._losses.append(loss)
        self.step += 1
        self.on_step(self.step, self.schedule.max_steps, loss)
        if self.step % self.schedule.validate_every == 0 or self.step == self.schedule.max_steps:
            self._validate()
        elif self.step % self.schedule.save_every == 0:
            self._save(LAST_CHECKPOINT)

    def _validate(self) -> None:
        seconds, loss = time.monotonic() - self._started, float(np.mean(self._losses))
        entry = {"step": self.step, "training_loss": round(loss, 4), "seconds": round(seconds, 1), **self._figures()}
        self._losses.clear()
        self._record(entry, entry["mean_dice"])
