"""A training whose steps are computed so that they fit into memory: planned before the first of them."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from mednextseg.adapt.resumable_training import GRADIENT_NORM_LIMIT, ResumableTraining
from mednextseg.adapt.training_memory import Grid, TrainingPlan, plan_training


class PlannedTraining(ResumableTraining):
    """Plans its memory, and goes down a loss as was planned.

    Subclasses have `device`, `network` and the two values below, and implement `_loss_of_grid`.
    """

    device: torch.device
    network: nn.Module

    @property
    def step_patches(self) -> tuple[Grid, int]:
        """Size of a patch (K, J, I), and how many a step has."""
        raise NotImplementedError

    def _loss_of_grid(self, grid: Grid) -> Tensor:
        """Of one patch of this size without an image, to see what it takes."""
        raise NotImplementedError

    @cached_property
    def memory(self) -> TrainingPlan:
        """How steps are computed so that they fit into what is free before the first of them.

        Raises:
            RuntimeError: in one sentence, where nothing fits.
        """
        self.network.train()
        return plan_training(self.network, self._loss_of_grid, *self.step_patches)

    def compute_as(self, plan: TrainingPlan) -> None:
        """Compute steps as was planned for another training of such a network, instead of planning anew."""
        plan.economy.set_up(self.network)
        self.memory = plan

    def _descend_as_planned(self, loss_of: Callable[..., Tensor], *batch: Tensor, limit: float = GRADIENT_NORM_LIMIT) -> float:
        """One step down the loss of a batch, patch by patch where that was planned; returns the loss.

        Args:
            loss_of: gives the loss of tensors like those of the batch, of all of their patches or of one.
            batch: tensors (N, ...) of a step's patches.
            limit: of the gradient's norm.
        """
        economy = self.memory.economy
        self.network.train()
        parts = len(batch[0]) if economy.is_split else 1
        pieces = zip(*(tensor.chunk(parts) for tensor in batch), strict=True)
        return self._descend_by_parts((loss_of(*piece) / parts for piece in pieces), limit)
