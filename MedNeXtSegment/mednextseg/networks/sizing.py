"""Which MedNeXt for a given memory: widths, depths and ratios ranked by a score that needs neither data nor training.

DeepMAD (Shen et al., CVPR 2023, arXiv:2303.02165) takes a network for an information system. The score of a stage is the entropy that
its last features can have, log(channels) + log(positions), times the sum of the logarithms of what each convolution scales random
input by, sqrt(fan-in). The last and coarsest stage weighs eight times. Depth must not outgrow width, or the network cannot be trained:
the convolutions of a stage over the geometric mean of their fan-ins, its effectiveness, stay below a limit. The paper's networks
classify pictures, so here the stages are those of the encoder and the bottleneck, in three dimensions, and the decoder mirrors the
encoder. Nobody has shown that the score orders segmentation networks: what comes out is a suggestion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import exp, log, prod

from mednextseg.networks.mednext import LEVELS, MedNeXtConfig

STAGE_WEIGHTS = (1, 1, 1, 1, 8)
LARGEST_DEPTH_PER_WIDTH = 0.3
_FLOAT_BYTES = 4
_COPIES_OF_WEIGHTS = 5  # weights, gradients, two moments of AdamW, the averaged weights
_BASE_CHANNELS, _KERNEL_SIZES = (8, 12, 16, 24, 32, 48, 64), (3, 5)
_SHALLOW_BLOCKS, _DEEP_BLOCKS, _RATIOS = (1, 2, 3), (1, 2, 3, 4, 6, 8), (2, 3, 4, 8)


@dataclass(frozen=True)
class Design:
    """One network and what it costs.

    Attributes:
        training_bytes: weights with all that training keeps beside them, and what a backward pass through one patch needs.
        multiply_adds: of the convolutions in one forward pass of a patch.
    """

    config: MedNeXtConfig
    score: float
    parameters: int
    training_bytes: int
    multiply_adds: int


def designs(
    in_channels: int, num_classes: int, patch_kji: tuple[int, ...], most_bytes: float, most_parameters: float = float("inf")
) -> list[Design]:
    """The networks that can be trained within the limits, best score first.

    Args:
        num_classes: output channels, background included.
        patch_kji: voxels of the training patch, each axis divisible by 16.
        most_bytes: memory for training on one patch at a time.
    """
    found = []
    for config in _candidates(in_channels, num_classes):
        if depth_per_width(config) > LARGEST_DEPTH_PER_WIDTH or parameters(config) > most_parameters:
            continue
        needed = training_bytes(config, patch_kji)
        if needed <= most_bytes:
            score = entropy_score(config, patch_kji)
            found.append(Design(config, score, parameters(config), needed, multiply_adds(config, patch_kji)))
    return sorted(found, key=lambda design: -design.score)


def entropy_score(config: MedNeXtConfig, patch_kji: tuple[int, ...]) -> float:
    """DeepMAD's multi-scale entropy of the encoder and the bottleneck."""
    score = 0.0
    for level, weight in enumerate(STAGE_WEIGHTS):
        channels, positions = _width(config, level), prod(patch_kji) / 8**level
        log_deviations = sum(0.5 * log(fan_in) for fan_in in _fan_ins(config, level)) * config.block_counts[level]
        score += weight * (log(channels) + log(positions)) * log_deviations
    return score


def depth_per_width(config: MedNeXtConfig) -> float:
    """The largest over the stages of the number of convolutions over the geometric mean of their fan-ins."""
    largest = 0.0
    for level in range(LEVELS + 1):
        fan_ins = _fan_ins(config, level)
        width = exp(sum(map(log, fan_ins)) / len(fan_ins))
        largest = max(largest, len(fan_ins) * config.block_counts[level] / width)
    return largest


def parameters(config: MedNeXtConfig) -> int:
    """Numbers in the network's weights, with its output at full size only."""
    kernel, count = config.kernel_size**3, (config.in_channels + 1) * config.base_channels + 1
    for channels, out_channels, ratio, _, _ in _blocks(config):
        hidden = channels * ratio
        count += channels * (kernel + 1) + 2 * channels + (channels + 1) * hidden + (hidden + 1) * out_channels
        count += (channels + 1) * out_channels if out_channels != channels else 0
    return count + (config.base_channels + 1) * config.num_classes


def multiply_adds(config: MedNeXtConfig, patch_kji: tuple[int, ...]) -> int:
    """Of the convolutions in one forward pass of a patch, with its output at full size only."""
    voxels, count = prod(patch_kji), 0.0
    for channels, out_channels, ratio, level_in, level_out in _blocks(config):
        hidden, positions = channels * ratio, voxels / 8 ** max(level_in, level_out)
        count += voxels / 8**level_out * (channels * hidden + hidden * out_channels)
        count += (positions if level_out < level_in else voxels / 8**level_out) * channels * config.kernel_size**3
        count += positions * channels * out_channels if out_channels != channels else 0
    return round(count + voxels * config.base_channels * (config.in_channels + config.num_classes))


def training_bytes(config: MedNeXtConfig, patch_kji: tuple[int, ...]) -> int:
    """Float32 memory for one step on one patch: what each block keeps for its backward pass, and the weights' copies.

    A block keeps its input, what goes into its norm and what comes out of it, and both sides of the GELU.
    """
    voxels, kept = prod(patch_kji), 0.0
    for channels, _, ratio, level_in, level_out in _blocks(config):
        kept += channels * voxels / 8**level_in + (2 + 2 * ratio) * channels * voxels / 8**level_out
    kept += voxels * (
        config.base_channels + 3 * config.num_classes
    )  # the head: its input, logits, and two more of them in the loss
    return round(_FLOAT_BYTES * (kept + _COPIES_OF_WEIGHTS * parameters(config)))


def _candidates(in_channels: int, num_classes: int) -> Iterator[MedNeXtConfig]:
    """Widths, kernels, depths and ratios; nothing gets shallower or narrower on the way to the bottleneck."""
    for base, kernel, first, deep in product(_BASE_CHANNELS, _KERNEL_SIZES, _SHALLOW_BLOCKS, _DEEP_BLOCKS):
        for low, high in product(_RATIOS, _RATIOS):
            if deep >= first and high >= low:
                blocks = (first, (first + deep) // 2, deep, deep, deep)
                ratios = (low, (low + high) // 2, high, high, high)
                yield MedNeXtConfig(
                    in_channels,
                    num_classes,
                    kernel_size=kernel,
                    expansion_ratios=_mirrored(ratios),
                    block_counts=_mirrored(blocks),
                    base_channels=base,
                )


def _mirrored(encoder: tuple[int, ...]) -> tuple[int, ...]:
    return encoder + encoder[LEVELS - 1 :: -1]


def _width(config: MedNeXtConfig, level: int) -> int:
    return config.base_channels * 2**level


def _fan_ins(config: MedNeXtConfig, level: int) -> tuple[int, int, int]:
    """Of a block's three convolutions: depthwise, expanding, projecting."""
    channels = _width(config, level)
    return config.kernel_size**3, channels, channels * config.expansion_ratios[level]


def _blocks(config: MedNeXtConfig) -> Iterator[tuple[int, int, int, int, int]]:
    """Channels in and out, expansion ratio, and the level of the grid before and after, of every block along the data flow."""
    for stage, (count, ratio) in enumerate(zip(config.block_counts, config.expansion_ratios, strict=True)):
        level = min(stage, 2 * LEVELS - stage)
        channels = _width(config, level)
        if stage > LEVELS:
            yield 2 * channels, channels, ratio, level + 1, level
        for _ in range(count):
            yield channels, channels, ratio, level, level
        if stage < LEVELS:
            yield channels, 2 * channels, config.down_ratios[stage], level, level + 1
