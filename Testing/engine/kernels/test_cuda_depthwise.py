"""The depthwise convolutions of the Triton engine and their statistics equal PyTorch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from triton_tools import DEVICE, packed, random, unpacked

from mednextseg.kernels.cuda.depthwise import CudaDepthwise
from mednextseg.kernels.cuda.rows import BatchRows
from mednextseg.kernels.cuda.transposed import PHASES, CudaTransposedDepthwise

# A tile is 8 x 4 x 8 voxels of 32 channels: grids below, at and beyond it; channels with and without a rest.
axes = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 9))
widths = st.sampled_from([8, 24, 32, 40])


def interleaved(rows: BatchRows) -> Tensor:
    """The phases of a transposed convolution as one volume; what no phase wrote stays NaN."""
    samples, _, channels = rows.values.shape
    phases = rows.values.transpose(1, 2).reshape(samples, channels, PHASES, *rows.grid_kji)
    volume = phases.new_full((samples, channels, *(2 * n - 1 for n in rows.grid_kji)), torch.nan)
    for phase in range(PHASES):
        k, j, i = phase // 4, phase // 2 % 2, phase % 2
        part = volume[:, :, k::2, j::2, i::2]
        part.copy_(phases[:, :, phase, : part.shape[2], : part.shape[3], : part.shape[4]])
    return volume


def random_norm(channels: int) -> nn.GroupNorm:
    norm = nn.GroupNorm(channels, channels).to(DEVICE)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def assert_normalizes(normalization: Tensor, volume: Tensor, norm: nn.GroupNorm) -> None:
    """Mean, scale and offset give what the norm gives in double precision."""
    mean, scale, offset = (part[:, :, None] for part in normalization.unbind(1))
    values = volume.flatten(2)
    exact = values.double() - values.double().mean(2, keepdim=True)
    exact = exact / torch.sqrt(exact.square().mean(2, keepdim=True) + norm.eps)
    exact = exact * norm.weight.double()[:, None] + norm.bias.double()[:, None]
    torch.testing.assert_close(((values - mean) * scale + offset).double(), exact, rtol=1e-5, atol=2e-5)


@given(grid=axes, channels=widths, samples=st.integers(1, 2), kernel=st.sampled_from([3, 5]), stride=st.sampled_from([1, 2]))
@settings(max_examples=4)
@torch.no_grad()
def test_convolution_and_statistics_equal_pytorchs(
    grid: tuple[int, int, int], channels: int, samples: int, kernel: int, stride: int
) -> None:
    conv = nn.Conv3d(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels).to(DEVICE)
    norm, x = random_norm(channels), random(samples, channels, *grid)
    y, normalization = CudaDepthwise(conv, norm, DEVICE)(packed(x))
    expected = conv(x)
    torch.testing.assert_close(unpacked(y), expected, rtol=1e-5, atol=1e-5)
    assert_normalizes(normalization, expected, norm)


@given(grid=st.tuples(*(st.integers(1, 4),) * 3), channels=widths, samples=st.integers(1, 2), kernel=st.sampled_from([3, 5]))
@settings(max_examples=3)
@torch.no_grad()
def test_transposed_convolution_and_statistics_equal_pytorchs(
    grid: tuple[int, int, int], channels: int, samples: int, kernel: int
) -> None:
    conv = nn.ConvTranspose3d(channels, channels, kernel, stride=2, padding=kernel // 2, groups=channels).to(DEVICE)
    norm, x = random_norm(channels), random(samples, channels, *grid)
    y, normalization = CudaTransposedDepthwise(conv, norm, DEVICE)(packed(x))
    expected = conv(x)
    torch.testing.assert_close(interleaved(y), expected, rtol=1e-5, atol=1e-5)
    assert_normalizes(normalization, expected, norm)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_statistics_of_half_precision_are_those_of_the_stored_values(dtype: torch.dtype) -> None:
    conv = nn.Conv3d(16, 16, 3, padding=1, groups=16).to(DEVICE)
    norm, x = random_norm(16), random(1, 16, 3, 4, 5).to(dtype)
    y, normalization = CudaDepthwise(conv, norm, DEVICE)(packed(x, dtype))
    torch.testing.assert_close(unpacked(y), conv(x.float()).to(dtype), rtol=2**-7, atol=1e-3)
    assert_normalizes(normalization, unpacked(y).float(), norm)


@torch.no_grad()
def test_statistics_of_nearly_constant_channels_do_not_cancel() -> None:
    conv = nn.Conv3d(16, 16, 3, padding=1, groups=16, bias=False).to(DEVICE)
    conv.weight.zero_()[..., 1, 1, 1] = 1.0
    conv.bias = nn.Parameter(torch.zeros(16, device=DEVICE))
    norm, x = random_norm(16), 100 + 1e-3 * random(1, 16, 9, 5, 9)
    y, normalization = CudaDepthwise(conv, norm, DEVICE)(packed(x))
    assert torch.equal(unpacked(y), x)
    assert_normalizes(normalization, x, norm)
    assert torch.equal(CudaDepthwise(conv, norm, DEVICE)(packed(x))[1], normalization)
