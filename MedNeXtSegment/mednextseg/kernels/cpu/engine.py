"""A whole MedNeXt on channels-last rows, on the processor: the plain network's results, several times faster.

What makes the difference (`make bench` measures it): no layout reorders around the convolutions, the norm folded away, the wide
hidden activation kept in the cache, the transposed convolutions as plain ones, almost nothing allocated.
"""

import copy

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
from mednextseg.networks.plug_ins.plug_in import PlugIns

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
    parametrizations, quantization and hooks change what a module does, so any of them means no. Plug-ins are called as they are.

    Args:
        also: one more class of submodules, for an engine that knows it.
    """
    if not (type(module) is MedNeXt and module.config.dims == 3 and module.config.kernel_size >= 3):
        return False
    plugged_in = set(module.plug_ins.modules())
    own = [part for part in module.modules() if part not in plugged_in]
    return all((type(part) in _KNOWN_MODULES or type(part) is also) and not _is_hooked(part) for part in own)


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
        self.plug_ins = copy.deepcopy(module.plug_ins).eval().requires_grad_(False)

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
        taps = _Taps(self.plug_ins, x)
        rows = Rows.from_volume(x)
        rows = Rows(self.stem(rows.values), rows.grid_kji)
        skips = []
        for level, down in enumerate(self.down):
            for block in self.encoder[level]:
                rows = block(rows)
            skips.append(taps.after(f"enc_block_{level}", rows))
            rows = down(skips[level])
        for block in self.bottleneck:
            rows = block(rows)
        rows, skips = taps.after("bottleneck", rows), taps.skips(skips)
        self._write_logits(LEVELS, rows, logits)
        for level in reversed(range(LEVELS)):
            rows = self.up[level](rows, skips.pop())
            for block in self.decoder[level]:
                rows = block(rows)
            rows = taps.after(f"dec_block_{level}", rows)
            self._write_logits(level, rows, logits)

    def _write_logits(self, level: int, rows: Rows, logits: list[Tensor]) -> None:
        if level >= len(self.heads):
            return
        classes_by_voxel = logits[level].flatten(1)
        for voxels in chunks(*rows.values.shape):
            classes_by_voxel[:, voxels] = self.heads[level](rows.values[voxels]).t()


class _Taps:
    """The plug-ins of a network in one pass of the engine, on rows; they compute in single precision."""

    def __init__(self, plug_ins: PlugIns, x: Tensor) -> None:
        self._pass = plug_ins.begin(x.float()) if len(plug_ins) else None

    def after(self, stage: str, rows: Rows) -> Rows:
        return rows if self._pass is None else _rows_like(rows, self._pass.after(stage, rows.volume.float()))

    def skips(self, skips: list[Rows]) -> list[Rows]:
        if self._pass is None:
            return skips
        found = self._pass.skips([rows.volume.float() for rows in skips])
        return [_rows_like(rows, volume) for rows, volume in zip(skips, found, strict=True)]


def _rows_like(rows: Rows, volume: Tensor) -> Rows:
    return Rows.from_volume(volume.to(rows.values.dtype))
