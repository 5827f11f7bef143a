"""An object between the slices that are known and beyond them, by a network that sees a cube at a time."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from mednextseg.refine.completion.network_input import network_channels
from mednextseg.refine.completion.slice_cube import SliceCube
from mednextseg.refine.object_walk import longest_side_mm
from mednextseg.refine.prompter import Cancel, Completion, PromptCancelledError
from mednextseg.refine.slices.slice_plane import SlicePlane

_FACTOR = 2.0  # edge of the cube over the longest side of the object on the known slices
_LEAST_EDGE_PX, _LEAST_EDGE_SLICES = 10.0, 6.0
_MARGIN = 2.0  # voxels at the faces across the slices, where the network sees too little to be believed
_CARRIED_AT = 0.2  # of the edge behind a slice that is carried on there is in the next cube
_WIDER, _MOST_WIDER = 1.5, 2  # where the object reaches the sides of the cube
_REACHES_SHARE = 0.02  # of the object's voxels in a layer at its sides
_MOST_CUBES = 24  # in one direction
_SURE = 12.0  # log odds on the slices that are known


class ObjectCompletion:
    """One object.

    Args:
        network: see there.
        look: the (H, W) intensities on a plane.
        plane: of step 0; step n is the plane n slices along its normal.
        known: {step: (H, W) probability}, one of them not empty.
        is_inside: whether a plane cuts the volume.
        cancel: asked before each cube.

    Attributes:
        found: {step: (H, W) float32 probability} of all slices where the object is, but for known ones.
        ended: why it ended, by way: 1 along the normal, -1 against it.
    """

    def __init__(
        self,
        network: Completion,
        look: Callable[[SlicePlane], np.ndarray],
        plane: SlicePlane,
        known: dict[int, np.ndarray],
        is_inside: Callable[[SlicePlane], bool],
        cancel: Cancel | None = None,
    ) -> None:
        self._network, self._look, self._plane, self._known = network, look, plane, known
        self._is_inside, self._cancel = is_inside, cancel
        self._full = [step for step in sorted(known, key=abs) if (known[step] > 0.5).any()]
        length = max(longest_side_mm(known[step] > 0.5, plane.spacing_rc_mm) for step in self._full)
        edge = max(_FACTOR * length, _LEAST_EDGE_PX * min(plane.spacing_rc_mm), _LEAST_EDGE_SLICES * plane.thickness_mm)
        self.found: dict[int, np.ndarray] = {}
        self.ended: dict[int, str] = {}
        for number in range(_MOST_WIDER + 1):
            if self._complete(edge / network.size) or number == _MOST_WIDER:
                break
            edge *= _WIDER

    def _complete(self, voxel_mm: float) -> bool:
        """Whether the object fits between the sides of the cubes."""
        self.found, self.ended, self._voxel_mm, fits = {}, {}, voxel_mm, True
        for step in self._full:
            if step != self._full[0] and {step - 1, step + 1} <= {*self.found, *self._known}:
                continue  # another cube saw it
            cube = self._cube(step, 0.5)
            fits &= self._take(cube, {})
            for way in (1, -1):
                fits &= self._follow(cube, way)
            if not fits:
                return False
        return True

    def _follow(self, cube: SliceCube, way: int) -> bool:
        """Go on in one direction, cube by cube, to where the object ends."""
        for _number in range(_MOST_CUBES):
            steps = [step for step in cube.steps(_MARGIN) if self._is_inside(self._at(step))]
            last = max(steps) if way > 0 else min(steps)
            mask = self._known.get(last, self.found.get(last))
            if mask is None or not (mask > 0.5).any():
                self.ended[way] = "the object ends"
                return True
            if not self._is_inside(self._at(last + way)):
                self.ended[way] = "the volume ends"
                return True
            cube = self._cube(last, _CARRIED_AT if way > 0 else 1 - _CARRIED_AT)
            if not self._take(cube, {last: mask}):
                return False
        self.ended[way] = "the limit of slices is reached"
        return True

    def _at(self, step: int) -> SlicePlane:
        return self._plane if step == 0 else self._plane.shifted(step * self._plane.thickness_mm)

    def _cube(self, step: int, share: float) -> SliceCube:
        """The cube around what is known or found on a step, with this share of its edge before it."""
        mask = self._known.get(step, self.found.get(step)) > 0.5
        size = self._network.size
        along = step * self._plane.thickness_mm + ((size - 1) / 2 - round(share * (size - 1))) * self._voxel_mm
        across = (
            spacing * float(np.flatnonzero(mask.any(axis=1 - axis))[[0, -1]].mean())
            for axis, spacing in enumerate(self._plane.spacing_rc_mm)
        )
        return SliceCube(self._plane, (along, *across), self._voxel_mm, size)

    def _take(self, cube: SliceCube, carried: dict[int, np.ndarray]) -> bool:
        """Ask for a cube, and keep its answers where there are none yet; whether the object fits between its sides."""
        if self._cancel is not None and self._cancel():
            raise PromptCancelledError("the whole object was cancelled.")
        known = cube.known({**carried, **self._known})
        if not any((part > 0.5).any() for part in known.values()):
            return True  # what is left of the object is smaller than a voxel of the cube
        odds = self._network.log_odds(network_channels(cube.image(self._look), known))
        seeds = np.zeros(odds.shape, bool)
        for layer, part in known.items():
            odds[layer], seeds[layer] = np.where(part > 0.5, _SURE, -_SURE), part > 0.5
        pieces, _count = ndimage.label(odds > 0)
        is_apart = (pieces > 0) & ~np.isin(pieces, np.unique(pieces[seeds]))
        odds[is_apart] = -_SURE
        for step in cube.steps(_MARGIN):
            if step in self._known or step in self.found or not self._is_inside(self._at(step)):
                continue
            on_slice = cube.on_slice(odds, step, -_SURE)
            if (on_slice > 0).any():
                self.found[step] = (1 / (1 + np.exp(-on_slice))).astype(np.float32)
        return not _reaches_sides(odds > 0)


def _reaches_sides(mask_zyx: np.ndarray) -> bool:
    at_sides = (
        max(int(mask_zyx[:, index].sum()) for index in (0, -1)),
        max(int(mask_zyx[:, :, index].sum()) for index in (0, -1)),
    )
    return max(at_sides) > _REACHES_SHARE * max(int(mask_zyx.sum()), 1)
