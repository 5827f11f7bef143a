"""The fast path equals the plain network: goldens, every variant, odd patches, batches; what it does not know runs plain."""

import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mednextseg.kernels import accelerate
from mednextseg.kernels.cpu.engine import MedNeXtEngine
from mednextseg.kernels.plain import PlainRunner
from mednextseg.networks.mednext import VARIANTS, MedNeXt, MedNeXtConfig, build_mednext

CASES = ["mednext_S_k3", "mednext_S_k5", "mednext_B_k3_ds"]


def randomized(network: MedNeXt, seed: int = 0) -> MedNeXt:
    """Norms as after training: PyTorch starts them as the identity, which would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def small(**changes: object) -> MedNeXt:
    torch.manual_seed(1)
    values = {"in_channels": 2, "num_classes": 4, "base_channels": 8, "block_counts": (1,) * 9} | changes
    return randomized(MedNeXt(MedNeXtConfig(**values)))


def volume(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def as_list(outputs: Tensor | list[Tensor]) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else outputs


def assert_same(network: nn.Module, x: Tensor, relative: float = 1e-5) -> None:
    fast = accelerate(network)
    assert isinstance(fast, MedNeXtEngine)
    with torch.no_grad():
        expected = as_list(network(x))
    outputs = as_list(fast(x))
    assert [y.shape for y in outputs] == [y.shape for y in expected]
    for y, reference in zip(outputs, expected, strict=True):
        assert (y - reference).abs().max() <= relative * reference.abs().max()
        assert (y.argmax(1) == reference.argmax(1)).float().mean() >= 0.9999


@pytest.mark.parametrize("case", CASES)
def test_outputs_equal_the_official_networks(case: str, golden: Path) -> None:
    sys.path.insert(0, str(golden))
    import golden_weights

    sys.path.remove(str(golden))
    entry = json.loads((golden / "mednext" / "manifest.json").read_text())["cases"][case]
    network = build_mednext(
        entry["model_id"], entry["kernel_size"], entry["in_channels"], entry["num_classes"], entry["deep_supervision"]
    )
    arrays = golden_weights.fill(entry["tensors"])
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    stored = np.load(golden / entry["file"])
    for level, output in enumerate(as_list(accelerate(network)(torch.from_numpy(stored["x"])))):
        difference, tolerance = output.numpy() - stored[f"out_{level}"], entry["outputs"][f"out_{level}"]
        assert np.abs(difference).max() <= tolerance["suggested_atol_max"]
        assert np.sqrt(np.mean(difference**2)) <= tolerance["suggested_atol_rms"]


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_equals_the_plain_network(variant: str, kernel_size: int) -> None:
    torch.manual_seed(0)
    assert_same(randomized(build_mednext(variant, kernel_size, 1, 3)), volume(1, 1, 16, 32, 16))


@pytest.mark.parametrize("grid", [(16, 16, 32), (48, 16, 32), (32, 80, 16), (16, 32, 64)])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_any_grid_divisible_by_16_equals_the_plain_network(grid: tuple[int, ...], kernel_size: int) -> None:
    assert_same(small(kernel_size=kernel_size), volume(1, 2, *grid))


@pytest.mark.parametrize(
    "changes",
    [
        {"deep_supervision": True},
        {"expansion_ratios": (2, 3, 4, 4, 4, 4, 4, 3, 2), "down_ratios": (2, 3, 4, 4)},
        {"block_residual": False},
        {"resampling_residual": False},
        {"block_residual": False, "resampling_residual": False, "deep_supervision": True, "kernel_size": 5},
        {"in_channels": 1, "num_classes": 1},
        {"num_classes": 40, "block_counts": (1, 2, 1, 3, 2, 1, 1, 2, 1)},
    ],
)
def test_every_build_of_the_network_equals_the_plain_one(changes: dict) -> None:
    network = small(**changes)
    assert_same(network, volume(1, network.config.in_channels, 32, 16, 32))


def test_samples_of_a_batch_are_normalized_each_for_itself() -> None:
    x = volume(3, 2, 16, 32, 16) * torch.tensor([1.0, 50.0, 0.1])[:, None, None, None, None]
    network = small()
    assert_same(network, x)
    fast = accelerate(network)
    assert torch.equal(fast(x)[1:2], fast(x[1:2]))


@pytest.mark.parametrize("level", [0.0, -3.0, 1000.0])
def test_constant_and_nearly_constant_windows_stay_exact(level: float) -> None:
    network = small()
    assert_same(network, torch.full((1, 2, 16, 32, 32), level))
    assert_same(network, level + 1e-2 * volume(1, 2, 16, 32, 32))


@pytest.mark.parametrize("layout", ["transposed", "channels_last", "float64", "slice"])
def test_any_layout_of_the_input_is_read_right_and_left_alone(layout: str) -> None:
    x = {
        "transposed": volume(1, 2, 32, 16, 48).transpose(2, 4),
        "channels_last": volume(1, 2, 48, 16, 32).contiguous(memory_format=torch.channels_last_3d),
        "float64": volume(1, 2, 48, 16, 32).double(),
        "slice": volume(1, 2, 64, 32, 64)[:, :, 3:51, ::2, 7:39],
    }[layout]
    network, before = small(), x.clone()
    with torch.no_grad():
        expected = network(x.float())
    torch.testing.assert_close(accelerate(network)(x), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(x, before)


def test_weights_are_those_of_the_moment_and_the_module_is_untouched() -> None:
    for network in (small().train(), small(global_response_norm=True).train()):
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        fast, x = accelerate(network), volume(1, 2, 16, 32, 16)
        before = fast(x)
        assert network.training
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
        assert all(parameter.requires_grad for parameter in network.parameters())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(2)
        assert torch.equal(fast(x), before)


def test_results_from_a_worker_thread_under_autocast_are_the_same() -> None:
    fast, x, results = accelerate(small()), volume(1, 2, 32, 32, 16), []

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            results.extend(fast(x) for _ in range(2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for result in results:
        torch.testing.assert_close(result, fast(x), rtol=1e-6, atol=1e-6)
        assert not result.requires_grad


def test_bfloat16_is_close_in_rms_and_float16_is_refused() -> None:
    network, x = small(), volume(1, 2, 32, 32, 32)
    exact, rounded = accelerate(network)(x), accelerate(network, dtype=torch.bfloat16)(x)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 1e-4 < error < 0.03
    with pytest.raises(ValueError, match=r"float16.*cpu"):
        accelerate(network, dtype=torch.float16)


def test_an_input_that_does_not_fit_is_refused_like_by_the_plain_network() -> None:
    fast = accelerate(small())
    for shape in ((1, 2, 16, 24, 16), (1, 3, 16, 16, 32), (2, 16, 16, 16)):
        with pytest.raises(ValueError, match="divisible by 16"):
            fast(volume(*shape))


def adapted() -> MedNeXt:
    """A network whose behavior is no longer that of its class: one projection is wrapped, as adapters do."""

    class Doubled(nn.Conv3d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    network = small()
    old = network.bottleneck[0].conv3
    network.bottleneck[0].conv3 = Doubled(old.in_channels, old.out_channels, 1)
    return network


def hooked() -> MedNeXt:
    network = small()
    network.stem.register_forward_hook(lambda module, inputs, output: output + 1)
    return network


def parametrized() -> MedNeXt:
    network = small()
    nn.utils.parametrizations.weight_norm(network.stem)
    with torch.no_grad():
        network.stem.parametrizations.weight.original0.mul_(3)
    return network


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (small(dims=2), (2, 2, 32, 48)),
        (small(global_response_norm=True, deep_supervision=True), (1, 2, 16, 32, 16)),
        (adapted(), (1, 2, 16, 32, 16)),
        (hooked(), (1, 2, 16, 32, 16)),
        (parametrized(), (1, 2, 16, 32, 16)),
        (nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Dropout(0.5)), (2, 2, 5, 6, 7)),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (2, 3, 4)),
    ],
    ids=["2d", "grn", "adapter", "hook", "parametrized", "other_3d", "no_convolution"],
)
def test_what_the_engine_does_not_know_runs_plain(network: nn.Module, shape: tuple[int, ...]) -> None:
    fast, x = accelerate(network), volume(*shape)
    assert isinstance(fast, PlainRunner)
    with torch.no_grad():
        expected = as_list(network.eval()(x))
    for y, reference in zip(as_list(fast(x)), expected, strict=True):
        # PyTorch's own channels-last kernels round differently from its contiguous ones.
        assert (y - reference).abs().max() <= 2e-5 * reference.abs().max()
        assert not y.requires_grad
