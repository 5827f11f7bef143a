"""The whole network in Triton kernels equals the plain one; where the kernels cannot be used, it runs plain and says why."""

import logging

import pytest
import torch
from torch import Tensor, nn
from triton_tools import DEVICE, INTERPRETED, random, trained, triton

from mednextseg.kernels.cuda import depthwise as cuda_depthwise
from mednextseg.kernels.cuda import engine as cuda_engine
from mednextseg.kernels.cuda import mlp as cuda_mlp
from mednextseg.kernels.cuda import products as cuda_products
from mednextseg.kernels.cuda import support as cuda_support
from mednextseg.kernels.cuda import transposed as cuda_transposed
from mednextseg.kernels.cuda.engine import CudaEngine
from mednextseg.kernels.cuda.support import verified_engine
from mednextseg.kernels.plain import PlainRunner
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig


def whole_planes(grid_kji: tuple[int, ...], channels: int) -> tuple[int, int, int]:
    return *(triton.next_power_of_2(n) for n in grid_kji[1:]), triton.next_power_of_2(channels)


@pytest.fixture(autouse=True)
def large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes its time for every program, whatever the size; the other files test the tiles of the card."""
    if INTERPRETED:
        monkeypatch.setattr(cuda_depthwise, "plane_tile", whole_planes)
        monkeypatch.setattr(cuda_transposed, "plane_tile", whole_planes)
        monkeypatch.setattr(cuda_mlp, "_tile", lambda *_: (1024, 32))
        monkeypatch.setattr(cuda_products, "_TILE", dict.fromkeys(cuda_products._TILE, (1024, 64, 64)))


def small(**changes: object) -> MedNeXt:
    torch.manual_seed(1)
    values = {"in_channels": 2, "num_classes": 4, "base_channels": 8, "block_counts": (1,) * 9} | changes
    return trained(MedNeXt(MedNeXtConfig(**values)))


@torch.no_grad()
def test_network_and_heads_equal_the_plain_one_in_a_batch() -> None:
    network, x = (
        small(deep_supervision=True),
        random(2, 2, 16, 16, 16) * torch.tensor([1.0, 30.0])[:, None, None, None, None].to(DEVICE),
    )
    before = x.clone()
    for y, expected in zip(CudaEngine(network, DEVICE)(x), network(x), strict=True):
        assert y.shape == expected.shape and y.dtype == torch.float32
        assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert torch.equal(x, before)


def test_an_input_that_does_not_fit_is_refused_like_by_the_plain_network() -> None:
    engine = CudaEngine(small(), DEVICE)
    for shape in ((1, 2, 16, 24, 16), (1, 3, 16, 16, 32), (2, 16, 16, 16)):
        with pytest.raises(ValueError, match="divisible by 16"):
            engine(random(*shape))


@pytest.mark.skipif(INTERPRETED, reason="CUDA graphs need a graphics card")
@torch.no_grad()
def test_replayed_batches_of_several_shapes_equal_the_plain_network() -> None:
    network = small()
    engine, results = CudaEngine(network, DEVICE), []
    shapes = [(2, 2, 16, 16, 32), (1, 2, 32, 16, 16)] * 3
    for seed, shape in enumerate(shapes):
        x = random(*shape, seed=seed)
        results.append((engine(x), network(x)))
    assert len(engine._graphs) == 2
    for y, expected in results:  # after all of them: no result may be overwritten by a later replay
        assert (y - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a card that Triton supports, as far as can be asked without one."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


def test_an_engine_is_verified_before_it_is_used(card: None, caplog: pytest.LogCaptureFixture) -> None:
    network = small(global_response_norm=True, resampling_residual=False)
    engine = verified_engine(network, DEVICE, torch.float32)
    assert isinstance(engine, CudaEngine) and not caplog.records


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (
            lambda *_: (_ for _ in ()).throw(RuntimeError("Failed to find C compiler")),
            "RuntimeError: Failed to find C compiler",
        ),
        (lambda module, *_: lambda x: module(x) * 1.001, "off by 1.0e-03"),
        (lambda module, *_: lambda x: module(x) * torch.nan, "off by nan"),
    ],
    ids=["compiler", "wrong", "nan"],
)
def test_a_triton_that_fails_or_is_wrong_is_not_used(
    card: None, fails: object, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cuda_engine, "CudaEngine", fails)
    assert verified_engine(small(), DEVICE, torch.float32) is None
    assert reason in caplog.text


def test_a_card_without_memory_is_no_reason_to_run_plain(card: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(cuda_engine, "CudaEngine", full)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        verified_engine(small(), DEVICE, torch.float32)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert verified_engine(small(), DEVICE, torch.float32) is None
    assert "capability 7.5" in caplog.text
    monkeypatch.setattr(cuda_support.importlib.util, "find_spec", lambda name: None)
    assert verified_engine(small(), DEVICE, torch.float32) is None
    assert "Triton is not installed" in caplog.text


def test_other_networks_are_left_to_plain_pytorch_without_a_word(card: None, caplog: pytest.LogCaptureFixture) -> None:
    hooked = small()
    hooked.stem.register_forward_hook(lambda module, inputs, output: output + 1)
    for network in (small(dims=2), small(kernel_size=1), hooked, nn.Conv3d(1, 1, 3)):
        assert verified_engine(network, DEVICE, torch.float32) is None
    assert not caplog.records


def test_the_plain_path_of_a_card_is_channels_last() -> None:
    run = PlainRunner(small(), DEVICE, torch.float32)
    seen: list[Tensor] = []
    run.module.stem.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    run(random(1, 2, 16, 16, 32))
    assert run.module.enc_block_0[0].conv1.weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert seen[0].is_contiguous(memory_format=torch.channels_last_3d)
