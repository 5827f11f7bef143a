"""Pre-training and pairs of images are made to fit into memory like trainings on cases: leaner steps end with the same weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.pretraining.pretrainer import Pretrainer
from mednextseg.adapt.pretraining.unlabeled import Unlabeled
from mednextseg.adapt.training_memory import Economy, TrainingPlan, step_memory
from mednextseg.adapt.transfer.transfer_trainer import PairExample, TransferTrainer
from mednextseg.kernels import trainable
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

PATCH = (16, 16, 32)
RATE = 1e-3
RECIPE = MedNeXtRecipe("x", "x", patch_size_kji=PATCH, max_steps=1, batch_size=2, learning_rate=RATE, warmup_steps=1, ema_decay=0.0,
                       validate_every=5, save_every=5)  # fmt: skip


def network() -> MedNeXt:
    torch.manual_seed(0)
    return MedNeXt(MedNeXtConfig(1, 3, base_channels=4, block_counts=(1,) * 9))


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, *PATCH)).astype(np.float32)


def pretraining(folder: Path) -> Pretrainer:
    volumes = [Unlabeled(str(seed), image(seed), np.ones(PATCH, dtype=bool), "") for seed in range(2)]
    return Pretrainer(network(), volumes, PATCH, 1, folder, 0)


def pairs(folder: Path) -> TransferTrainer:
    examples = [PairExample(image(seed), image(seed + 9), np.ones(PATCH, dtype=bool)) for seed in range(2)]
    return TransferTrainer(network(), examples, (), RECIPE, folder)


@pytest.mark.parametrize(("make", "tolerance"), [(pretraining, 1e-5), (pairs, 4 * RATE)], ids=["pre-training", "pairs"])
def test_leaner_steps_end_with_the_same_weights(
    make: Callable[[Path], PlannedTraining], tolerance: float, tmp_path: Path
) -> None:
    ends = []
    for economy in (Economy(), Economy(True, True)):
        trainer = make(tmp_path / economy.title)
        trainer.compute_as(TrainingPlan(economy, 0, 0))
        assert trainer.network.gradient_checkpointing == economy.is_recomputed
        trainer.run()
        ends.append(torch.cat([tensor.flatten() for tensor in trainer.result.state_dict().values()]))
    # Samples of a pre-training are judged apart, and sums in another order differ in last digits, which Adam enlarges;
    # features of a pair are judged by the variance of what a step sees.
    assert torch.allclose(*ends, rtol=1e-6, atol=tolerance)


def test_two_networks_and_heads_for_frequencies_take_more_than_one_network(tmp_path: Path) -> None:
    alone = network().train()
    run = trainable(alone)
    usual = step_memory(alone, lambda grid: run(torch.zeros(1, 1, *grid)).square().mean(), PATCH)
    for make in (pretraining, pairs):
        plan = make(tmp_path / make.__name__).memory
        assert plan.economy == Economy() and plan.needed > usual.bytes_of(2 * np.prod(PATCH))
