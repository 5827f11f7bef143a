"""A training is made to fit: what it will need is predicted, and it is computed in less memory where that is short."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.precision import Precision
from mednextseg.adapt.resumable_training import ResumableTraining
from mednextseg.adapt.training_memory import Economy, TrainingPlan, first_that_fits, ladder, plan_training
from mednextseg.adapt.tuning.examples import Example
from mednextseg.adapt.tuning.methods import method_named
from mednextseg.adapt.tuning.trainer import TuningTrainer
from mednextseg.kernels import trainable
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

PATCH = (16, 16, 32)
RECIPE = MedNeXtRecipe("x", "x", patch_size_kji=PATCH, max_steps=2, batch_size=2, ema_decay=0.0, validate_every=5, save_every=5)
# Peak of the process in a subprocess, less what it held before; then the prediction.
MEASURED = """
import torch
from mednextseg.adapt.training_memory import step_memory
from mednextseg.kernels import trainable
from mednextseg.machine import peak_memory_mb
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
network = MedNeXt(MedNeXtConfig(1, 3, base_channels=8, block_counts=(1,) * 9)).train()
run = trainable(network)
def loss(grid, patches=1):
    return run(torch.zeros(patches, 1, *grid).contiguous(memory_format=torch.channels_last_3d)).square().mean()
predicted = step_memory(network, loss, (64, 64, 48)).bytes_of(2 * 64 * 64 * 48)
before = peak_memory_mb()
loss((64, 64, 48), 2).backward()
print(predicted / 2**20, peak_memory_mb() - before)
"""


def network(seed: int = 0) -> MedNeXt:
    torch.manual_seed(seed)
    return MedNeXt(MedNeXtConfig(1, 3, base_channels=4, block_counts=(1,) * 9)).train()


def trainer(folder: Path, plan: TrainingPlan | None = None) -> TuningTrainer:
    draw = np.random.default_rng(0)
    image = draw.normal(size=(1, *PATCH)).astype(np.float32)
    classes = draw.integers(0, 3, PATCH).astype(np.uint8)
    made = TuningTrainer(network(), method_named("all"), [Example("a", image, classes, frozenset())], (), RECIPE, folder)
    if plan is not None:
        made.compute_as(plan)
    return made


def plan_within(available: int) -> TrainingPlan:
    small = network()
    run = trainable(small)
    plan = plan_training(small, lambda grid: run(torch.zeros(1, 1, *grid)).square().mean(), PATCH, 2, available)
    assert small.gradient_checkpointing == plan.economy.is_recomputed
    return plan


def test_steps_are_computed_as_usual_where_there_is_room_and_leaner_where_there_is_less() -> None:
    usual = plan_within(10**12)
    assert usual.economy == Economy() and 1e6 < usual.needed < 1e8 and "as usual" in usual.sentence
    recomputed = plan_within(usual.needed - 1)
    assert recomputed.economy == Economy(is_recomputed=True) and recomputed.needed < usual.needed


@given(free=st.integers(0, 40))
def test_the_first_way_that_fits_is_taken(free: int) -> None:
    ways = list(zip((Economy(), Economy(True), Economy(True, True)), (30, 20, 10), strict=True))
    if free < 10:
        with pytest.raises(
            RuntimeError, match=r"needs about .* GB even patch by patch.* and .* GB are free; close other programs"
        ):
            first_that_fits(ways, free)
    else:
        plan = first_that_fits(ways, free)
        assert plan.needed == max(needed for _economy, needed in ways if needed <= free)
        assert plan.economy == {needed: economy for economy, needed in ways}[plan.needed]


def test_networks_that_cannot_compute_again_take_one_patch_after_the_other() -> None:
    assert ladder(nn.Conv3d(1, 1, 1)) == [Economy(), Economy(is_split=True)]
    assert Economy(is_split=True).title == "patch by patch"


def test_blocks_that_are_computed_again_give_the_same_gradients_and_keep_less() -> None:
    found, kept = [], []
    for is_recomputed in (False, True):
        small = network()
        Economy(is_recomputed).set_up(small)
        storages: dict[int, int] = {}

        def remember(tensor: torch.Tensor, storages: dict[int, int] = storages) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        torch.manual_seed(1)
        x = torch.randn(2, 1, *PATCH)
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            loss = trainable(small)(x).square().mean()
        loss.backward()
        found.append([p.grad for p in small.parameters() if p.grad is not None])
        kept.append(sum(storages.values()))
    assert len(found[0]) > 50 and all(torch.allclose(a, b, rtol=1e-6, atol=1e-9) for a, b in zip(*found, strict=True))
    assert kept[1] < 0.8 * kept[0]


def test_leaner_steps_end_with_the_same_weights(tmp_path: Path) -> None:
    ends = []
    for name, economy in (("usual", Economy()), ("recomputed", Economy(True)), ("split", Economy(True, True))):
        made = trainer(tmp_path / name, TrainingPlan(economy, 0, 0))
        assert made.network.gradient_checkpointing == economy.is_recomputed
        made.run()
        ends.append(torch.cat([tensor.flatten() for tensor in made.result.state_dict().values()]))
    assert torch.allclose(ends[0], ends[1], rtol=1e-6, atol=1e-7)
    assert torch.allclose(ends[0], ends[2], atol=4 * RECIPE.learning_rate)  # the same patches; Dice of each instead of both


def test_a_training_plans_before_its_first_step(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    assert made.memory.economy == Economy() and made.memory.needed > 0
    assert all(parameter.grad is None for parameter in made.network.parameters())
    assert math.isfinite(made.learn(0))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of a process is measured on Linux")
def test_the_prediction_is_near_the_measured_peak() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    predicted_mb, measured_mb = map(float, done.stdout.split())
    assert 60 < measured_mb and 0.4 < predicted_mb / measured_mb < 2.5


class Line(ResumableTraining):
    """One weight, whose gradient is the loss's factor."""

    def __init__(self, folder: Path) -> None:
        module = nn.Linear(1, 1, bias=False)
        nn.init.ones_(module.weight)
        scaler = Precision(torch.device("cpu"), torch.float16).scaler
        super().__init__(folder, module, torch.optim.SGD(module.parameters(), 1.0), 0.0, scaler)

    def descend(self, factor: float) -> float:
        return self._descend(factor * self.network.weight.sum(), 0.5)


def test_gradients_in_half_precision_are_scaled_and_a_step_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    line = Line(tmp_path)
    scale = line.scaler.get_scale()
    assert scale > 1 and line.descend(2.0) == 2.0
    assert line.network.weight.item() == pytest.approx(0.5)  # clipped after it was scaled back
    line.descend(1e38)
    assert line.network.weight.item() == pytest.approx(0.5) and line.scaler.get_scale() == scale / 2
    line._save("last.pt")
    assert Line(tmp_path).scaler.get_scale() == scale / 2


def test_a_processor_computes_in_single_precision() -> None:
    precision = Precision(torch.device("cpu"))
    assert precision.dtype == torch.float32 and not precision.scaler.is_enabled()
    with precision.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32
    with Precision(torch.device("cpu"), torch.bfloat16).autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
