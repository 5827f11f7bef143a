"""Training on a few prepared cases: the same seed gives the same weights, stopped and resumed or not."""

import copy
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mednextseg.adapt.losses.network_terms import attach, extra_loss, is_for_training
from mednextseg.adapt.mednext.augmentation import training_transforms
from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss, background_sets
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.mednext.sampling import draws_of, hardest
from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.precision import Precision
from mednextseg.adapt.resumable_training import LAST_CHECKPOINT
from mednextseg.adapt.schedule import learning_rate_at
from mednextseg.adapt.scheduled_training import OnStep, no_report
from mednextseg.adapt.training_memory import Grid
from mednextseg.adapt.tuning.examples import Example
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.kernels import accelerate, trainable

_TIMED_STEPS = 3
_NO_CHOICE = -1.0  # no checkpoint is kept for its score: what chose it could not be reported


class TuningTrainer(PlannedTraining):
    """One training in one folder.

    What a step sees depends on the seed and the step's number alone, so that a training that was stopped ends with the very weights of
    one that was not. The held-out cases are looked at for the curve and never decide anything: the last averaged weights count.

    Args:
        network: as the method built it; trained in place.
        method: what of it is trained.
        examples: what to learn from; every step draws `batch_size` of them.
        watched: held-out examples for the curve; may be empty.
        recipe: schedule, patch and mirroring.
        folder: gets last.pt and log.jsonl.
        device: a torch device name.
        on_step: called after each step with (step, max_steps, loss); KeyboardInterrupt and Cancelled from there stop and save.
    """

    def __init__(
        self,
        network: nn.Module,
        method: TuningMethod,
        examples: Sequence[Example],
        watched: Sequence[Example],
        recipe: MedNeXtRecipe,
        folder: Path,
        device: str = "cpu",
        on_step: OnStep = no_report,
    ) -> None:
        self.recipe, self.on_step, self.device = recipe, on_step, torch.device(device)
        self.examples, self.watched = examples, watched
        self.absent_sets = tuple(dict.fromkeys(example.absent for example in examples if example.absent))
        sets = background_sets(network.config.num_classes, self.absent_sets)
        self.loss = PartialLabelLoss(sets, loss=recipe.loss)
        attach(recipe.loss, network, recipe.seed)
        network = network.to(self.device, memory_format=torch.channels_last_3d)
        trained = method.trained(network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in trained or is_for_training(name))
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay, eps=recipe.adam_eps)
        self._precision = Precision(self.device)
        super().__init__(folder, network, optimizer, recipe.ema_decay, self._precision.scaler)
        self._logits = trainable(self.network)
        self._transforms = training_transforms(recipe, network.config.num_classes)

    @property
    def result(self) -> nn.Module:
        """The averaged network, which is the one to measure and to package."""
        return self.averaged.module

    def _train(self) -> None:
        losses: list[float] = []
        while self.step < self.recipe.max_steps:
            loss = self.learn(self.step)
            losses.append(loss)
            self.step += 1
            is_last = self.step == self.recipe.max_steps
            if self.step % self.recipe.validate_every == 0 or is_last:
                dice = self._watched_dice()
                entry = {"step": self.step, "training_loss": round(float(np.mean(losses)), 4), "held_out_dice": dice}
                self._record(entry, _NO_CHOICE)
                losses.clear()
            elif self.step % self.recipe.save_every == 0:
                self._save(LAST_CHECKPOINT)
            self.on_step(self.step, self.recipe.max_steps, loss)

    @property
    def step_patches(self) -> tuple[Grid, int]:
        return self.recipe.patch_size_kji, self.recipe.batch_size

    def learn(self, step: int) -> float:
        """Learn from the patches of one step; returns the loss."""
        return self._optimize(*self._batch(step))

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Augmented patches (N, C, K, J, I) and codes (N, K, J, I) that are drawn for one step."""
        draw = np.random.default_rng((self.recipe.seed, step))
        self._transforms.set_random_state(int(draw.integers(2**31)))
        images, codes, count = [], [], self.recipe.batch_size * draws_of(self.recipe.sampling)
        for number in draw.choice(len(self.examples), count, replace=len(self.examples) < count):
            example = self.examples[number]
            (patch,) = self._transforms({"image": example.image_ckji, "label": example.classes_kji[None]})
            code = patch["label"][0].long()
            if example.absent:
                code[code == 0] = self.network.config.num_classes + self.absent_sets.index(example.absent)
            images.append(patch["image"])
            codes.append(code)
        return torch.stack(images), torch.stack(codes)

    def _optimize(self, image: Tensor, codes: Tensor) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, self.recipe)
        image, codes = image.to(self.device, memory_format=torch.channels_last_3d), codes.to(self.device)
        if len(image) > self.recipe.batch_size:
            self.network.eval()
            kept = hardest(lambda n: self._loss(image[n : n + 1], codes[n : n + 1]), len(image), self.recipe.batch_size)
            image, codes = image[kept], codes[kept]
        return self._descend_as_planned(self._loss, image, codes)

    def _loss_of_grid(self, grid: Grid) -> Tensor:
        """Every class occurs."""
        image = torch.zeros(1, self.examples[0].image_ckji.shape[0], *grid, device=self.device)
        codes = torch.arange(math.prod(grid), device=self.device).reshape(1, *grid) % self.network.config.num_classes
        return self._loss(image.contiguous(memory_format=torch.channels_last_3d), codes)

    def _loss(self, image: Tensor, codes: Tensor) -> Tensor:
        with self._precision.autocast():
            logits = self._logits(image)
        loss = self.loss([logits.float()], codes)
        return loss + extra_loss(self.network, logits.float(), codes) if self.network.training else loss

    def _watched_dice(self) -> float | None:
        """Mean Dice of the averaged network on one patch of each held-out case, for the curve alone; None without such cases."""
        run = accelerate(self.result, self.device)
        found = [patch_dice(run, example, self.recipe.patch_size_kji, self.device) for example in self.watched]
        values = [value for value in found if value is not None]
        return round(float(np.mean(values)), 4) if values else None


@torch.no_grad()
def patch_dice(
    logits: Callable[[Tensor], Tensor], example: Example, patch_kji: Sequence[int], device: torch.device
) -> float | None:
    """Mean Dice over the drawn classes in the patch around the middle of what was drawn; None where nothing was."""
    drawn_kji = np.argwhere(example.classes_kji > 0)
    if not len(drawn_kji):
        return None
    margin = [max(0, size - n) for size, n in zip(patch_kji, example.classes_kji.shape, strict=True)]
    pad = [(m // 2, m - m // 2) for m in margin]
    image_ckji = np.pad(example.image_ckji, [(0, 0), *pad], mode="edge")
    classes_kji = np.pad(example.classes_kji, pad)
    center = drawn_kji.mean(axis=0) + [before for before, _ in pad]
    start = [int(np.clip(c - size / 2, 0, n - size)) for c, size, n in zip(center, patch_kji, classes_kji.shape, strict=True)]
    box = tuple(slice(s, s + size) for s, size in zip(start, patch_kji, strict=True))
    x = torch.from_numpy(np.ascontiguousarray(image_ckji[(slice(None), *box)]))[None].to(device)
    predicted_kji = logits(x)[0].argmax(0).cpu().numpy()
    truth_kji = classes_kji[box]
    scores = []
    for value in np.unique(truth_kji[truth_kji > 0]):
        truth, guess = truth_kji == value, predicted_kji == value
        scores.append(2 * (truth & guess).sum() / (truth.sum() + guess.sum()))
    return float(np.mean(scores)) if scores else None


class Learner(Protocol):
    """A trainer, as far as it is timed."""

    def learn(self, step: int) -> float:
        """Learn from what one step draws; returns the loss."""
        ...


def seconds_per_step(make: Callable[[nn.Module, Path], Learner], network: nn.Module) -> float:
    """How long a step takes on this machine, by a few steps of a training that is thrown away.

    Args:
        make: a trainer of a network in a folder.
        network: not changed.
    """
    with tempfile.TemporaryDirectory(prefix="mednextseg-pace-") as folder:
        trainer = make(copy.deepcopy(network), Path(folder))
        seconds = []
        for step in range(_TIMED_STEPS):
            started = time.monotonic()
            trainer.learn(step)
            seconds.append(time.monotonic() - started)
    return float(np.median(seconds[1:]))  # the first one also sets things up
