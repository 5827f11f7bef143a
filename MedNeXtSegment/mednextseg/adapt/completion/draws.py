"""What one step of the training sees: a cube with slices that are known, rightly or nearly so, and the truth in all of it."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.clicks import degraded_mask
from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.adapt.click_net.synthetic import smooth_field
from mednextseg.adapt.completion.cubes import ObjectCube, draw_cube
from mednextseg.adapt.completion.random_objects import random_object
from mednextseg.adapt.completion.volumes import ObjectVolume
from mednextseg.refine.completion.network_input import network_channels

_KNOWN_SHARES = (0.35, 0.25, 0.22, 0.18)  # of draws with one, two, three and four slices
_DEGRADED_DRAWS, _DEGRADED_SLICES = 0.6, 0.8  # the better of two, as answers to prompts are better than that
_THICK_SHARE, _THICKEST = 0.5, 6.0  # of draws; voxels of the cube between slices
_BEYOND = 2  # slices past the object's ends that a user may mark as empty


@dataclass(frozen=True)
class Shares:
    """How often a draw comes from a real volume, from a painted label map, from a random shape or region."""

    real: float
    painted: float
    random: float


class CompletionDraws:
    """Endless draws.

    Args:
        real: sets of volumes with images, each as likely as the others; painted: label maps.
        shares: of the three sorts.
        size: voxels along each edge of a cube.
        is_augmented: whether intensities are changed.
    """

    def __init__(
        self, real: list[list[ObjectVolume]], painted: list[ObjectVolume], shares: Shares, size: int, is_augmented: bool = True
    ) -> None:
        self._real, self._painted, self._size, self._is_augmented = real, painted, size, is_augmented
        weights = np.array([shares.real, shares.painted if painted else 0.0, shares.random])
        self._weights = weights / weights.sum()

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Channels (5, N, N, N) float32, codes (N, N, N) uint8, and (N,) bool, which planes are known."""
        while True:
            volume = self._volume(generator)
            cube = None if volume is None else draw_cube(volume, self._size, generator)
            if cube is not None:
                return self._seen(cube, generator)

    def _volume(self, generator: np.random.Generator) -> ObjectVolume | None:
        sort = generator.choice(3, p=self._weights)
        if sort == 1:
            return self._painted[generator.integers(len(self._painted))]
        volumes = self._real[generator.integers(len(self._real))]
        volume = volumes[generator.integers(len(volumes))]
        return volume if sort == 0 else random_object(generator, volume)

    def _seen(self, cube: ObjectCube, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image, step = cube.image_zyx, 1.0
        if generator.random() < _THICK_SHARE:
            step = float(np.exp(generator.uniform(np.log(0.7), np.log(_THICKEST))))
            image = _in_slices(image, cube.first, step, generator)
        if self._is_augmented:
            image = _as_acquired(image, generator)
        known = _known_slices(cube, step, generator)
        is_known = np.isin(np.arange(self._size), list(known))
        return network_channels(image, known), cube.truth_zyx.astype(np.uint8), is_known


def _in_slices(image_zyx: np.ndarray, first: int, step: float, generator: np.random.Generator) -> np.ndarray:
    """As read from slices `step` voxels apart, one of which is `first`."""
    if step <= 1:
        return image_zyx
    if generator.random() < 0.5:
        image_zyx = ndimage.uniform_filter1d(image_zyx, max(round(step), 1), axis=0)
    size = len(image_zyx)
    numbers = np.arange(-np.ceil(first / step), np.ceil((size - 1 - first) / step) + 1)
    planes = image_zyx[np.clip(np.round(first + numbers * step), 0, size - 1).astype(int)]
    places = (np.arange(size) - first) / step - numbers[0]
    below = np.clip(np.floor(places).astype(int), 0, max(len(planes) - 2, 0))
    share = (places - below)[:, None, None]
    return ((1 - share) * planes[below] + share * planes[np.minimum(below + 1, len(planes) - 1)]).astype(np.float32)


def _as_acquired(image_zyx: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    low, high = np.percentile(image_zyx[::2, ::2, ::2], (0.5, 99.5))
    image = np.clip((image_zyx - low) / max(high - low, 1e-6), -0.2, 1.5)
    if generator.random() < 0.2:
        image = 1 - image
    if generator.random() < 0.4:
        image = np.sign(image) * np.abs(image) ** np.exp(generator.uniform(-0.5, 0.5))
    if generator.random() < 0.3:
        image = ndimage.gaussian_filter(image, generator.uniform(0.3, 1.0))
    if generator.random() < 0.4:
        image = image * np.exp(generator.uniform(0.0, 0.3) * smooth_field(image.shape, image.shape[0] / 3, generator))
    if generator.random() < 0.4:
        image = image + generator.uniform(0.0, 0.08) * generator.standard_normal(image.shape)
    return image.astype(np.float32)


def _known_slices(cube: ObjectCube, step: float, generator: np.random.Generator) -> dict[int, np.ndarray]:
    """{plane: (N, N) probability}: slices that a user worked on, each as thick as slices are."""
    size, count = len(cube.truth_zyx), int(generator.choice(4, p=_KNOWN_SHARES)) + 1
    shown = (np.flatnonzero(cube.truth_zyx.any(axis=(1, 2)))[[0, -1]] - cube.first) / step
    lowest, highest = np.ceil(-cube.first / step), np.floor((size - 1 - cube.first) / step)
    inside = np.arange(max(np.ceil(shown[0]) - _BEYOND, lowest), min(np.floor(shown[1]) + _BEYOND, highest) + 1)
    others = generator.permutation(inside[inside != 0])[: count - 1]
    is_degraded = generator.random() < _DEGRADED_DRAWS
    known: dict[int, np.ndarray] = {}
    for number in (0, *others):
        place = cube.first + number * step
        plane = int(np.clip(round(place), 0, size - 1))
        mask = cube.truth_zyx[plane].astype(np.float32)
        if is_degraded and mask.any() and generator.random() < _DEGRADED_SLICES:
            worse = max(
                (degraded_mask(mask > 0, generator) for _ in range(2)), key=lambda part: hard_dice(part > 0.5, mask > 0)
            )
            mask = worse if (worse > 0.5).any() else mask
        for near in range(size):
            if near == plane or abs(near - place) < step / 2:
                known[near] = mask
    return known
