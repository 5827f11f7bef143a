"""The first convolution (1x1x1) in Triton: from an image, channels first, to rows."""

# Constants of the compiler are in capitals, as in Triton's own code.
# ruff: noqa: N803

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from mednextseg.kernels.cuda.rows import BatchRows

_BLOCK_ROWS = 128


class CudaStem:
    """nn.Conv3d of size 1 on few channels. Bound by the writing of its result, so that no matrix unit is needed."""

    def __init__(self, conv: nn.Conv3d, device: torch.device, dtype: torch.dtype) -> None:
        self.weight = conv.weight.detach().flatten(1).t().to(device, torch.float32, copy=True).contiguous()  # (in, C)
        self.bias = conv.bias.detach().to(device, torch.float32, copy=True)
        self.dtype = dtype

    def __call__(self, image: Tensor) -> BatchRows:
        """Rows (N, K*J*I, C) of a contiguous float32 image (N, in, K, J, I)."""
        samples, grid_kji = image.shape[0], tuple(image.shape[2:])
        rows, channels = image[0, 0].numel(), self.bias.shape[0]
        out = BatchRows(torch.empty(samples, rows, channels, dtype=self.dtype, device=image.device), grid_kji)
        _stem_kernel[triton.cdiv(rows, _BLOCK_ROWS), samples](
            image,
            self.weight,
            self.bias,
            out.values,
            rows,
            IN_CHANNELS=image.shape[1],
            CHANNELS=channels,
            BLOCK_ROWS=_BLOCK_ROWS,
            BLOCK_CHANNELS=triton.next_power_of_2(channels),
            num_warps=4,
        )
        return out


@triton.jit
def _stem_kernel(
    image,
    weight,
    bias,
    out,
    rows,
    IN_CHANNELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    channel = tl.arange(0, BLOCK_CHANNELS)
    exists, sample = channel < CHANNELS, tl.program_id(1).to(tl.int64)
    sums = tl.zeros((BLOCK_ROWS, BLOCK_CHANNELS), tl.float32) + tl.load(bias + channel, mask=exists, other=0.0)[None, :]
    for source in range(IN_CHANNELS):
        value = tl.load(image + (sample * IN_CHANNELS + source) * rows + row, mask=row < rows, other=0.0)
        sums += value[:, None] * tl.load(weight + source * CHANNELS + channel, mask=exists, other=0.0)[None, :]
    address = out + (sample * rows + row[:, None]) * CHANNELS + channel[None, :]
    tl.store(address, sums.to(out.dtype.element_ty), mask=(row < rows)[:, None] & exists[None, :])
