"""Dice of every structure on heads that were never trained on."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan

import torch
from torch import Generator, Tensor

from mednextseg.adapt.heads.data import Heads
from mednextseg.adapt.heads.real import plain_head
from mednextseg.adapt.heads.sampling import PatchGrid
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.synthetic import synthetic_head

_SYNTHETIC_SEED = 7
_SYNTHETIC_TURNS = 2
# Structures that the labels of the real heads draw as those of the synthetic ones.
ALIKE = (
    *("lateral ventricle", "cerebellum white matter", "cerebellum cortex", "thalamus", "caudate", "putamen", "pallidum"),
    *("hippocampus", "amygdala", "third ventricle", "fourth ventricle", "brain stem"),
)


def dice_of_structures(prediction: Tensor, codes: Tensor) -> Tensor:
    """Dice of every class, (classes,); as `dice_of_groups` with each class a group of its own."""
    return dice_of_groups(prediction, codes, [[number] for number in range(len(structures().classes))])


def dice_of_groups(prediction: Tensor, codes: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Dice of classes taken together, such as both sides of a structure, (groups,); NaN where the reference has none of a group.

    Voxels whose code leaves open whether they belong to a group count neither for nor against it.

    Args:
        prediction: (K, J, I) classes. codes: (K, J, I).
        groups: numbers of the classes of each group.
    """
    allowed = structures().allowed
    codes_count, classes = allowed.shape
    table = torch.bincount(codes.flatten() * classes + prediction.flatten(), minlength=codes_count * classes)
    table = table.view(codes_count, classes).double()
    member = torch.zeros(classes, len(groups), dtype=torch.double)
    for number, group in enumerate(groups):
        member[list(group), number] = 1
    may_be, may_be_other = (allowed.double() @ part > 0 for part in (member, 1 - member))
    is_in, is_open = ~may_be_other, may_be & may_be_other
    predicted = table @ member  # (codes, groups)
    volume = (is_in * table.sum(1)[:, None]).sum(0)
    dice = 2 * (is_in * predicted).sum(0) / ((~is_open * predicted).sum(0) + volume)
    return torch.where(volume > 0, dice, torch.nan)


def validate(predict: Callable[[Tensor], Tensor], heads: Heads, grid: PatchGrid) -> dict:
    """Validation figures for the log.

    Args:
        predict: image (1, 1, K, J, I) -> logits (1, classes, K, J, I).
    Returns:
        "real" and "synthetic": structure -> mean Dice; "mean_dice" over ALIKE on real heads; "worst_head": name and its mean.
    """
    real = torch.stack([_score(predict, plain_head(head, grid)) for head in heads.real_validation.values()])
    generator = Generator().manual_seed(_SYNTHETIC_SEED)
    drawn = (synthetic_head(head, grid, generator) for head in heads.maps_validation * _SYNTHETIC_TURNS)
    synthetic = torch.stack([_score(predict, pair) for pair in drawn])
    by_head = real[:, alike_classes()].nanmean(1)
    worst = int(by_head.argmin())
    return {
        "mean_dice": round(float(by_head.mean()), 4),
        "worst_head": {"name": list(heads.real_validation)[worst], "mean_dice": round(float(by_head[worst]), 4)},
        "synthetic_mean_dice": round(float(synthetic[:, 1:].nanmean()), 4),
        "real": _named(real),
        "synthetic": _named(synthetic),
    }


def alike_classes() -> list[int]:
    """The classes of ALIKE, both sides."""
    return [n for n, name in enumerate(structures().classes) if name.removeprefix("left ").removeprefix("right ") in ALIKE]


def _score(predict: Callable[[Tensor], Tensor], head: Iterable[Tensor]) -> Tensor:
    image, codes = head
    return dice_of_structures(predict(image[None, None])[0].argmax(0), codes)


def _named(dice: Tensor) -> dict[str, float]:
    """Means over the heads (rows); structures that no head has are left out."""
    means = zip(structures().classes[1:], dice.nanmean(0)[1:].tolist(), strict=True)
    return {name: round(mean, 4) for name, mean in means if not isnan(mean)}
