"""What a run will need in memory, decided before it starts, and the ladder it steps down when that was not enough."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import torch

from mednextseg.models.families import NetworkConfig, build_network
from mednextseg.networks.forward_memory import peak_forward_bytes
from mednextseg.networks.mednext import LEVELS, MedNeXtConfig
from mednextseg.networks.monai_network import MonaiConfig
from mednextseg.segment.windows.running_sum import PORTION_BYTES
from mednextseg.segment.windows.sliding_window import SlidingWindow

_FLOAT_BYTES = 4
# Python, PyTorch with its matrix libraries, and SimpleITK; measured on Linux as the peak of runs less the parts below.
_PROCESS_BYTES = 390_000_000
# A CT's voxel, and its place in a mask while margins are looked for.
_SOURCE_VOXEL_BYTES = 3
# Averages on their way to the labels: the portion at work, the one before, and the divisor's broadcast.
_PORTIONS_AT_ONCE = 3
# The file's weights go as the engine's come.
_WEIGHT_COPIES = 1.6
# Of networks whose tensors are only counted: what convolutions copy into their own layout meanwhile.
_ONEDNN_COPIES = 1.5


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by part; `total` is the predicted peak of the process, `needed` what a run adds to one that is loaded.

    `image` includes `prepared`, the image on the network's grid. `on_card` is what a graphics card takes that has room for the sums.
    """

    image: int
    prepared: int
    sums: int
    network: int
    labels: int

    @property
    def needed(self) -> int:
        return self.image + self.sums + self.network + self.labels

    @property
    def total(self) -> int:
        return _PROCESS_BYTES + self.needed

    @property
    def on_card(self) -> int:
        return self.prepared + self.sums + self.network


def plan_memory(
    config: NetworkConfig,
    num_outputs: int,
    network_shape_kji: tuple,
    source_shape_kji: tuple,
    sliding: SlidingWindow,
    others: Sequence[NetworkConfig] = (),
) -> MemoryPlan:
    """Predict the peak of a run of this sliding window.

    Args:
        config: of the network.
        num_outputs: channels of the network's output.
        network_shape_kji, source_shape_kji: grids of the network and of the input volume.
        sliding: the sliding window.
        others: networks that stay loaded beside it, for windows of their own.
    """
    grid = sliding.grid(network_shape_kji)
    padded = grid.shape_kji
    network_voxels, source_voxels = prod(network_shape_kji), prod(source_shape_kji)
    plane = padded[1] * padded[2]
    plane_bytes = _FLOAT_BYTES * num_outputs * plane
    ring = sliding.patch_kji[0] + sliding.planes_ahead(grid)
    portion = min(max(plane_bytes, PORTION_BYTES), plane_bytes * ring)
    depth = 0 if sliding.sum_on == "disk" else ring
    # A window's class values; twice more where views are added up or turned into probabilities.
    copies = 3 if len(sliding.views) > 1 or sliding.average == "probabilities" else 1
    at_once = calls_at_once(padded, sliding)
    waiting = 1 if at_once > 1 else 0  # a finished window that is being added up while all runners are at work
    outputs = _FLOAT_BYTES * num_outputs * prod(sliding.patch_kji) * sliding.batch_size * (copies * at_once + waiting)
    weights = sum(map(weight_bytes, (config, *others)))
    activations = max(activation_bytes(network, sliding) for network in (config, *others))
    prepared = config.in_channels * _FLOAT_BYTES * network_voxels
    return MemoryPlan(
        image=config.in_channels * _SOURCE_VOXEL_BYTES * source_voxels + prepared,
        prepared=prepared,
        sums=depth * plane_bytes + _FLOAT_BYTES * ring * plane + _PORTIONS_AT_ONCE * portion,
        network=activations * at_once + outputs + int(_WEIGHT_COPIES * weights),
        labels=2 * source_voxels,
    )


def calls_at_once(padded_kji: Sequence[int], sliding: SlidingWindow) -> int:
    """Calls of the network that run at the same time: no more than there are windows and views."""
    windows = sliding.grid(padded_kji).count
    return min(sliding.runners, -(-windows // sliding.batch_size) * len(sliding.views))


@lru_cache(maxsize=16)
def weight_bytes(config: NetworkConfig) -> int:
    """Of one copy of the network in float32."""
    with torch.device("meta"):
        network = build_network(config)
    return _FLOAT_BYTES * sum(weights.numel() for weights in network.parameters())


def activation_bytes(config: NetworkConfig, sliding: SlidingWindow) -> int:
    """Largest sum of tensors that are alive at once in a forward pass of one batch of windows, float32.

    MedNeXt's peak is in the last up block: its input and normalized copy (2 x 64 channels of the full grid), the expanded rows before
    and after the GELU, and the skip connections that wait. The processor's engine never holds the expanded rows of a whole window and
    takes the windows of a batch one by one: 3.25 times the base channels a voxel, 4 with the gaps that are left in the heap (measured).
    The peak of STU-Net and of nnU-Net's U-Nets is in the last decoder block: the skip and the enlarged features, both once more
    concatenated, and the two convolutions' outputs with their norms: 8 times the first width, 12 with the copies in which oneDNN
    convolves (measured on STU-Net).
    bfloat16 counts as float32, because the first run that asks for it measures both.
    """
    voxels, batch = prod(sliding.patch_kji), sliding.batch_size
    if isinstance(config, MonaiConfig):
        return int(_ONEDNN_COPIES * batch * _monai_window_bytes(config, sliding.patch_kji[-config.dims :]))
    if not isinstance(config, MedNeXtConfig):
        return _FLOAT_BYTES * 12 * config.widths[0] * voxels * batch
    if sliding.device == "cpu" and config.dims == 3 and not config.global_response_norm:
        return _FLOAT_BYTES * 4 * config.base_channels * voxels
    width, ratio = config.base_channels, config.expansion_ratios[2 * LEVELS]
    channels = 2 * (2 * width) + 2 * ratio * (2 * width) + 2 * width
    return _FLOAT_BYTES * channels * voxels * batch


@lru_cache(maxsize=16)
def _monai_window_bytes(config: MonaiConfig, patch: tuple[int, ...]) -> int:
    return peak_forward_bytes(lambda: build_network(config), (1, config.in_channels, *patch))


def available_bytes() -> int:
    """Memory that this process may still take: the machine's available memory, and less where a limit is set."""
    available = _machine_bytes()
    try:
        import resource  # noqa: PLC0415  (absent on Windows)
    except ImportError:
        return available
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        with open("/proc/self/statm", encoding="ascii") as stream:
            used = int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        available = min(available, max(0, soft - used))
    return available


def free_on(device: str) -> int | None:
    """Bytes that this process may still take on a graphics card; None where the device does not tell."""
    if not device.startswith("cuda"):
        return None
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def needed_and_free(plan: MemoryPlan, device: str) -> tuple[int, int]:
    """Bytes that a run takes where it runs, and what is free there: on a card that tells, else in main memory."""
    free = None if device == "cpu" else free_on(device)
    return (plan.total, available_bytes()) if free is None else (plan.on_card, free)


def fits(plan: MemoryPlan, sliding: SlidingWindow) -> bool:
    """Whether a run is tried as planned.

    In main memory no run is tried that needs too much, for running into the limit can take other programs down with us: not before the
    sums are on disk. A card has room for the sums or refuses them harmlessly; where the plan says that it has none, they are in main
    memory from the start. Its network is always tried, because the processor takes many times as long.
    """
    if sliding.device == "cpu":
        return sliding.sum_on == "disk" or plan.needed <= available_bytes()
    free = free_on(sliding.device)
    return free is None or sliding.sum_on != sliding.device or plan.on_card <= free


def with_runners_that_fit(sliding: SlidingWindow, planned: Callable[[SlidingWindow], MemoryPlan]) -> SlidingWindow:
    """The sliding window with so many windows at once as the available memory has room for, at least one."""
    while sliding.runners > 1 and planned(sliding).needed > available_bytes():
        sliding = replace(sliding, runners=sliding.runners // 2)
    return sliding


def fallbacks(sliding: SlidingWindow) -> Iterator[tuple[SlidingWindow, str]]:
    """The ladder: ever leaner sliding windows, each with the sentence that tells the user what was done."""
    if sliding.batch_size > 1 or sliding.runners > 1:
        sliding = replace(sliding, batch_size=1, runners=1)
        yield sliding, "Memory was short: one window at a time."
    if sliding.sum_on not in ("cpu", "disk"):
        sliding = replace(sliding, sum_on="cpu")
        yield sliding, "Memory of the graphics card was short: results are added up in main memory."
    if sliding.device != "cpu":
        sliding = replace(sliding, device="cpu")
        yield sliding, "Memory of the graphics card was short: the run continues on the processor."
    if sliding.sum_on != "disk":
        yield replace(sliding, sum_on="disk"), "Main memory was short: results are added up on disk, which is slower."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of numpy or torch means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def _machine_bytes() -> int:
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        try:
            with open("/proc/meminfo", encoding="ascii") as stream:
                fields = dict(line.split(":", 1) for line in stream)
            return int(fields["MemAvailable"].split()[0]) * 1024
        except (OSError, KeyError):
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8_000_000_000  # Windows and others without the call: a common size, so that the plan stays cautious
