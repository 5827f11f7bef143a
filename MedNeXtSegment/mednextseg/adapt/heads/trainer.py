"""Train a MedNeXt on real and synthetic heads: resumable, validated structure by structure, averaged weights kept."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mednextseg.adapt.heads.data import Heads
from mednextseg.adapt.heads.random_draws import chance, integer
from mednextseg.adapt.heads.real import augmented_head
from mednextseg.adapt.heads.recipe import HeadRecipe
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.synthetic import synthetic_head
from mednextseg.adapt.heads.validation import validate
from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss
from mednextseg.adapt.scheduled_training import OnStep, ScheduledTraining, no_report
from mednextseg.adapt.starting_weights import start_with, weights_at
from mednextseg.adapt.training_memory import Grid
from mednextseg.kernels import accelerate
from mednextseg.networks.mednext import MedNeXt, variant_config

_SEED_STEP_OF_WORKERS = 1_000_003


def network_of(recipe: HeadRecipe) -> MedNeXt:
    """The recipe's network with deep supervision, randomly initialized."""
    changes = {"kernel_size": recipe.kernel_size, "base_channels": recipe.base_channels, "deep_supervision": True}
    config = variant_config("S", 1, len(structures().classes), **changes)
    return MedNeXt(config).to(memory_format=torch.channels_last_3d)


class HeadTrainer(ScheduledTraining):
    """One training run in one folder; a second run in the same folder goes on where the first one stopped.

    Args:
        heads: what to train and validate on.
        folder: gets last.pt, best.pt and log.jsonl.
        start_from: weights that a new run starts with (see `weights_at`): those of an earlier stage; a resumed run does not read them.
        device: a torch device name.
        on_step: called after each step with (step, max_steps, loss); raise KeyboardInterrupt there to stop.
    """

    def __init__(
        self,
        recipe: HeadRecipe,
        heads: Heads,
        folder: Path,
        start_from: Path | None = None,
        device: str = "cpu",
        on_step: OnStep = no_report,
    ) -> None:
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(recipe.threads)
        self.recipe, self.heads = recipe, heads
        network = network_of(recipe).to(device)
        if start_from is not None:
            start_with(network, weights_at(start_from))
        self.loss = PartialLabelLoss(structures().allowed)
        super().__init__(recipe, network, folder, on_step)

    def _train(self) -> None:
        draws = _Draws(self.heads, self.recipe, self.recipe.seed + self.step)
        loader = DataLoader(draws, batch_size=self.recipe.batch_size, num_workers=self.recipe.workers)
        for image, codes in loader:
            if self.step >= self.recipe.max_steps:
                return
            self._finish_step(self._optimize(image, codes))

    def _optimize(self, image: Tensor, codes: Tensor) -> float:
        """One step on a batch (N, K, J, I) of images and codes."""
        self._set_learning_rate()
        image = image[:, None].to(self.device, memory_format=torch.channels_last_3d)
        return self._descend_as_planned(self._loss, image, codes.to(self.device), limit=self.recipe.gradient_limit)

    @property
    def step_patches(self) -> tuple[Grid, int]:
        return self.recipe.patch_size_kji, self.recipe.batch_size

    def _loss_of_grid(self, grid: Grid) -> Tensor:
        """Every structure occurs."""
        image = torch.zeros(1, 1, *grid, device=self.device).contiguous(memory_format=torch.channels_last_3d)
        codes = torch.arange(math.prod(grid), device=self.device).reshape(1, *grid) % self.network.config.num_classes
        return self._loss(image, codes)

    def _loss(self, image: Tensor, codes: Tensor) -> Tensor:
        with self._precision.autocast():
            outputs = self._logits(image)
        return self.loss([output.float() for output in outputs], codes)

    def _figures(self) -> dict[str, Any]:
        run = accelerate(self.averaged.module, self.device)
        return validate(lambda image: run(image.to(self.device))[0].cpu(), self.heads, self.recipe.grid)


class _Draws(IterableDataset):
    """Random heads without end: image (K, J, I) and codes (K, J, I)."""

    def __init__(self, heads: Heads, recipe: HeadRecipe, seed: int) -> None:
        self.heads, self.recipe, self.seed = heads, recipe, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        generator = Generator().manual_seed(self.seed + _SEED_STEP_OF_WORKERS * (worker.id if worker else 0))
        while True:
            if chance(generator, self.recipe.synthetic_share):
                head = self.heads.maps[integer(generator, 0, len(self.heads.maps))]
                yield synthetic_head(head, self.recipe.grid, generator)
            else:
                head = self.heads.real[integer(generator, 0, len(self.heads.real))]
                yield augmented_head(head, self.recipe.grid, generator)
