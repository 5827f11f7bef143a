"""A whole MedNeXt on a graphics card in Triton kernels, replayed as one CUDA graph for every shape of batch.

The plain network moves every activation through memory about 10 + 4 r times a block (r: expansion ratio); here it is five times.
A graph takes away the launches, which on the deep levels cost more than the work.
"""

from collections import OrderedDict
from contextlib import nullcontext

import torch
from torch import Tensor

from mednextseg.kernels.cuda.block import CudaBlock, CudaDownBlock, CudaUpBlock
from mednextseg.kernels.cuda.products import head
from mednextseg.kernels.cuda.rows import BatchRows
from mednextseg.kernels.cuda.stem import CudaStem
from mednextseg.kernels.cuda.weights import padded, padded_size
from mednextseg.networks.mednext import LEVELS, MedNeXt, OutBlock, check_input

_GRAPHS_KEPT = 4  # a sliding window has two shapes: full batches and the last one


class CudaEngine:
    """MedNeXt for inference; the weights are copied here and do not follow the module.

    Args:
        module: a MedNeXt that `is_supported`, global response norm allowed.
        device: a CUDA device of compute capability 8.0 or higher.
        dtype: of activations and matrix products. Statistics, depthwise weights and all sums are float32 or better.
    """

    def __init__(self, module: MedNeXt, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        def stage(name: str) -> list[CudaBlock]:
            return [CudaBlock(block, device, dtype) for block in getattr(module, name)]

        levels = range(LEVELS)
        self.config, self.device, self.dtype = module.config, device, dtype
        self.deep_supervision = module.deep_supervision
        self.stem = CudaStem(module.stem, device, dtype)
        self.encoder = [stage(f"enc_block_{level}") for level in levels]
        self.down = [CudaDownBlock(getattr(module, f"down_{level}"), device, dtype) for level in levels]
        self.bottleneck = stage("bottleneck")
        self.up = [CudaUpBlock(getattr(module, f"up_{level}"), device, dtype) for level in levels]
        self.decoder = [stage(f"dec_block_{level}") for level in levels]
        heads = LEVELS + 1 if module.deep_supervision else 1
        self.heads = [CudaHead(getattr(module, f"out_{level}"), device, dtype) for level in range(heads)]
        self._graphs: OrderedDict[torch.Size, ReplayedRun] = OrderedDict()
        self._seen: set[torch.Size] = set()
        self._pool: tuple[int, int] | None = None

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits of a batch.

        Args:
            x: (N, in_channels, K, J, I), any float dtype, layout and device, each axis divisible by 16; not modified.
        Returns:
            (N, classes, K, J, I) float32 on the device of the engine; with deep supervision the list of five, full size first.
        Raises:
            ValueError: for another shape.
        """
        check_input(x, self.config)
        # Triton launches on the current device, whichever that is.
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            logits = self._replay(x) if self.device.type == "cuda" else self.run(self._image(x))
        return logits if self.deep_supervision else logits[0]

    def run(self, x: Tensor) -> list[Tensor]:
        """Kernel after kernel: contiguous float32 (N, in_channels, K, J, I) on the device -> logits of every head."""
        rows = self.stem(x)
        logits: list[Tensor | None] = [None] * len(self.heads)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            for block in blocks:
                rows = block(rows)
            skips.append(rows)
            rows = down(rows)
        for block in self.bottleneck:
            rows = block(rows)
        if LEVELS < len(self.heads):
            logits[LEVELS] = self.heads[LEVELS](rows)
        for level in reversed(range(LEVELS)):
            rows = self.up[level](rows, skips.pop())
            for block in self.decoder[level]:
                rows = block(rows)
            if level < len(self.heads):
                logits[level] = self.heads[level](rows)
        return logits

    def _image(self, x: Tensor) -> Tensor:
        """A copy, because its address must be as aligned as that of a graph's input: kernels are compiled for the alignment."""
        return x.to(self.device, torch.float32, copy=True, memory_format=torch.contiguous_format)

    def _replay(self, x: Tensor) -> list[Tensor]:
        """The first batch of a shape runs kernel after kernel, which compiles them; from the second on there is a graph."""
        if x.shape not in self._seen:
            self._seen.add(x.shape)
            return self.run(self._image(x))
        if x.shape not in self._graphs:
            if len(self._graphs) == _GRAPHS_KEPT:
                self._graphs.popitem(last=False)
            # One pool of memory for all graphs: they never run at the same time, and results are copied out of it at once.
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            self._graphs[x.shape] = ReplayedRun(self, x.shape, self._pool)
        self._graphs.move_to_end(x.shape)
        return self._graphs[x.shape](x)


class CudaHead:
    """OutBlock: logits (N, classes, K, J, I) float32 of rows."""

    def __init__(self, block: OutBlock, device: torch.device, dtype: torch.dtype) -> None:
        weight = block.conv_out.weight.detach().flatten(1)  # (C, classes)
        self.classes = weight.shape[1]
        sizes = tuple(padded_size(n) for n in weight.shape)
        self.weight = padded(weight, sizes, device, dtype)
        self.bias = padded(block.conv_out.bias.detach(), sizes[1:], device, torch.float32)

    def __call__(self, rows: BatchRows) -> Tensor:
        samples, voxels = rows.values.shape[:2]
        logits = torch.empty(samples, self.classes, voxels, device=rows.values.device)
        head(rows, self.weight, self.bias, logits)
        return logits.view(samples, self.classes, *rows.grid_kji)


class ReplayedRun:
    """One shape of batch as a CUDA graph. Its input and outputs stay where they are; callers get copies."""

    def __init__(self, engine: CudaEngine, shape: torch.Size, pool: tuple[int, int]) -> None:
        self.x = torch.zeros(shape, device=engine.device)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=pool, capture_error_mode="thread_local"):
            self.logits = engine.run(self.x)

    def __call__(self, x: Tensor) -> list[Tensor]:
        self.x.copy_(x)
        self.graph.replay()
        return [part.clone() for part in self.logits]
