"""Patches mirrored from side to side: a left structure becomes a right one, and so does one that nobody drew."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from monai import transforms as mt

from mednextseg.json_values import listed
from mednextseg.models.sides import SIDE_AXIS

AbsentSets = tuple[frozenset[int], ...]


class Sides:
    """Which label values change places in a mirror image.

    Args:
        pairs: of label names, such as ("left kidney", "right kidney").
        labels: name -> value of a data set, background included.
    Raises:
        ValueError: where a pair is not two labels of the data set, or a label is in two pairs.
    """

    def __init__(self, pairs: Sequence[Sequence[str]], labels: Mapping[str, int]) -> None:
        names = [name for pair in pairs for name in pair]
        if any(len(pair) != 2 for pair in pairs) or len(set(names)) != len(names) or not labels.keys() >= set(names):
            raise ValueError(
                f"exchanged_sides of the training recipe must pair labels of the data set, each once, got {listed(names)}; "
                f"the labels are {listed(list(labels))}."
            )
        self._partner = {labels[name]: labels[other] for pair in pairs for name, other in (pair, pair[::-1])}

    def exchanged(self, value: int) -> int:
        """The label value that this one becomes."""
        return self._partner.get(value, value)

    def with_mirrored(self, absent: AbsentSets) -> AbsentSets:
        """Sets of values that cases lack, and those that their mirror images lack, each once."""
        return tuple(dict.fromkeys((*absent, *map(self._exchanged_set, absent))))

    def codes(self, absent: AbsentSets, num_classes: int) -> np.ndarray:
        """int64 (codes,), what each code becomes: classes, then num_classes + n for absent[n], whose mirrored sets are among them."""
        sets = [absent.index(self._exchanged_set(of_case)) for of_case in absent]
        return np.array([*map(self.exchanged, range(num_classes)), *(num_classes + n for n in sets)])

    def _exchanged_set(self, values: frozenset[int]) -> frozenset[int]:
        return frozenset(map(self.exchanged, values))


class MirrorSides(mt.MapTransform, mt.RandomizableTransform):
    """Mirror every second patch along I, which runs from side to side, and exchange its labels.

    Args:
        codes: see `Sides.codes`; "label" (1, k, j, i) and "background", the code of unlabeled voxels, take them.
    """

    def __init__(self, codes: np.ndarray) -> None:
        mt.MapTransform.__init__(self, ("image", "label"))
        mt.RandomizableTransform.__init__(self, 0.5)
        self.codes = codes

    def __call__(self, data: dict) -> dict:
        self.randomize(None)
        if not self._do_transform:
            return data
        mirror = mt.Flip(spatial_axis=SIDE_AXIS)
        label = mirror(data["label"])
        exchanged = torch.from_numpy(self.codes)[label.long()].to(label.dtype)
        return {
            **data,
            "image": mirror(data["image"]),
            "label": exchanged,
            "background": int(self.codes[int(data["background"])]),
        }
