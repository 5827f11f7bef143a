"""Masked pre-training of a MedNeXt: voxels of the foreground are hidden, and what is made of the rest is compared by frequency."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mednextseg.adapt.patches import cut_patch
from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.pretraining.foreground_masking import SHARE, hidden_voxels
from mednextseg.adapt.pretraining.frequency_heads import FrequencyHeads
from mednextseg.adapt.pretraining.unlabeled import Unlabeled
from mednextseg.adapt.resumable_training import LAST_CHECKPOINT
from mednextseg.adapt.training_memory import Grid
from mednextseg.kernels import trainable
from mednextseg.networks.mednext import LEVELS, MedNeXt
from mednextseg.networks.plug_ins.plug_in import FOR_TRAINING, Sites

_LEARNING_RATE, _WEIGHT_DECAY = 1e-4, 1e-5
_JITTER = 0.1
_BATCH_SIZE, _SAVES, _NO_CHOICE = 2, 10, -1.0


class Pretrainer(PlannedTraining):
    """One pre-training in one folder; what a step sees depends on the seed and its number alone.

    Args:
        network: trained in place.
        volumes: to draw patches from.
        patch_kji: size of a patch.
        steps: of the whole schedule, at the end of which the rate is 0.
        folder: gets last.pt and log.jsonl.
        seed: of everything random.
        device: a torch device name.
        on_step: called after each step with (step, steps, loss); Cancelled from there stops and saves.
    Raises:
        ValueError: for a network that is no MedNeXt.
    """

    def __init__(
        self,
        network: MedNeXt,
        volumes: Sequence[Unlabeled],
        patch_kji: tuple[int, int, int],
        steps: int,
        folder: Path,
        seed: int,
        device: str = "cpu",
        on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    ) -> None:
        if not isinstance(network, MedNeXt):
            raise ValueError(
                f"pre-training needs the stages of a MedNeXt, and this is a {type(network).__name__}; leave it out."
            )
        self.volumes, self.patch_kji, self.steps, self.seed = volumes, patch_kji, steps, seed
        self.device, self.on_step = torch.device(device), on_step
        config = network.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            widths = tuple(config.base_channels * 2**level for level in range(LEVELS + 1))
            network.plug_ins[FOR_TRAINING] = FrequencyHeads(Sites(config.in_channels, config.num_classes, widths))
        network = network.to(self.device, memory_format=torch.channels_last_3d)
        optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY, amsgrad=True)
        super().__init__(folder, network, optimizer, ema_decay=0.0)
        self._forward = trainable(network)

    @property
    def result(self) -> MedNeXt:
        """The network, without what served the pre-training alone."""
        del self.network.plug_ins[FOR_TRAINING]
        return self.network

    def _train(self) -> None:
        while self.step < self.steps:
            batch = self._batch(self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * (1 - self.step / self.steps) ** 0.9
            loss = self._descend_as_planned(self._loss, *batch)
            self.step += 1
            if self.step % max(1, self.steps // _SAVES) == 0 or self.step == self.steps:
                self._record({"step": self.step, "training_loss": round(loss, 4), "held_out_dice": None}, _NO_CHOICE)
            self.on_step(self.step, self.steps, loss)
        self._save(LAST_CHECKPOINT)

    @property
    def step_patches(self) -> tuple[Grid, int]:
        return self.patch_kji, _BATCH_SIZE

    def _loss_of_grid(self, grid: Grid) -> Tensor:
        """A quarter is hidden."""
        image = torch.rand(1, self.network.config.in_channels, *grid, generator=torch.Generator().manual_seed(0))
        image = image.to(self.device, memory_format=torch.channels_last_3d)
        return self._loss(image, image[:, :1] < SHARE, image)

    def _loss(self, image: Tensor, hidden: Tensor, jittered: Tensor) -> Tensor:
        heads = self.network.plug_ins[FOR_TRAINING]
        self._forward(heads.hide(jittered, hidden))
        return heads.loss(image)

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Patches (N, C, K, J, I), their hidden voxels (N, 1, K, J, I), and the patches a little brighter or darker."""
        draw = np.random.default_rng((self.seed, step))
        images, masks, factors = [], [], []
        for number in draw.choice(len(self.volumes), _BATCH_SIZE, replace=len(self.volumes) < _BATCH_SIZE):
            image_ckji, foreground_kji = self._patch(self.volumes[number], draw)
            images.append(image_ckji)
            masks.append(hidden_voxels(foreground_kji, draw)[None])
            factors.append(draw.uniform(-_JITTER, _JITTER, 2))
        image = torch.from_numpy(np.stack(images)).to(self.device, memory_format=torch.channels_last_3d)
        scale, shift = torch.tensor(np.array(factors), dtype=image.dtype, device=self.device).view(-1, 2, 1, 1, 1, 1).unbind(1)
        return image, torch.from_numpy(np.stack(masks)).to(self.device), image * (1 + scale) + shift

    def _patch(self, volume: Unlabeled, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A patch around a voxel of the foreground, as far as the volume goes; smaller volumes are continued at their edges."""
        places = np.flatnonzero(volume.foreground_kji)
        center = np.unravel_index(places[draw.integers(len(places))], volume.foreground_kji.shape)
        image_ckji = cut_patch(volume.image_ckji, center, self.patch_kji, "edge")
        return image_ckji, cut_patch(volume.foreground_kji, center, self.patch_kji, "constant")
