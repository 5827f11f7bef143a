"""Test-time augmentation (TTA): the mirrored and turned copies of a window that a network sees, and how its
output is turned back.

The seven views of MedISeg (Zhang et al., Medical Image Segmentation Tricks, 2022) are the window itself, three mirror images and three
quarter turns; a view has a name in recipes: "mirror_i", "mirror_kj", "rot90_ji", "rot270_ki".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from torch import Tensor

from mednextseg.models.model_card import ModelCard
from mednextseg.models.sides import SIDE_AXIS

_AXES = "kji"
_MIRROR_NAME = re.compile(r"^(?:mirror|flip)_([kji]{1,3})$")  # "flip_": in recipes written before
_TURN_NAME = re.compile(r"^rot(90|180|270)_([kji]{2})$")


@dataclass(frozen=True)
class MirroredView:
    """A copy of a window, mirrored along axes and then turned in a plane; without arguments the window itself.

    Attributes:
        mirrored_axes_kji: 0 for K, 1 for J, 2 for I.
        quarter_turns: 0 to 3, from the first towards the second axis of the plane.
        plane_kji: the two axes of the turn.
        outputs: which output of the view is the window's first one, and so on; empty where they are the same.
    """

    mirrored_axes_kji: tuple[int, ...] = ()
    quarter_turns: int = 0
    plane_kji: tuple[int, int] = (1, 2)
    outputs: tuple[int, ...] = ()

    def apply(self, values: Tensor) -> Tensor:
        """The view of a tensor (..., K, J, I), contiguous where the tensor is."""
        mirrored = values.flip(_last(self.mirrored_axes_kji)) if self.mirrored_axes_kji else values
        return mirrored.rot90(self.quarter_turns, _last(self.plane_kji)).contiguous() if self.quarter_turns else mirrored

    def undo(self, values: Tensor) -> Tensor:
        """The network's outputs (..., outputs, K, J, I) for the view, as those of the window."""
        if self.outputs:
            values = values[..., list(self.outputs), :, :, :]
        turned = values.rot90(-self.quarter_turns, _last(self.plane_kji)) if self.quarter_turns else values
        return turned.flip(_last(self.mirrored_axes_kji)) if self.mirrored_axes_kji else turned


def mirror_views(axes_kji: Sequence[int]) -> tuple[MirroredView, ...]:
    """The window and its mirror images along every combination of axes."""
    return tuple(MirroredView(axes) for count in range(len(axes_kji) + 1) for axes in combinations(tuple(axes_kji), count))


def named_view(name: str) -> MirroredView:
    """The view of this name.

    Raises:
        ValueError: for a name that no view has.
    """
    if (mirror := _MIRROR_NAME.match(name)) and len(set(mirror[1])) == len(mirror[1]):
        return MirroredView(tuple(sorted(_AXES.index(axis) for axis in mirror[1])))
    if (turn := _TURN_NAME.match(name)) and len(set(turn[2])) == len(turn[2]):
        return MirroredView((), int(turn[1]) // 90, (_AXES.index(turn[2][0]), _AXES.index(turn[2][1])))
    raise ValueError(
        f'there is no view {name!r}; views are named "mirror_" or "rot90_" (180, 270) and axes, such as mirror_kj, rot90_ji.'
    )


def views_for(card: ModelCard, names: Sequence[str] | None) -> tuple[MirroredView, ...]:
    """The window itself and the views of these names; None for the mirror images that the card allows.

    Where the card says that sides change places in a mirror image, they change back in the view's outputs.

    Raises:
        ValueError: for an unknown name, or a quarter turn in a plane whose two axes differ in voxels or spacing.
    """
    if names is None:
        return tuple(_with_sides(view, card) for view in mirror_views(card.mirror_axes_kji))
    views = tuple(dict.fromkeys((MirroredView(), *map(named_view, names))))
    patch, spacing = card.patch_size_kji, card.spacing_kji_mm or (1.0, 1.0, 1.0)
    for first, second in (view.plane_kji for view in views if view.quarter_turns % 2):
        if patch[first] != patch[second] or spacing[first] != spacing[second]:
            raise ValueError(
                f"a quarter turn in the {_AXES[first]}{_AXES[second]} plane needs square windows of square pixels; the model's have "
                f"{patch[first]} x {patch[second]} voxels of {spacing[first]:g} x {spacing[second]:g} mm."
            )
    return tuple(_with_sides(view, card) for view in views)


def within_card(views: Sequence[MirroredView], card: ModelCard) -> bool:
    """Whether the views do nothing but mirror along axes that the card allows."""
    return all(view.quarter_turns == 0 and set(view.mirrored_axes_kji) <= set(card.mirror_axes_kji) for view in views)


def _with_sides(view: MirroredView, card: ModelCard) -> MirroredView:
    """The view with the outputs of both sides exchanged, where it takes one side for the other."""
    if SIDE_AXIS not in view.mirrored_axes_kji or not card.exchanged_sides:
        return view
    names = [*([None] if card.activation == "softmax" else []), *(label.name for label in card.labels)]
    partner = {name: other for pair in card.exchanged_sides for name, other in (pair, pair[::-1])}
    return replace(view, outputs=tuple(names.index(partner.get(name, name)) for name in names))


def _last(axes_kji: Sequence[int]) -> tuple[int, ...]:
    """Spatial axes counted from a tensor's end, whatever lies in front of them."""
    return tuple(axis - 3 for axis in axes_kji)
