"""A whole MedNeXt on channels-last rows, on the processor: the plain network's results, several times faster.

What makes the difference (`make bench` measures it): no layout reorders around the convolutions, the norm folded away, the wide
hidden activation kept in the cache, the transposed convolutions as plain ones, almost nothing allocated.
"""

import torch
from torch import Tensor, nn

from mednextseg.kernels.cpu.block import Block, DownBlock, Shortcut, UpBlock
from mednextseg.kernels.cpu.rows import Rows, chunks
from mednextseg.networks.mednext import (
    LEVELS,
    MedNeXt,
    MedNeXtBlock,
    MedNeXtDownBlock,
    MedNeXtUpBlock,
    OutBlock,
    check_input,
)

_KNOWN_MODULES = frozenset(
    (
        MedNeXt,
        MedNeXtBlock,
        MedNeXtDownBlock,
        MedNeXtUpBlock,
        OutBlock,
        nn.Sequential,
        nn.Conv3d,
        nn.ConvTranspose3d,
        nn.GroupNorm,
    )
)


def is_supported(module: nn.Module, also: type[nn.Module] | None = None) -> bool:
    """Whether the engine computes what this module computes.

    That is a 3D MedNeXt of exactly the classes it was written for: global response norm is none of them, and adapters,
    parametrizations, quantization and hooks change what a module does, so any of them means no.

    Args:
        also: one more class of submodules, for an engine that knows it.
    """
    return (
        type(module) is MedNeXt
        and module.config.dims == 3
        and module.config.kernel_size >= 3
        and all((type(part) in _KNOWN_MODULES or type(part) is also) and not _is_hooked(part) for part in module.modules())
    )


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


class MedNeXtEngine:
    """MedNeXt for inference on the processor; the weights are copied here and do not follow the module.

    Args:
        module: a supported MedNeXt.
        dtype: torch.float32 (equal to the plain network up to rounding) or torch.bfloat16 (not exact).
    """

    def __init__(self, module: MedNeXt, dtype: torch.dtype = torch.float32) -> None:
        def stage(name: str) -> list[Block]:
            return [Block(block, dtype) for block in getattr(module, name)]

        def head(level: int) -> Shortcut:
            conv = getattr(module, f"out_{level}").conv_out
            return Shortcut(conv.weight.flatten(1).t(), conv.bias, dtype)

        levels = range(LEVELS)
        self.config, self.dtype = module.config, dtype
        self.deep_supervision = module.deep_supervision
        self.stem = Shortcut(module.stem.weight.flatten(1), module.stem.bias, dtype)
        self.encoder = [stage(f"enc_block_{level}") for level in levels]
        self.down = [DownBlock(getattr(module, f"down_{level}"), dtype) for level in levels]
        self.bottleneck = stage("bottleneck")
        self.up = [UpBlock(getattr(module, f"up_{level}"), dtype) for level in levels]
        self.decoder = [stage(f"dec_block_{level}") for level in levels]
        self.heads = [head(level) for level in range(LEVELS + 1 if module.deep_supervision else 1)]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits of a batch.

        Args:
            x: (N, in_channels, K, J, I), any float dtype and layout, each axis divisible by 16; not modified.
        Returns:
            (N, classes, K, J, I) float32, contiguous; with deep supervision the list of five, full size first.
        Raises:
            ValueError: for another shape.
        """
        check_input(x, self.config)
        batch, (k, j, i) = x.shape[0], x.shape[2:]
        logits = [
            torch.empty(batch, head.weight.shape[0], k >> level, j >> level, i >> level)
            for level, head in enumerate(self.heads)
        ]
        with torch.autocast("cpu", enabled=False):
            # The norm's statistics are those of one sample, and one sample fills the cores: no reason to hold two.
            for sample in range(batch):
                self._run(x[sample : sample + 1].to("cpu", self.dtype), [out[sample] for out in logits])
        return logits if self.deep_supervision else logits[0]

    def _run(self, x: Tensor, logits: list[Tensor]) -> None:
        """One sample (1, in_channels, K, J, I); writes logits[level] (classes, K, J, I) for every head."""
        rows = Rows.from_volume(x)
        rows = Rows(self.stem(rows.values), rows.grid_kji)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            for block in blocks:
                rows = block(rows)
            skips.append(rows)
            rows = down(rows)
        for block in self.bottleneck:
            rows = block(rows)
        self._write_logits(LEVELS, rows, logits)
        for level in reversed(range(LEVELS)):
            rows = self.up[level](rows, skips.pop())
            for block in self.decoder[level]:
                rows = block(rows)
            self._write_logits(level, rows, logits)

    def _write_logits(self, level: int, rows: Rows, logits: list[Tensor]) -> None:
        if level >= len(self.heads):
            return
        classes_by_voxel = logits[level].flatten(1)
        for voxels in chunks(*rows.values.shape):
            classes_by_voxel[:, voxels] = self.heads[level](rows.values[voxels]).t()
