"""Which patches a training learns from: where they are cut out, and how many are drawn for each that is learned from."""

from collections.abc import Callable, Sequence

import torch
from monai import transforms as mt
from torch import Tensor

from mednextseg.models.tuning_choices import SAMPLINGS, choice_named

_BOTH = ["image", "label"]
# Of "hard": patches drawn for each that is learned from.
_DRAWS = 2
# Of "foreground": of ten patches, so many are centered anywhere on the background.
_BACKGROUND_OF_TEN = 1


def random_crop(sampling: str, size_kji: Sequence[int], num_classes: int) -> mt.Transform:
    """Cuts a patch of this size out of a case ("image", "label").

    Raises:
        ValueError: for a sampling that is not on the list.
    """
    if choice_named(sampling, "the sampling", SAMPLINGS).name == "foreground" and num_classes > 1:
        share = (10 - _BACKGROUND_OF_TEN) / (num_classes - 1)
        ratios = [float(_BACKGROUND_OF_TEN), *[share] * (num_classes - 1)]
        return mt.RandCropByLabelClassesd(_BOTH, "label", size_kji, ratios, num_classes, allow_smaller=False, warn=False)
    return mt.RandCropByPosNegLabeld(_BOTH, "label", size_kji, pos=2, neg=1, num_samples=1, allow_smaller=False)


def draws_of(sampling: str) -> int:
    """How many patches are drawn for each that is learned from."""
    return _DRAWS if sampling == "hard" else 1


@torch.no_grad()
def hardest(loss_of: Callable[[int], Tensor], drawn: int, kept: int) -> Tensor:
    """Numbers of the patches with the largest losses, in ascending order.

    Args:
        loss_of: of one patch, by its number.
        drawn, kept: how many there are, and how many are wanted.
    """
    return torch.stack([loss_of(number) for number in range(drawn)]).topk(kept).indices.sort().values.cpu()
