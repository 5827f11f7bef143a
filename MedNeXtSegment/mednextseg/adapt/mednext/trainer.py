"""Train a MedNeXt from a recipe: resumable, validated by Dice, the best averaged weights kept."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.inferers import SlidingWindowInferer
from monai.metrics import DiceMetric
from monai.networks.utils import one_hot

from mednextseg.adapt.losses.network_terms import attach, extra_loss
from mednextseg.adapt.mednext.augmentation import training_transforms
from mednextseg.adapt.mednext.curves import draw_curves
from mednextseg.adapt.mednext.dataset import LabeledDataset, load_case
from mednextseg.adapt.mednext.losses import segmentation_loss
from mednextseg.adapt.mednext.mirroring import Sides
from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss, background_sets
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe, network_config
from mednextseg.adapt.mednext.sampling import draws_of, hardest
from mednextseg.adapt.mednext.widening import widened
from mednextseg.adapt.resumable_training import LOG_FILE
from mednextseg.adapt.scheduled_training import OnStep, ScheduledTraining, no_report
from mednextseg.adapt.starting_weights import start_with, weights_at
from mednextseg.adapt.training_memory import Grid
from mednextseg.kernels import accelerate
from mednextseg.networks.mednext import MedNeXt

CURVE_FILE = "curves.png"


class Trainer(ScheduledTraining):
    """One training run in one folder; a second run in the same folder goes on where the first one stopped.

    Args:
        recipe: what to train.
        dataset: on what; the validation cases are only looked at.
        folder: gets last.pt, best.pt, log.jsonl and curves.png.
        device: a torch device name.
        on_step: called after each step with (step, max_steps, loss); raise KeyboardInterrupt there to stop.
        start_from: weights that a new run starts with (see `weights_at`), also of a narrower network; a resumed run does not read them.
    """

    def __init__(
        self,
        recipe: MedNeXtRecipe,
        dataset: LabeledDataset,
        folder: Path,
        device: str = "cpu",
        on_step: OnStep = no_report,
        start_from: Path | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.dataset = recipe, dataset
        self.num_classes = len(dataset.labels)
        network = MedNeXt(network_config(recipe, len(dataset.channels), self.num_classes))
        attach(recipe.loss, network, recipe.seed)
        if start_from is not None:
            start_with(network, widened(weights_at(start_from), network))
        # Channels-last is the layout in which depthwise convolutions are fast.
        network = network.to(device, memory_format=torch.channels_last_3d)
        self.complete_loss = segmentation_loss()
        self.sides = Sides(recipe.exchanged_sides, dataset.labels)
        self.absent_sets = self.sides.with_mirrored(dataset.absent_sets)
        self.partial_loss = PartialLabelLoss(background_sets(self.num_classes, self.absent_sets), loss=recipe.loss)
        super().__init__(recipe, network, folder, on_step, recipe.adam_eps)

    def _train(self) -> None:
        training = [
            {**load_case(case, self.recipe), "background": self.dataset.background_code(case)} for case in self.dataset.training
        ]
        self._validation = [load_case(case, self.recipe) for case in self.dataset.validation]
        side_codes = self.sides.codes(self.absent_sets, self.num_classes) if self.recipe.exchanged_sides else None
        transforms = training_transforms(self.recipe, self.num_classes, side_codes)
        transforms.set_random_state(self.recipe.seed + self.step)
        drawn = self.recipe.batch_size
        if draws_of(self.recipe.sampling) > 1:
            drawn = max(drawn, min(draws_of(self.recipe.sampling) * drawn, len(training)))
        loader = DataLoader(Dataset(training, transforms), batch_size=drawn, shuffle=True, drop_last=True)
        while self.step < self.recipe.max_steps:
            for batch in loader:
                self._finish_step(self._optimize(batch["image"], batch["label"], batch["background"]))
                if self.step >= self.recipe.max_steps:
                    return

    def _optimize(self, image: torch.Tensor, label: torch.Tensor, background: torch.Tensor) -> float:
        self._set_learning_rate()
        image = image.to(self.device, memory_format=torch.channels_last_3d)
        codes = torch.where(label == 0, background[:, None, None, None, None], label)[:, 0].to(self.device)
        if len(image) > self.recipe.batch_size:
            self.network.eval()
            kept = hardest(
                lambda n: self._loss_of_patches(image[n : n + 1], codes[n : n + 1]), len(image), self.recipe.batch_size
            )
            image, codes = image[kept], codes[kept]
        return self._descend_as_planned(self._loss_of_patches, image, codes)

    @property
    def step_patches(self) -> tuple[Grid, int]:
        return self.recipe.patch_size_kji, self.recipe.batch_size

    def _loss_of_grid(self, grid: Grid) -> torch.Tensor:
        """Every class occurs."""
        image = torch.zeros(1, self.network.config.in_channels, *grid, device=self.device)
        codes = torch.arange(math.prod(grid), device=self.device).reshape(1, *grid).float() % self.num_classes
        return self._loss_of_patches(image.contiguous(memory_format=torch.channels_last_3d), codes)

    def _loss_of_patches(self, image: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        with self._precision.autocast():
            outputs = [output.float() for output in self._logits(image)]
        return self._loss(outputs, codes)

    def _loss(self, outputs: list[torch.Tensor], codes: torch.Tensor) -> torch.Tensor:
        """Of codes (N, K, J, I), in which unlabeled voxels are what each case leaves open."""
        is_plain = self.recipe.loss == "dice-ce" and not self.absent_sets
        loss = self.complete_loss(outputs, codes[:, None]) if is_plain else self.partial_loss(outputs, codes)
        return loss + extra_loss(self.network, outputs[0], codes) if self.network.training else loss

    def _figures(self) -> dict[str, Any]:
        run = accelerate(self.averaged.module.eval(), self.device)
        dice = validation_dice(lambda x: run(x)[0], self._validation, self.recipe.patch_size_kji, self.num_classes, self.device)
        names = {value: name for name, value in self.dataset.labels.items()}
        return {
            "dice": {names[value]: round(float(d), 4) for value, d in enumerate(dice, start=1)},
            "mean_dice": round(float(dice.mean()), 4),
        }

    def _record(self, entry: dict, score: float) -> None:
        super()._record(entry, score)
        draw_curves(self.folder / LOG_FILE, self.folder / CURVE_FILE)


@torch.no_grad()
def validation_dice(
    logits: Callable[[torch.Tensor], torch.Tensor],
    cases: list[dict[str, np.ndarray]],
    patch: tuple[int, ...],
    num_classes: int,
    device: torch.device,
) -> torch.Tensor:
    """Mean Dice of each foreground label over the cases, by MONAI's sliding window at half overlap; shape (num_classes - 1,)."""
    inferer = SlidingWindowInferer(patch, sw_batch_size=4, overlap=0.5, mode="gaussian", padding_mode="replicate")
    metric = DiceMetric(include_background=False, reduction="mean_batch")
    for case in cases:
        image = torch.from_numpy(case["image"])[None].to(device, memory_format=torch.channels_last_3d)
        label = torch.from_numpy(case["label"])[None]
        prediction = inferer(image, logits).argmax(dim=1, keepdim=True).cpu()
        metric(one_hot(prediction, num_classes), one_hot(label, num_classes))
    return metric.aggregate()
