"""An object between the slices that are known and beyond them, and on those that are only roughly known, by a network that sees a cube
at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field

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


@dataclass(frozen=True, eq=False)
class KnownSlices:
    """What the user worked on.

    Attributes:
        masks: {step: (H, W) probability}, one of them not empty.
        said: {step: (N, 3) row, column and 1 for object or 0}, what is sure.
        open: the steps whose masks are only roughly right.
    """

    masks: dict[int, np.ndarray]
    said: dict[int, np.ndarray] = field(default_factory=dict)
    open: frozenset[int] = frozenset()


class ObjectCompletion:
    """One object.

    Args:
        network: see there.
        look: the (H, W) intensities on a plane.
        plane: of step 0; step n is the plane n slices along its normal.
        known: the slices that the user worked on.
        is_inside: whether a plane cuts the volume.
        cancel: asked before each cube.

    Attributes:
        found: {step: (H, W) float32 probability} of all slices where the object is, but for known ones.
        redrawn: the same of known slices that are open.
        voxel_mm: of the cubes.
        ended: why it ended, by way: 1 along the normal, -1 against it.
    """

    def __init__(
        self,
        network: Completion,
        look: Callable[[SlicePlane], np.ndarray],
        plane: SlicePlane,
        known: KnownSlices,
        is_inside: Callable[[SlicePlane], bool],
        cancel: Cancel | None = None,
    ) -> None:
        self._network, self._look, self._plane, self._slices = network, look, plane, known
        self._known = known = known.masks
        self._is_inside, self._cancel = is_inside, cancel
        areas = {step: int((mask > 0.5).sum()) for step, mask in known.items()}
        # The largest first: where a correction was made there may be little of the object.
        self._full = sorted((step for step in known if areas[step]), key=lambda step: -areas[step])
        length = max(longest_side_mm(known[step] > 0.5, plane.spacing_rc_mm) for step in self._full)
        edge = max(_FACTOR * length, _LEAST_EDGE_PX * min(plane.spacing_rc_mm), _LEAST_EDGE_SLICES * plane.thickness_mm)
        self.found: dict[int, np.ndarray] = {}
        self.redrawn: dict[int, np.ndarray] = {}
        self.ended: dict[int, str] = {}
        for number in range(_MOST_WIDER + 1):
            if self._complete(edge / network.size) or number == _MOST_WIDER:
                break
            edge *= _WIDER

    def _complete(self, voxel_mm: float) -> bool:
        """Whether the object fits between the sides of the cubes."""
        self.found, self.redrawn, self.ended, self.voxel_mm, fits = {}, {}, {}, voxel_mm, True
        for step in self._full:
            is_open = step in self._slices.open and step not in self.redrawn
            if step != self._full[0] and not is_open and {step - 1, step + 1} <= {*self.found, *self._known}:
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
        along = step * self._plane.thickness_mm + ((size - 1) / 2 - round(share * (size - 1))) * self.voxel_mm
        across = (
            spacing * float(np.flatnonzero(mask.any(axis=1 - axis))[[0, -1]].mean())
            for axis, spacing in enumerate(self._plane.spacing_rc_mm)
        )
        return SliceCube(self._plane, (along, *across), self.voxel_mm, size)

    def _take(self, cube: SliceCube, carried: dict[int, np.ndarray]) -> bool:
        """Ask for a cube, and keep its answers where there are none yet; whether the object fits between its sides."""
        if self._cancel is not None and self._cancel():
            raise PromptCancelledError("the whole object was cancelled.")
        known = cube.known({**carried, **self._known})
        if not any((part > 0.5).any() for part in known.values()):
            return True  # what is left of the object is smaller than a voxel of the cube
        odds = self._network.log_odds(network_channels(cube.image(self._look), known, cube.places_of(self._slices.said)))
        seeds = np.zeros(odds.shape, bool)
        for layer, step in cube.steps_of_layers({**carried, **self._known}).items():
            seeds[layer] = known[layer] > 0.5
            if step not in self._slices.open:
                odds[layer] = np.where(seeds[layer], _SURE, -_SURE)
        _keep_connected(odds, seeds)
        for step in cube.steps(_MARGIN):
            if step in self.found or step in self.redrawn or not self._is_inside(self._at(step)):
                continue
            on_slice = cube.on_slice(odds, step, -_SURE)
            probability = (1 / (1 + np.exp(-on_slice))).astype(np.float32)
            if step in self._slices.open:
                self.redrawn[step] = probability
            elif step not in self._known and (on_slice > 0).any():
                self.found[step] = probability
        return not _reaches_sides(odds > 0)


def _keep_connected(odds_zyx: np.ndarray, seeds_zyx: np.ndarray) -> None:
    """Take away pieces apart from all seeds; works in place."""
    pieces, _count = ndimage.label(odds_zyx > 0)
    is_apart = (pieces > 0) & ~np.isin(pieces, np.unique(pieces[seeds_zyx]))
    odds_zyx[is_apart] = -_SURE


def _reaches_sides(mask_zyx: np.ndarray) -> bool:
    at_sides = (
        max(int(mask_zyx[:, index].sum()) for index in (0, -1)),
        max(int(mask_zyx[:, :, index].sum()) for index in (0, -1)),
    )
    return max(at_sides) > _REACHES_SHARE * max(int(mask_zyx.sum()), 1)
