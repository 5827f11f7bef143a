"""Feature regression: on the new image the network learns to see what its teacher, the base, sees in the known one.

Paper: Benbihi, Geist and Pradalier, "Learning Sensor-Specific Features", 2018 (arXiv:1805.04141). The code is our own, for volumes. What
is not aligned is learned as blur.
"""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.patches import cut_patch
from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.resumable_training import BEST_CHECKPOINT
from mednextseg.adapt.schedule import learning_rate_at
from mednextseg.adapt.training_memory import Grid
from mednextseg.adapt.transfer.features import Features, feature_distance
from mednextseg.kernels import trainable
from mednextseg.networks.mednext import MedNeXt
from mednextseg.networks.plug_ins.plug_in import FOR_TRAINING

_PATIENCE = 4
_TIE = 1e-3  # of two looks with the same Dice the one with the nearer features counts


@dataclass(frozen=True)
class PairExample:
    """A pair on the network's grid: float32 (channels, K, J, I) each, and bool (K, J, I) where both have values."""

    new_ckji: np.ndarray
    known_ckji: np.ndarray
    overlap_kji: np.ndarray


class TransferTrainer(PlannedTraining):
    """One training in one folder; what a step sees depends on the seed and its number alone.

    Args:
        network: the base's; trained in place.
        examples: pairs to learn from.
        watched: pairs that tell when to stop: once neither the distance of features nor the Dice of the answers got better for four
            looks, the best look counts. Without any, the end of the schedule does.
        recipe: schedule and patch.
        folder: gets last.pt, best.pt and log.jsonl.
        device: a torch device name.
        on_step: called after each step with (step, max_steps, loss).
    Raises:
        ValueError: for a network that is no MedNeXt.
    """

    def __init__(
        self,
        network: nn.Module,
        examples: Sequence[PairExample],
        watched: Sequence[PairExample],
        recipe: MedNeXtRecipe,
        folder: Path,
        device: str = "cpu",
        on_step: Callable[[int, int, float], None] = lambda step, max_steps, loss: None,
    ) -> None:
        if not isinstance(network, MedNeXt):
            raise ValueError(f"pairs of images are learned by the stages of a MedNeXt, and this is a {type(network).__name__}.")
        self.recipe, self.on_step, self.device = recipe, on_step, torch.device(device)
        self.examples, self.watched = examples, watched
        network.plug_ins[FOR_TRAINING] = Features()
        network = network.to(self.device, memory_format=torch.channels_last_3d)
        self._teacher = copy.deepcopy(network).requires_grad_(False).eval()
        parameters = network.parameters()
        optimizer = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay, eps=recipe.adam_eps)
        super().__init__(folder, network, optimizer, recipe.ema_decay)
        self._see, self._know = trainable(network), trainable(self._teacher)

    @property
    def result(self) -> nn.Module:
        """The averaged network of the best look, or of the last step where nothing was watched."""
        best = self.folder / BEST_CHECKPOINT
        if self.watched and best.is_file():
            self.averaged.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["averaged"])
        return self.averaged.module

    def _train(self) -> None:
        while self.step < self.recipe.max_steps and not self._is_over():
            loss = self.learn(self.step)
            self.step += 1
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.max_steps:
                distance, dice = self._looked() if self.watched else (None, None)
                entry = {
                    "step": self.step,
                    "training_loss": round(loss, 5),
                    "held_out_dice": dice,
                    "held_out_distance": distance,
                }
                self._record(entry, -1.0 if dice is None else dice - _TIE * distance / (1 + distance))
            self.on_step(self.step, self.recipe.max_steps, loss)

    def learn(self, step: int) -> float:
        """Learn from the patches of one step; returns the distance of features."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self.recipe)
        return self._descend_as_planned(self._loss, *self._batch(step))

    @property
    def step_patches(self) -> tuple[Grid, int]:
        return self.recipe.patch_size_kji, self.recipe.batch_size

    def _loss_of_grid(self, grid: Grid) -> Tensor:
        """Of two images that differ, since nothing is computed for features that do not vary."""
        shape = 1, self.network.config.in_channels, *grid
        new, known = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        return self._loss(new, known, torch.ones(1, 1, *grid, device=self.device))

    def _loss(self, new: Tensor, known: Tensor, overlap: Tensor) -> Tensor:
        self._see(new)
        return self._distance(self.network, known, overlap)

    def _distance(self, network: nn.Module, known: Tensor, overlap: Tensor) -> Tensor:
        with torch.no_grad():
            self._know(known)
        return feature_distance(network.plug_ins[FOR_TRAINING].taken(), self._teacher.plug_ins[FOR_TRAINING].taken(), overlap)

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        draw = np.random.default_rng((self.recipe.seed, step))
        size = self.recipe.batch_size
        numbers = draw.choice(len(self.examples), size, replace=len(self.examples) < size)
        chosen = [self.examples[number] for number in numbers]
        return self._tensors([(example, _drawn_center(example.overlap_kji, draw)) for example in chosen])

    def _tensors(self, places: Sequence[tuple[PairExample, Sequence[int]]]) -> tuple[Tensor, Tensor, Tensor]:
        """New and known patches (N, C, K, J, I), and (N, 1, K, J, I) where both have values."""
        patch = self.recipe.patch_size_kji
        new = [cut_patch(example.new_ckji, center, patch, "edge") for example, center in places]
        known = [cut_patch(example.known_ckji, center, patch, "edge") for example, center in places]
        overlap = [cut_patch(example.overlap_kji, center, patch, "constant")[None] for example, center in places]
        return tuple(torch.from_numpy(np.stack(part).astype(np.float32)).to(self.device) for part in (new, known, overlap))

    @torch.no_grad()
    def _looked(self) -> tuple[float, float]:
        """Distance of features and Dice of the answers, on the middle of each watched pair, of the averaged network."""
        network = self.averaged.module.eval()
        distances, scores = [], []
        for example in self.watched:
            middle = np.argwhere(example.overlap_kji).mean(axis=0).round().astype(int)
            new, known, overlap = self._tensors([(example, middle)])
            answer = network(new).argmax(1, keepdim=True)
            distances.append(float(self._distance(network, known, overlap)))
            wanted = self._know(known).argmax(1, keepdim=True)
            self._teacher.plug_ins[FOR_TRAINING].taken()
            scores.append(_dice(answer, wanted, overlap > 0))
        return float(np.mean(distances)), float(np.mean(scores))

    def _is_over(self) -> bool:
        """Whether the last looks, as the log has them, all were no better than the best before."""
        log = self.folder / "log.jsonl"
        if not self.watched or not log.is_file():
            return False
        looks = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        recent, before = looks[-_PATIENCE:], looks[:-_PATIENCE]
        if not before:
            return False
        dice, distance = (max(look["held_out_dice"] for look in before), min(look["held_out_distance"] for look in before))
        return all(look["held_out_dice"] <= dice and look["held_out_distance"] >= distance for look in recent)


def _drawn_center(overlap_kji: np.ndarray, draw: np.random.Generator) -> Sequence[int]:
    places = np.flatnonzero(overlap_kji)
    return np.unravel_index(places[draw.integers(len(places))], overlap_kji.shape)


def _dice(answer: Tensor, wanted: Tensor, inside: Tensor) -> float:
    """Mean over the structures that the teacher sees; 1 where it sees none and none is found."""
    scores = []
    for label in torch.unique(torch.cat([answer[inside], wanted[inside]])).tolist():
        if label:
            ours, theirs = (answer == label) & inside, (wanted == label) & inside
            scores.append(float(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum())))
    return float(np.mean(scores)) if scores else 1.0
