"""Train a MedNeXt on real and synthetic heads: resumable, validated structure by structure, averaged weights kept."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
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
from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.precision import Precision
from mednextseg.adapt.resumable_training import LAST_CHECKPOINT
from mednextseg.adapt.starting_weights import start_with, weights_at
from mednextseg.adapt.training_memory import Grid
from mednextseg.kernels import accelerate, trainable
from mednextseg.networks.mednext import MedNeXt, variant_config

_DECAY_EXPONENT = 0.9
_SEED_STEP_OF_WORKERS = 1_000_003


def network_of(recipe: HeadRecipe) -> MedNeXt:
    """The recipe's network with deep supervision, randomly initialized."""
    changes = {"kernel_size": recipe.kernel_size, "base_channels": recipe.base_channels, "deep_supervision": True}
    config = variant_config("S", 1, len(structures().classes), **changes)
    return MedNeXt(config).to(memory_format=torch.channels_last_3d)


class HeadTrainer(PlannedTraining):
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
        on_step: Callable[[int, int, float], None] = lambda step, max_steps, loss: None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(recipe.threads)
        self.recipe, self.heads, self.on_step = recipe, heads, on_step
        self.device = torch.device(device)
        network = network_of(recipe).to(self.device)
        if start_from is not None:
            start_with(network, weights_at(start_from))
        optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.loss = PartialLabelLoss(structures().allowed)
        self._precision = Precision(self.device)
        super().__init__(folder, network, optimizer, recipe.ema_decay, self._precision.scaler)
        self.forward = trainable(self.network)

    def _train(self) -> None:
        draws = _Draws(self.heads, self.recipe, self.recipe.seed + self.step)
        loader = DataLoader(draws, batch_size=self.recipe.batch_size, num_workers=self.recipe.workers)
        started, losses = time.monotonic(), []
        for image, codes in loader:
            if self.step >= self.recipe.max_steps:
                return
            losses.append(self._optimize(image, codes))
            self.step += 1
            self.on_step(self.step, self.recipe.max_steps, losses[-1])
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.max_steps:
                self._validate(float(np.mean(losses)), time.monotonic() - started)
                losses.clear()
            elif self.step % self.recipe.save_every == 0:
                self._save(LAST_CHECKPOINT)

    def _optimize(self, image: Tensor, codes: Tensor) -> float:
        """One step on a batch (N, K, J, I) of images and codes."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, self.recipe)
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
            outputs = self.forward(image)
        return self.loss([output.float() for output in outputs], codes)

    def _validate(self, training_loss: float, seconds: float) -> None:
        run = accelerate(self.averaged.module, self.device)
        figures = validate(lambda image: run(image.to(self.device))[0].cpu(), self.heads, self.recipe.grid)
        entry = {"step": self.step, "training_loss": round(training_loss, 4), "seconds": round(seconds, 1), **figures}
        self._record(entry, entry["mean_dice"])


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


def learning_rate_at(step: int, recipe: HeadRecipe) -> float:
    """Linear warm-up times polynomial decay to zero at max_steps."""
    rise = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    return recipe.learning_rate * rise * (1 - step / recipe.max_steps) ** _DECAY_EXPONENT
