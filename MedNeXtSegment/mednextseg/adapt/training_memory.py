"""What a training will need in memory, found before it starts, and how its steps are computed where that is more than there is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from mednextseg.networks.forward_memory import LiveBytes
from mednextseg.networks.mednext import SIZE_DIVISOR, MedNeXt
from mednextseg.segment.windows.memory_plan import available_bytes

Grid = tuple[int, int, int]
LossOf = Callable[[Grid], Tensor]

_FLOAT_BYTES = 4
_MOMENTS = 2  # of AdamW, for each weight that is trained
# What the libraries take beside the tensors that are counted: copies in layouts of their own, and gaps in the heap.
_UNCOUNTED = 1.25


@dataclass(frozen=True)
class Economy:
    """How a step is computed.

    Attributes:
        is_recomputed: what the blocks keep for the way back is computed again instead; the same gradients, in more time.
        is_split: one patch after the other, gradients added up; Dice is then that of each patch.
    """

    is_recomputed: bool = False
    is_split: bool = False

    def set_up(self, network: nn.Module) -> None:
        """Let the network compute so; networks other than MedNeXt never compute again."""
        if isinstance(network, MedNeXt):
            network.gradient_checkpointing = self.is_recomputed

    @property
    def title(self) -> str:
        """A few words for people."""
        if self.is_split:
            return "patch by patch" + (", with blocks computed again on the way back" if self.is_recomputed else "")
        return "with blocks computed again on the way back" if self.is_recomputed else "as usual"


@dataclass(frozen=True)
class StepMemory:
    """What a step holds at its peak: `fixed` bytes, and `each_voxel` bytes for a voxel of every patch in it."""

    fixed: float
    each_voxel: float

    def bytes_of(self, voxels: int) -> int:
        """Of a step with so many voxels in all its patches."""
        return int(_UNCOUNTED * (self.fixed + self.each_voxel * voxels))


@dataclass(frozen=True)
class TrainingPlan:
    """How a training is computed, the bytes that it is predicted to add to the process, and those that were free."""

    economy: Economy
    needed: int
    available: int

    @property
    def sentence(self) -> str:
        """For reports."""
        return f"steps {self.economy.title}: {self.needed / 1e9:.2f} GB predicted beside the network, {self.available / 1e9:.2f} GB free"


def step_memory(network: nn.Module, loss_of: LossOf, patch_kji: Sequence[int]) -> StepMemory:
    """By a forward and a backward pass on two small grids, of one patch each; gradients are cleared afterwards.

    Args:
        network: in training mode.
        loss_of: the loss of a patch of this grid.
        patch_kji: that the training will have.
    """
    points = []
    for grid in _small_grids(network, patch_kji):
        network.zero_grad(set_to_none=True)
        with LiveBytes() as live:
            loss_of(grid).backward()
        points.append((prod(grid), live.peak))
    network.zero_grad(set_to_none=True)
    (few, low), (many, high) = points
    each_voxel = max(0.0, (high - low) / (many - few))
    return StepMemory(max(0.0, low - each_voxel * few), each_voxel)


def plan_training(
    network: nn.Module, loss_of: LossOf, patch_kji: Sequence[int], batch_size: int, available: int | None = None
) -> TrainingPlan:
    """Choose how to compute steps so that they fit, and set the network to it: as usual where there is room.

    Args:
        network: in training mode, on its device; weights to train require gradients.
        loss_of, patch_kji: as for `step_memory`.
        batch_size: patches a step.
        available: bytes that may be taken; None asks the device.
    Raises:
        RuntimeError: in one sentence, where nothing fits.
    """
    free = free_bytes(next(network.parameters()).device) if available is None else available
    moments = _MOMENTS * _FLOAT_BYTES * sum(weights.numel() for weights in network.parameters() if weights.requires_grad)

    def needed(economy: Economy) -> int:
        economy.set_up(network)
        patches = 1 if economy.is_split else batch_size
        return moments + step_memory(network, loss_of, patch_kji).bytes_of(patches * prod(patch_kji))

    return first_that_fits(((economy, needed(economy)) for economy in ladder(network)), free)


def ladder(network: nn.Module) -> list[Economy]:
    """Ever leaner ways to compute steps; the same gradients come first."""
    if isinstance(network, MedNeXt):
        return [Economy(), Economy(True), Economy(True, True)]
    return [Economy(), Economy(is_split=True)]


def first_that_fits(ways: Iterable[tuple[Economy, int]], free: int) -> TrainingPlan:
    """The first of these ways, each with the bytes that it needs, for which so many free bytes are enough.

    Raises:
        RuntimeError: in one sentence, where none fits.
    """
    for economy, needed in ways:
        if needed <= free:
            return TrainingPlan(economy, needed, free)
    raise RuntimeError(
        f"a training needs about {needed / 1e9:.2f} GB even {economy.title}, and {free / 1e9:.2f} GB are free; close other programs, "
        "train less of the network, or start from a smaller model."
    )


def free_bytes(device: torch.device) -> int:
    """Memory that may still be taken on a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_bytes()


def _small_grids(network: nn.Module, patch_kji: Sequence[int]) -> tuple[Grid, Grid]:
    """Two that the network takes: for a MedNeXt its smallest ones with more than one voxel at the bottleneck, else halves of the patch."""
    if isinstance(network, MedNeXt):
        return (2 * SIZE_DIVISOR, SIZE_DIVISOR, SIZE_DIVISOR), (2 * SIZE_DIVISOR, 2 * SIZE_DIVISOR, SIZE_DIVISOR)
    k, j, i = patch_kji
    return (k // 2, j // 2, i // 2), (k, j // 2, i // 2)
