"""Train ClickNet by simulated sessions: resumable, validated by clicks of the robot user, averaged weights kept."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from mednextseg.adapt.click_net.cache import open_cache
from mednextseg.adapt.click_net.recipe import ClickNetRecipe
from mednextseg.adapt.click_net.sessions import SessionPool
from mednextseg.adapt.click_net.validation import ValidationView, validate
from mednextseg.adapt.click_net.views import ViewSampler
from mednextseg.adapt.resumable_training import LAST_CHECKPOINT, ResumableTraining
from mednextseg.adapt.starting_weights import weights_at
from mednextseg.models.weights import load_strictly
from mednextseg.networks.click_net import ClickNet, build_click_net

_GRADIENT_NORM_LIMIT = 5.0
_CLICK_WEIGHT = 10.0  # of a pixel under a click in the cross-entropy, so that clicks are obeyed
_QUALITY_WEIGHT = 0.1
_FURTHER_DEEPEST_BLOCKS = tuple(f"encoder.3.{number}." for number in range(1, 10))
_SAVE_EVERY = 100  # steps; a validation saves too


class ClickNetTrainer(ResumableTraining):
    """One training run in one folder; a second run in the same folder goes on where the first one stopped.

    The schedule is taken from the recipe at each start, so that a run may be continued with a larger max_steps: the cosine is
    then simply longer, and the rate rises again to its value on that curve.

    Args:
        recipe: what to train.
        cache_folder: made by `build_cache` from the same recipe.
        validation: the fixed views on which Dice is followed.
        folder: gets last.pt, best.pt and log.jsonl.
        device: a torch device name.
        on_step: called after each step with (step, max_steps, loss); raise KeyboardInterrupt there to stop.
        start_from: weights that a new run starts with (see `weights_at`), which may have fewer blocks at the deepest level; a resumed
            run does not read them.
    """

    def __init__(
        self,
        recipe: ClickNetRecipe,
        cache_folder: Path,
        validation: list[ValidationView],
        folder: Path,
        device: str = "cpu",
        on_step: Callable[[int, int, float], None] = lambda step, max_steps, loss: None,
        start_from: Path | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.validation, self.on_step = recipe, validation, on_step
        self.device = torch.device(device)
        network = build_click_net(recipe.widths, recipe.deepest_blocks)
        if start_from is not None:
            load_strictly(network, {**_begun_anew(network), **weights_at(start_from)})
        network = network.to(self.device, memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        super().__init__(folder, network, optimizer, recipe.ema_decay)
        self.cache = open_cache(cache_folder)
        self.pool = self._new_pool()

    def _new_pool(self) -> SessionPool:
        recipe, generator = self.recipe.at(self.step), np.random.default_rng([self.recipe.seed, self.step])
        sampler = ViewSampler(self.cache, recipe.group_shares, recipe.view_size_px, generator)
        return SessionPool(sampler, recipe.batch_size, recipe.start_shares, recipe.continue_share, recipe.max_rounds, generator)

    def _train(self) -> None:
        started, losses, dices = time.monotonic(), [], []
        while self.step < self.recipe.max_steps:
            if self.step in [stage["from_step"] for stage in self.recipe.stages]:
                self.pool = self._new_pool()
            loss, dice = self._optimize()
            losses.append(loss)
            dices.append(dice)
            self.step += 1
            self.on_step(self.step, self.recipe.max_steps, loss)
            if self.step % _SAVE_EVERY == 0:
                self._save(LAST_CHECKPOINT)
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.max_steps:
                self._validate(float(np.mean(losses)), float(np.mean(dices)), time.monotonic() - started)
                losses.clear()
                dices.clear()

    def _optimize(self) -> tuple[float, float]:
        """One gradient step; returns the loss and the mean training Dice."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, self.recipe)
        self.network.train()
        sessions, radius = self.pool.sessions, self.recipe.disk_radius_px
        channels = torch.from_numpy(np.stack([s.channels(radius) for s in sessions]))
        truth = torch.from_numpy(np.stack([s.view.truth_rc for s in sessions])[:, None]).to(self.device, torch.float32)
        obeyed = torch.from_numpy(np.stack([s.obeyed_pixels(radius) for s in sessions])[:, None]).to(self.device)
        channels = channels.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            logits, quality = self.network(channels)
        logits, quality = logits.float(), quality.float()
        dice = hard_dice_of(logits.detach(), truth)
        loss = click_loss(logits, truth, obeyed)
        loss = loss + _QUALITY_WEIGHT * F.binary_cross_entropy_with_logits(quality[:, 0], dice)
        value = self._descend(loss, _GRADIENT_NORM_LIMIT)
        self.pool.advance(torch.sigmoid(logits.detach())[:, 0].cpu().numpy())
        return value, float(dice.mean())

    def _validate(self, training_loss: float, training_dice: float, seconds: float) -> None:
        scores = validate(self.averaged.module, self.validation, self.recipe.disk_radius_px, self.device)
        entry = {
            "step": self.step,
            "training_loss": round(training_loss, 4),
            "training_dice": round(training_dice, 4),
            "seconds": round(seconds, 1),
            **scores,
        }
        self._record(entry, scores["val"]["mean"])


def _begun_anew(network: ClickNet) -> dict[str, torch.Tensor]:
    """The deepest level's blocks after its first: new ones hand on what they get, so the network starts as the smaller one was."""
    return {name: tensor for name, tensor in network.state_dict().items() if name.startswith(_FURTHER_DEEPEST_BLOCKS)}


def click_loss(logits: torch.Tensor, truth: torch.Tensor, obeyed: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, heavier under clicks, plus soft Dice of each sample.

    Args:
        logits, truth: (N, 1, H, W) float.
        obeyed: (N, 1, H, W) bool, the pixels under clicks.
    """
    weight = 1.0 + (_CLICK_WEIGHT - 1.0) * obeyed
    cross_entropy = (weight * F.binary_cross_entropy_with_logits(logits, truth, reduction="none")).sum() / weight.sum()
    probability = torch.sigmoid(logits)
    overlap = (probability * truth).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3))
    return cross_entropy + (1.0 - (2.0 * overlap + 1.0) / (total + 1.0)).mean()


def hard_dice_of(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(N,) Dice of the thresholded masks; 0 for a slice without the object, which is what the quality head must say there."""
    mask = (logits > 0).float()
    return 2.0 * (mask * truth).sum(dim=(1, 2, 3)) / (mask.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3)) + 1e-6)


def learning_rate_at(step: int, recipe: ClickNetRecipe) -> float:
    """Linear warm-up, then half a cosine down to 1 % at max_steps."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.max_steps - recipe.warmup_steps)
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))
