"""Soft Dice, in which one voxel more on either side keeps small structures from dividing by nothing."""

from torch import Tensor


def regions(found: Tensor, predicted: Tensor, drawn: Tensor) -> Tensor:
    """2 found / (predicted + drawn)."""
    return (2 * found + 1) / (predicted + drawn + 1)
