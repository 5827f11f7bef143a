"""Random numbers of the head generator, all from one torch.Generator, so that a seed gives the same heads again."""

import torch
from torch import Generator


def uniform(generator: Generator, low: float, high: float) -> float:
    """A number between low and high."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def chance(generator: Generator, probability: float) -> bool:
    """True with this probability."""
    return torch.rand((), generator=generator).item() < probability


def integer(generator: Generator, low: int, high: int) -> int:
    """An integer from low to high - 1."""
    return int(torch.randint(low, high, (), generator=generator))
