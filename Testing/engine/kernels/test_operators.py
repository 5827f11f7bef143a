"""Every operator of the fast path gives what its plain counterpart gives, and so does its fallback."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mednextseg.kernels.cpu import pointwise, rows, statistics
from mednextseg.kernels.cpu.block import NormalizedMlp
from mednextseg.kernels.cpu.depthwise import Depthwise, TransposedDepthwise
from mednextseg.kernels.cpu.rows import Rows
from mednextseg.networks.mednext import MedNeXtBlock, MedNeXtConfig

grids = st.tuples(*(st.integers(1, 7),) * 3)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(grid=grids, channels=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_rows_and_volume_are_two_views_of_one_memory(grid: tuple[int, int, int], channels: int) -> None:
    volume = random(1, channels, *grid).contiguous(memory_format=torch.channels_last_3d)
    packed = Rows.from_volume(volume)
    assert packed.values.shape == (grid[0] * grid[1] * grid[2], channels)
    assert torch.equal(packed.volume, volume)
    packed.volume[0, :, 0, 0, 0] = 5.0
    assert (packed.values[0] == 5.0).all()


@given(count=st.integers(1, 5000), widest=st.integers(1, 2**21), grid=grids)
@settings(max_examples=30, deadline=None)
def test_chunks_cover_every_row_once(count: int, widest: int, grid: tuple[int, int, int]) -> None:
    assert [row for part in rows.chunks(count, widest) for row in range(count)[part]] == list(range(count))
    planes = list(rows.plane_chunks(grid, widest))
    total = grid[0] * grid[1] * grid[2]
    assert [k for part, _ in planes for k in range(grid[0])[part]] == list(range(grid[0]))
    assert [row for _, part in planes for row in range(total)[part]] == list(range(total))


@pytest.mark.parametrize("fused", [True, False])
def test_linear_and_gelu_are_exact_with_and_without_onednn(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fused:
        monkeypatch.setattr(pointwise, "onednn_linear_works", lambda dtype: False)
    x, weight, bias = random(70, 32), random(64, 32, seed=1), random(64, seed=2)
    expected = F.linear(x.double(), weight.double(), bias.double())
    torch.testing.assert_close(pointwise.linear(x, weight, bias).double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(pointwise.linear_gelu(x, weight, bias).double(), F.gelu(expected), rtol=1e-5, atol=1e-5)


def test_an_onednn_operator_that_is_missing_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Tensor:
        raise AttributeError("no such operator")

    def tanh_gelu(x: Tensor, weight: Tensor, bias: Tensor, activation: str) -> Tensor:
        y = F.linear(x, weight, bias)
        return F.gelu(y, approximate="tanh") if activation == "gelu" else y

    for operator in (missing, tanh_gelu):
        monkeypatch.setattr(pointwise, "_onednn_linear", operator)
        assert not pointwise.onednn_linear_works.__wrapped__(torch.float32)


@pytest.mark.parametrize("fused", [True, False])
@given(counts=st.lists(st.integers(0, 2000), min_size=1, max_size=4).filter(any), shift=st.floats(-1000, 1000))
@settings(max_examples=15, deadline=None)
def test_statistics_of_parts_are_those_of_the_whole(fused: bool, counts: list[int], shift: float) -> None:
    parts = [random(count, 3, seed=n) * 2 + shift for n, count in enumerate(counts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "CHUNK_ELEMENTS", 900)  # several chunks a part
        patch.setattr(statistics, "_has_fused_statistics", lambda: fused)
        mean, variance = statistics.channel_statistics(parts)
    whole = torch.cat(parts).double()
    torch.testing.assert_close(mean, whole.mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(variance, whole.var(0, correction=0), rtol=1e-4, atol=1e-4)


def test_statistics_of_nearly_constant_rows_do_not_drift() -> None:
    parts = [-0.7 + 3e-4 * random(32768, 8)]
    mean, variance = statistics.channel_statistics(parts)
    truth = parts[0].double()
    assert (mean - truth.mean(0)).abs().max() < 2e-7
    torch.testing.assert_close(variance, truth.var(0, correction=0), rtol=1e-4, atol=0)


def test_batch_norm_statistics_that_mean_something_else_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_fused_statistics", lambda chunk: (chunk.mean(0), chunk.var(0, correction=1)))
    assert not statistics._has_fused_statistics.__wrapped__()


@given(grid=grids, kernel=st.sampled_from([3, 5, 7]), stride=st.sampled_from([1, 2]))
@settings(max_examples=20, deadline=None)
def test_depthwise_convolution_equals_pytorchs(grid: tuple[int, int, int], kernel: int, stride: int) -> None:
    conv = nn.Conv3d(6, 6, kernel, stride=stride, padding=kernel // 2, groups=6)
    x = random(1, 6, *grid)
    y = Depthwise(conv, torch.float32)(Rows.from_volume(x))
    torch.testing.assert_close(y.volume, conv(x).detach(), rtol=1e-5, atol=1e-5)


@given(grid=grids, kernel=st.sampled_from([3, 5, 7]))
@settings(max_examples=25, deadline=None)
def test_eight_phases_interleave_to_the_transposed_convolution(grid: tuple[int, int, int], kernel: int) -> None:
    conv = nn.ConvTranspose3d(6, 6, kernel, stride=2, padding=kernel // 2, groups=6)
    x = random(1, 6, *grid)
    expected = conv(x).detach()
    interleaved = torch.full_like(expected, torch.nan)
    for (k, j, i), phase in TransposedDepthwise(conv, torch.float32)(Rows.from_volume(x)).items():
        interleaved[:, :, k::2, j::2, i::2] = phase.volume
    torch.testing.assert_close(interleaved, expected, rtol=1e-5, atol=1e-5)


def test_the_norm_of_channels_that_hardly_vary_loses_nothing_to_the_fold() -> None:
    block = MedNeXtBlock(MedNeXtConfig(1, 2), channels=16, ratio=2)
    rows_of_air = 100 + 1e-3 * random(4096, 16)
    with torch.no_grad():
        volume = rows_of_air.double().t().reshape(1, 16, 16, 16, 16)
        block.double()
        expected = block.conv3(F.gelu(block.conv2(block.norm(volume)))).flatten(2)[0].t()
        mlp = NormalizedMlp(block, torch.float32)
        y = mlp(rows_of_air, *mlp.normalize([rows_of_air]))
    assert (y - expected).abs().max() < 1e-5 * expected.abs().max()
