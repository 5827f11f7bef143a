"""Mean and variance of every channel: short sums in single precision, combined in double precision.

Combination: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979, eq. 2.1
for many groups at once. PyTorch adds the rows of a channels-last matrix one after the other in single precision, and the
rounding of thousands of nearly equal terms (windows of air) adds up to 1e-5 of the mean; so the rows are dealt to groups first.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import torch
from torch import Tensor

CHUNK_ELEMENTS = 2**19  # 2 MB of float32: the second pass of a chunk is served by the cache; half of it costs 7-15 % (calls)
GROUPS = 32  # a sum has at most 2**14 / C terms; more groups cost time (64: a quarter more)


def channel_statistics(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the columns of all parts together.

    Args:
        parts: contiguous matrices (V_p, C) of one dtype; their rows together are the population. Empty parts are allowed.
    Returns:
        mean (C,), variance (C,), float64.
    """
    column_statistics = _fused_statistics if _has_fused_statistics() else _plain_statistics
    channels = parts[0].shape[1]
    means, variances, counts = [], [], []
    for part in parts:
        for matrix in _grouped(part):
            mean, variance = column_statistics(matrix)
            means.append(mean.view(-1, channels))
            variances.append(variance.view(-1, channels))
            counts += [matrix.shape[0]] * (matrix.shape[1] // channels)
    weights = torch.tensor(counts, dtype=torch.float64)[:, None]
    weights /= weights.sum()
    group_means = torch.cat(means).double()
    mean = (weights * group_means).sum(0)
    variance = (weights * (torch.cat(variances).double() + (group_means - mean) ** 2)).sum(0)
    return mean, variance


def _grouped(part: Tensor) -> Iterator[Tensor]:
    """Views of the rows (V, C) as matrices (rows of a group, groups * C), a chunk each; the last rows are a group alone."""
    rows, channels = part.shape
    whole = rows - rows % GROUPS
    if whole:
        chunk_rows = max(1, CHUNK_ELEMENTS // (GROUPS * channels))
        yield from part[:whole].view(-1, GROUPS * channels).split(chunk_rows)
    if whole < rows:
        yield part[whole:]


def _fused_statistics(chunk: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, biased variance) by the reduction that batch norm uses: far faster over rows than torch.var_mean."""
    return torch.batch_norm_update_stats(chunk, None, None, 0.0)


def _plain_statistics(chunk: Tensor) -> tuple[Tensor, Tensor]:
    values = chunk.float()
    mean = values.mean(0)
    return mean, (values - mean).square_().mean(0)


@cache
def _has_fused_statistics() -> bool:
    """Whether the undocumented batch_norm_update_stats exists here and means what it means in the versions tested."""
    sample = torch.linspace(-1.0, 3.0, 96).view(32, 3).sin()
    try:
        mean, variance = _fused_statistics(sample)
        _fused_statistics(sample.bfloat16())
    except (AttributeError, RuntimeError, TypeError):
        return False
    expected = torch.stack(_plain_statistics(sample.double()))
    return torch.allclose(torch.stack((mean, variance)).double(), expected.double(), rtol=1e-5, atol=1e-6)
