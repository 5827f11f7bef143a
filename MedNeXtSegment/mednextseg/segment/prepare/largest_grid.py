"""The limit of what a volume may become at a model's spacing: beyond it, only its own spacing can be wrong."""

from collections.abc import Sequence
from math import prod

# 64 GB of one channel, and more windows along an axis than anybody waits for.
_MOST_VOXELS, _LONGEST_AXIS = 1 << 34, 1 << 17


def check_network_size(sizes: Sequence[float], spacing_mm: Sequence[float]) -> None:
    """Refuse a grid that no machine takes.

    Args:
        sizes: voxels along each axis at the model's spacing, not rounded.
        spacing_mm: of the volume, along the same axes K, J, I.
    Raises:
        ValueError: in one sentence.
    """
    if prod(sizes) <= _MOST_VOXELS and max(sizes) <= _LONGEST_AXIS:
        return
    raise ValueError(
        f"at the model's spacing the volume has {' x '.join(f'{size:.3g}' for size in sizes)} voxels, more than any machine takes; "
        f"check its own spacing, {' x '.join(f'{mm:.3g}' for mm in spacing_mm)} mm along K, J, I."
    )
