"""The blocks of the Triton engine, its first and last layer equal the plain network's."""

import pytest
import torch
from torch import Tensor, nn
from triton_tools import DEVICE, INTERPRETED, packed, random, tl, trained, triton, unpacked

from mednextseg.kernels.cuda.addresses import gelu
from mednextseg.kernels.cuda.block import CudaBlock, CudaDownBlock, CudaUpBlock
from mednextseg.kernels.cuda.engine import CudaHead
from mednextseg.kernels.cuda.stem import CudaStem
from mednextseg.networks.mednext import MedNeXtBlock, MedNeXtConfig, MedNeXtDownBlock, MedNeXtUpBlock, OutBlock

# One narrow and one wide block (two kernels instead of one), neither a whole tile; hidden widths that are no power of two.
NARROW, WIDE = (2, 24, 3, 5, 4), (1, 136, 1, 2, 3)  # (N, C, K, J, I)
RATIO = 3


def computed(block: nn.Module, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Result of the Triton block and of the plain one, with the skip connection added where a block adds it."""
    rows = packed(x, dtype)
    if isinstance(block, MedNeXtUpBlock):
        skip = random(x.shape[0], x.shape[1] // 2, *(2 * n for n in x.shape[2:]), seed=2).to(dtype)
        return unpacked(CudaUpBlock(block, DEVICE, dtype)(rows, packed(skip, dtype))), block(x) + skip
    fast = (CudaDownBlock if isinstance(block, MedNeXtDownBlock) else CudaBlock)(block, DEVICE, dtype)
    before = rows.values.clone()
    y = fast(rows)
    assert isinstance(block, MedNeXtDownBlock) == torch.equal(rows.values, before)  # the skip connection is not touched
    return unpacked(y), block(x)


@pytest.mark.parametrize(
    ("shape", "residual", "response_norm"),
    [(NARROW, True, False), (NARROW, False, False), (NARROW, True, True), (WIDE, True, True), (WIDE, False, False)],
)
@pytest.mark.parametrize("kind", [MedNeXtBlock, MedNeXtDownBlock, MedNeXtUpBlock])
@torch.no_grad()
def test_a_block_equals_the_plain_one(kind: type, shape: tuple[int, ...], residual: bool, response_norm: bool) -> None:
    torch.manual_seed(0)
    config = MedNeXtConfig(1, 2, global_response_norm=response_norm, block_residual=residual, resampling_residual=residual)
    y, expected = computed(trained(kind(config, shape[1], RATIO)), random(*shape), torch.float32)
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [NARROW, WIDE])
@torch.no_grad()
def test_half_precision_is_off_by_its_rounding_only(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if INTERPRETED and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies the bits of bfloat16 matrices as integers")
    torch.manual_seed(0)
    block = trained(MedNeXtBlock(MedNeXtConfig(1, 2), shape[1], RATIO))
    y, expected = computed(block, random(*shape), dtype)
    error = (y - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert error < torch.finfo(dtype).eps


@torch.no_grad()
def test_the_norm_of_channels_that_hardly_vary_is_exact() -> None:
    torch.manual_seed(0)
    block = trained(MedNeXtBlock(MedNeXtConfig(1, 2, block_residual=False), 16, 2))
    block.conv1.weight.zero_()[..., 1, 1, 1] = 1.0
    block.conv1.bias.zero_()
    x = 100 + 1e-3 * random(1, 16, 6, 4, 8)
    expected = block.double()(x.double())
    y, _ = computed(block.float(), x, torch.float32)
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("in_channels", "classes", "channels"), [(1, 1, 32), (3, 70, 24)])
@torch.no_grad()
def test_stem_and_head_equal_the_plain_ones(in_channels: int, classes: int, channels: int) -> None:
    conv = nn.Conv3d(in_channels, channels, 1).to(DEVICE)
    image = random(2, in_channels, 5, 6, 7)
    rows = CudaStem(conv, DEVICE, torch.float32)(image)
    torch.testing.assert_close(unpacked(rows), conv(image), rtol=1e-5, atol=1e-5)
    out = OutBlock(MedNeXtConfig(in_channels, classes), channels).to(DEVICE)
    logits = CudaHead(out, DEVICE, torch.float32)(rows)
    assert logits.is_contiguous()
    torch.testing.assert_close(logits, out(conv(image)), rtol=1e-5, atol=1e-5)


@triton.jit
def gelu_kernel(x, y, SIZE: tl.constexpr, EXACT: tl.constexpr):
    index = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(y + index, gelu(tl.load(x + index), EXACT))


@pytest.mark.parametrize(("exact", "error"), [(True, 5e-7), (False, 5e-7)])
def test_gelu_is_that_of_the_error_function(exact: bool, error: float) -> None:
    x = torch.linspace(-12, 12, 8 * 1024, device=DEVICE)
    y = torch.empty_like(x)
    gelu_kernel[8,](x, y, SIZE=1024, EXACT=exact)
    difference = y.double() - nn.functional.gelu(x.double())
    assert (difference.abs() <= error + 1e-6 * x.abs()).all()
    assert difference.abs().max() < 1e-6 < (nn.functional.gelu(x, approximate="tanh") - y).abs().max()
