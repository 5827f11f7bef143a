"""Cubes with one object each, from real volumes, painted label maps and random shapes, as images are acquired: in slices, noisy."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.synthetic import smooth_field
from mednextseg.adapt.completion.cubes import ObjectCube, draw_cube
from mednextseg.adapt.completion.random_objects import random_object
from mednextseg.adapt.completion.volumes import ObjectVolume

_THICK_SHARE, _THICKEST = 0.35, 4.0  # of draws; voxels of the cube between slices


@dataclass(frozen=True)
class Shares:
    """How often a draw comes from a real volume, from a painted label map, from a random shape or region."""

    real: float
    painted: float
    random: float


@dataclass(frozen=True, eq=False)
class SlicedCube:
    """A cube, and how far apart the slices are that a user looks at, in voxels; one of them is the first."""

    cube: ObjectCube
    step: float

    def planes(self) -> dict[int, int]:
        """{number of a slice, 0 for the first: index along axis 0 of the cube}."""
        size, first = len(self.cube.truth_zyx), self.cube.first
        numbers = range(int(np.ceil(-first / self.step)), int(np.floor((size - 1 - first) / self.step)) + 1)
        return {number: int(np.clip(round(first + number * self.step), 0, size - 1)) for number in numbers}

    def layers(self, number: int) -> np.ndarray:
        """(N,) bool: which indices along axis 0 a slice stands for."""
        indices = np.arange(len(self.cube.truth_zyx))
        near = np.abs(indices - self.cube.first - number * self.step) < self.step / 2
        near[self.planes()[number]] = True
        return near


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

    def draw(self, generator: np.random.Generator) -> SlicedCube:
        """The next."""
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

    def _seen(self, cube: ObjectCube, generator: np.random.Generator) -> SlicedCube:
        image, step = cube.image_zyx, 1.0
        if generator.random() < _THICK_SHARE:
            step = float(np.exp(generator.uniform(np.log(0.7), np.log(_THICKEST))))
            image = _in_slices(image, cube.first, step, generator)
        if self._is_augmented:
            image = _as_acquired(image, generator)
        return SlicedCube(replace(cube, image_zyx=image), step)


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
