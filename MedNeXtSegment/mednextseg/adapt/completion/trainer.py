"""Train the completing network: resumable, validated on fixed cubes of validation lists, averaged weights kept."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.adapt.completion.draws import CompletionDraws, Shares, SlicedCube
from mednextseg.adapt.completion.recipe import CompletionRecipe
from mednextseg.adapt.completion.sessions import CompletionSession
from mednextseg.adapt.completion.volumes import object_volumes
from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss
from mednextseg.adapt.scheduled_training import OnStep, ScheduledTraining, no_report
from mednextseg.adapt.starting_weights import start_with, weights_at
from mednextseg.adapt.training_memory import Grid
from mednextseg.kernels import accelerate
from mednextseg.networks.mednext import MedNeXt, variant_config
from mednextseg.refine.completion.network_input import CHANNELS
from mednextseg.refine.prompter import Prompter

ValidationCubes = dict[str, list[SlicedCube]]
_POOL = 6  # sessions that take turns, so that steps after one another see different objects
_GO_ON_SHARE, _MOST_ROUNDS = 0.8, 5
_VALIDATED_ROUNDS = (0, 2, 4)  # corrections after which validation looks


def network_of(recipe: CompletionRecipe) -> MedNeXt:
    """The recipe's network with deep supervision, randomly initialized."""
    changes = {"kernel_size": recipe.kernel_size, "base_channels": recipe.base_channels, "deep_supervision": True}
    config = variant_config("S", len(CHANNELS), 2, **changes)
    return MedNeXt(config).to(memory_format=torch.channels_last_3d)


def training_draws(recipe: CompletionRecipe, data_folder: Path) -> CompletionDraws:
    """Reads all volumes of the recipe's sets."""
    real, painted = [], []
    for source in recipe.training:
        volumes = list(object_volumes(source, data_folder, "train"))
        if source.kind == "label_maps":
            painted += volumes
        elif volumes:
            real.append(volumes)
    return CompletionDraws(real, painted, Shares(**recipe.shares), recipe.size)


def validation_cubes(recipe: CompletionRecipe, data_folder: Path) -> ValidationCubes:
    """Fixed cubes of each set that has a `val` list."""
    found: ValidationCubes = {}
    for source in recipe.training:
        volumes = list(object_volumes(source, data_folder, "val"))
        if volumes:
            draws = CompletionDraws([volumes], [], Shares(1.0, 0.0, 0.0), recipe.size, is_augmented=False)
            generator = np.random.default_rng([recipe.seed, 7, *source.name.encode()])
            found[source.name] = [draws.draw(generator) for _ in range(recipe.validation_cubes)]
    return found


class CompletionTrainer(ScheduledTraining):
    """One training run in one folder; a second run in the same folder goes on where the first one stopped.

    Args:
        draws, cubes: what to train and what to validate on.
        prompter: answers the simulated users on slices.
        folder: gets last.pt, best.pt and log.jsonl.
        start_from: weights that a new run starts with (see `weights_at`); a resumed run does not read them.
        device: a torch device name.
        on_step: called after each step with (step, max_steps, loss); raise KeyboardInterrupt there to stop.
    """

    def __init__(
        self,
        recipe: CompletionRecipe,
        draws: CompletionDraws,
        cubes: ValidationCubes,
        prompter: Prompter,
        folder: Path,
        start_from: Path | None = None,
        device: str = "cpu",
        on_step: OnStep = no_report,
    ) -> None:
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(recipe.threads)
        self.recipe, self.draws, self.cubes, self.prompter = recipe, draws, cubes, prompter
        network = network_of(recipe).to(device)
        if start_from is not None:
            start_with(network, weights_at(start_from))
        self.loss = PartialLabelLoss(torch.eye(2, dtype=torch.bool))
        self._answers: list[np.ndarray] = []  # of the last step, (Z, Y, X) probability each
        super().__init__(recipe, network, folder, on_step)

    def _train(self) -> None:
        generator = np.random.default_rng([self.recipe.seed, self.step])
        pool = [self._new_session(generator) for _ in range(max(_POOL, self.recipe.batch_size))]
        while self.step < self.recipe.max_steps:
            batch, pool = pool[: self.recipe.batch_size], pool[self.recipe.batch_size :]
            loss = self._optimize(batch)
            for session, answer in zip(batch, self._answers, strict=True):
                goes_on = session.rounds < _MOST_ROUNDS and generator.random() < _GO_ON_SHARE and session.correct(answer)
                pool.append(session if goes_on else self._new_session(generator))
            self._finish_step(loss)

    def _new_session(self, generator: np.random.Generator) -> CompletionSession:
        return CompletionSession(self.draws.draw(generator), self.prompter, generator)

    def _optimize(self, batch: list[CompletionSession]) -> float:
        self._set_learning_rate()
        channels = torch.from_numpy(np.stack([session.channels() for session in batch]))
        codes = torch.from_numpy(np.stack([session.codes for session in batch]))
        channels = channels.to(self.device, memory_format=torch.channels_last_3d)
        self._answers.clear()
        return self._descend_as_planned(self._loss, channels, codes.to(self.device), limit=self.recipe.gradient_limit)

    @property
    def step_patches(self) -> tuple[Grid, int]:
        return (self.recipe.size,) * 3, self.recipe.batch_size

    def _loss_of_grid(self, grid: Grid) -> Tensor:
        channels = torch.zeros(1, len(CHANNELS), *grid, device=self.device).contiguous(memory_format=torch.channels_last_3d)
        return self._loss(channels, torch.zeros(1, *grid, dtype=torch.uint8, device=self.device))

    def _loss(self, channels: Tensor, codes: Tensor) -> Tensor:
        with self._precision.autocast():
            outputs = self._logits(channels)
        self._answers += list(_probability(outputs[0].detach()))
        return self.loss([output.float() for output in outputs], codes)

    def _figures(self) -> dict[str, Any]:
        run = accelerate(self.averaged.module, self.device)
        by_set = {
            name: [self._session_dices(run, n, cube) for n, cube in enumerate(cubes)] for name, cubes in self.cubes.items()
        }
        means = {name: np.mean(dices, axis=0).round(4).tolist() for name, dices in by_set.items()}
        return {"mean_dice": round(float(np.mean(list(means.values()))), 4), "by_set": means}

    def _session_dices(self, run: torch.nn.Module, number: int, cube: SlicedCube) -> list[float]:
        """After so many corrections of the same user each time."""
        session, found = CompletionSession(cube, self.prompter, np.random.default_rng([self.recipe.seed, number])), []
        for round_ in range(max(_VALIDATED_ROUNDS) + 1):
            outputs = run(torch.from_numpy(session.channels())[None].to(self.device))
            answer = _probability(outputs[0] if isinstance(outputs, list | tuple) else outputs)[0]
            if round_ in _VALIDATED_ROUNDS:
                found.append(hard_dice(answer > 0.5, session.codes > 0))
            session.correct(answer)
        return found


def _probability(logits: Tensor) -> np.ndarray:
    """(N, Z, Y, X) float32 of the object, of logits (N, 2, Z, Y, X)."""
    return torch.softmax(logits.float(), 1)[:, 1].cpu().numpy().copy()
