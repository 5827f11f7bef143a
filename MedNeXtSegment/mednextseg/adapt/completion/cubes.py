"""A cube of a volume around an object, turned and scaled at random, with its axis 0 across the slices that a user would look at."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.synthetic import paint_labels
from mednextseg.adapt.completion.volumes import ObjectVolume

_FACTORS = (1.2, 2.5)  # edge of the cube over the object's longest side on the first slice
_LEAST_EDGE_VOXELS = 10.0  # of the volume, in a cube
_OFF_CENTER = 0.12  # of the edge, within the slice
_TURN_RADIANS, _SCALES = 0.12, (0.85, 1.18)
_JOINED_SHARE = 0.15  # of draws; of volumes with few labels more, as these are parts of one thing more often than not
_ONE_PIECE_SHARE = 0.7
_LEAST_PIXELS, _LEAST_VOXELS = 12, 80  # of the object on the first slice, and in all of the cube


@dataclass(frozen=True, eq=False)
class ObjectCube:
    """What was drawn: (N, N, N) float32 image and bool truth, and the index along axis 0 of the first slice known."""

    image_zyx: np.ndarray
    truth_zyx: np.ndarray
    first: int


def draw_cube(volume: ObjectVolume, size: int, generator: np.random.Generator) -> ObjectCube | None:
    """A random object of a volume; None where it has nothing to show.

    Args:
        volume: with objects.
        size: voxels along each edge.
        generator: source of randomness.
    """
    values, box = _drawn_object(volume, generator)
    mask = np.isin(volume.labels_kji[box], values)
    axis = int(generator.choice(3, p=(0.5, 0.25, 0.25)))
    areas = mask.sum(axis=tuple(n for n in range(3) if n != axis)).astype(float)
    index = int(generator.choice(len(areas), p=_weights(areas, generator)))
    slice_rc, in_plane = mask.take(index, axis), [n for n in range(3) if n != axis]
    spacing = np.array(volume.spacing_kji_mm)
    sides = [spacing[n] * (np.ptp(np.flatnonzero(slice_rc.any(axis=1 - m))) + 1) for m, n in enumerate(in_plane)]
    edge = max(generator.uniform(*_FACTORS) * max(sides), _LEAST_EDGE_VOXELS * spacing.min())
    middle = np.zeros(3)
    middle[axis] = index
    for m, n in enumerate(in_plane):
        middle[n] = np.flatnonzero(slice_rc.any(axis=1 - m))[[0, -1]].mean()
    first = _drawn_plane(size, generator)
    offsets = _offsets(size, edge, first, axis, generator)
    places = offsets / spacing + middle  # in voxels of the box
    truth = ndimage.map_coordinates(np.pad(mask, 1).astype(np.float32), np.moveaxis(places + 1, -1, 0), order=1) > 0.5
    if truth[first].sum() < _LEAST_PIXELS:
        return None
    truth = _connected(truth, first, generator)
    if truth.sum() < _LEAST_VOXELS:
        return None
    starts = np.array([part.start for part in box])
    return ObjectCube(_image(volume, np.moveaxis(places + starts, -1, 0), generator), truth, first)


def _drawn_object(volume: ObjectVolume, generator: np.random.Generator) -> tuple[list[int], tuple[slice, slice, slice]]:
    """Labels of one object, now and then of two that lie near one another, and the box around them."""
    values = list(volume.boxes)
    first = values[generator.integers(len(values))]
    box = volume.boxes[first]
    if len(values) > 1 and generator.random() < max(_JOINED_SHARE, 1 / len(values)):
        near = [
            value
            for value, other in volume.boxes.items()
            if value != first and all(a.start <= b.stop and b.start <= a.stop for a, b in zip(box, other, strict=True))
        ]
        if near:
            second = near[generator.integers(len(near))]
            both = zip(box, volume.boxes[second], strict=True)
            return [first, second], tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in both)
    return [first], box


def _weights(areas: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Users start where the object is large; corrections come anywhere."""
    weights = (areas > 0).astype(float) if generator.random() < 0.15 else areas**2
    return weights / weights.sum()


def _drawn_plane(size: int, generator: np.random.Generator) -> int:
    """Near the middle, or anywhere, as where a cube follows an object that is longer than itself."""
    off = generator.normal(0.0, 0.08) if generator.random() < 0.75 else generator.uniform(-0.4, 0.4)
    return int(np.clip(round((size - 1) / 2 + off * size), 0, size - 1))


def _offsets(size: int, edge: float, first: int, axis: int, generator: np.random.Generator) -> np.ndarray:
    """(N, N, N, 3) mm from the middle of the object on the first slice, along K, J and I."""
    length = edge / size
    shift = generator.uniform(-_OFF_CENTER, _OFF_CENTER, 2) * size
    z = (np.arange(size) - first) * length
    y, x = ((np.arange(size) - (size - 1) / 2 - off) * length for off in shift)
    grid = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1)
    in_plane = [n for n in range(3) if n != axis]
    order = [axis, *(in_plane if generator.random() < 0.5 else in_plane[::-1])]
    matrix = np.zeros((3, 3))
    matrix[order, range(3)] = generator.choice([-1.0, 1.0], 3) * generator.uniform(*_SCALES, 3)
    if generator.random() < 0.5:
        matrix = _small_turn(generator) @ matrix
    return grid @ matrix.T


def _small_turn(generator: np.random.Generator) -> np.ndarray:
    """A rotation matrix (3, 3) by Rodrigues' formula."""
    vector = generator.normal(0.0, _TURN_RADIANS, 3)
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / max(angle, 1e-9)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _connected(truth_zyx: np.ndarray, first: int, generator: np.random.Generator) -> np.ndarray:
    """The pieces that the first slice shows, or the one that is largest there; nobody could know of the others."""
    pieces, _count = ndimage.label(truth_zyx)
    pixels = np.bincount(pieces[first].ravel())
    pixels[0] = 0
    if generator.random() < _ONE_PIECE_SHARE:
        return pieces == pixels.argmax()
    return np.isin(pieces, np.flatnonzero(pixels))


def _image(volume: ObjectVolume, places: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if volume.image_kji is None:
        labels = ndimage.map_coordinates(volume.labels_kji, places, order=0, mode="constant", output=np.int32)
        return paint_labels(labels, generator)
    darkest = float(volume.image_kji.min())
    image = ndimage.map_coordinates(volume.image_kji, places, order=1, mode="constant", cval=darkest)
    if volume.display_ranges:
        image = np.clip(image, *volume.display_ranges[generator.integers(len(volume.display_ranges))])
    return image
