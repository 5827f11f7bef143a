"""Small volumes of objects that have no name: random shapes, tubes and ellipsoids in painted tissue, and regions of real images."""

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.synthetic import paint_labels, smooth_field, stretched
from mednextseg.adapt.completion.volumes import ObjectVolume

_SIDE = 48
_OBJECT = 200  # its label; those of the tissue around it are smaller
_LEAST_SHARE, _MOST_SHARE = 0.004, 0.2  # of the cube


def random_object(generator: np.random.Generator, real: ObjectVolume | None) -> ObjectVolume | None:
    """A cube of (48, 48, 48) voxels of 1 mm with one or more objects; None where the draw gave nothing of use.

    Args:
        generator: source of randomness.
        real: a volume with an image, in which a region of similar intensity may be taken for an object; None for shapes only.
    """
    if real is not None and real.image_kji is not None and generator.random() < 0.5:
        return _region_of(real, generator)
    labels = _tissue(generator)
    if generator.random() < 0.7:
        solid = _tube(generator) if generator.random() < 0.5 else _ellipsoid(generator)
        labels[solid] = _OBJECT
    volume = ObjectVolume(labels, paint_labels(labels, generator), (1.0, 1.0, 1.0))
    return volume if volume.boxes else None


def _tissue(generator: np.random.Generator) -> np.ndarray:
    """(N, N, N) labels from 1: where the largest of a few smooth fields wins."""
    sigma = _SIDE * generator.uniform(0.07, 0.2)
    fields = [smooth_field((_SIDE,) * 3, sigma, generator) for _ in range(int(generator.integers(3, 7)))]
    return (np.argmax(fields, axis=0) + 1).astype(np.uint16)


def _ellipsoid(generator: np.random.Generator) -> np.ndarray:
    """Turned at random, its surface bumpy."""
    turn, _ = np.linalg.qr(generator.standard_normal((3, 3)))
    places = (np.indices((_SIDE,) * 3).reshape(3, -1).T - generator.uniform(0.35, 0.65, 3) * _SIDE) @ turn
    radii = _SIDE * generator.uniform(0.08, 0.33, 3)
    distance = np.linalg.norm(places / radii, axis=1).reshape((_SIDE,) * 3)
    bumps = generator.uniform(0.0, 0.25) * smooth_field(distance.shape, _SIDE * generator.uniform(0.05, 0.2), generator)
    return distance + bumps < 1


def _tube(generator: np.random.Generator) -> np.ndarray:
    """Around a smooth curve through the cube, thicker here and thinner there."""
    axis, places = int(generator.integers(3)), np.linspace(-1, 1, _SIDE)
    curve = [
        generator.uniform(0.3, 0.7) * _SIDE + _SIDE * (a * places + b * places**2) for a, b in generator.normal(0, 0.15, (2, 2))
    ]
    along = np.exp(generator.normal(0, 0.25) * places) * _SIDE * generator.uniform(0.04, 0.14)
    rows, cols = np.ogrid[:_SIDE, :_SIDE]
    slices = [np.hypot(rows - curve[0][n], cols - curve[1][n]) < along[n] for n in range(_SIDE)]
    tube = np.stack(slices)
    start, stop = np.sort(generator.integers(-10, _SIDE + 10, 2))
    tube[: max(start, 0)], tube[max(stop, start + 8) :] = False, False
    return np.moveaxis(tube, 0, axis)


def _region_of(real: ObjectVolume, generator: np.random.Generator) -> ObjectVolume | None:
    """A connected piece of similar intensity somewhere in a real image, at its own or at half its resolution."""
    image = real.image_kji
    step = int(generator.integers(1, 3))
    starts = [int(generator.integers(0, max(size - step * _SIDE, 0) + 1)) for size in image.shape]
    cut = image[tuple(slice(start, start + step * _SIDE, step) for start in starts)]
    if min(cut.shape) < 12:
        return None
    if real.display_ranges:
        cut = np.clip(cut, *real.display_ranges[generator.integers(len(real.display_ranges))])
    smooth = ndimage.gaussian_filter(stretched(cut), generator.uniform(0.6, 1.6))
    seed = tuple(int(generator.integers(size // 4, size - size // 4)) for size in cut.shape)
    width = generator.uniform(0.03, 0.15)
    pieces, _count = ndimage.label(ndimage.binary_opening(np.abs(smooth - smooth[seed]) < width))
    mask = ndimage.binary_closing(pieces == pieces[seed]) if pieces[seed] else np.zeros_like(pieces, bool)
    if not _LEAST_SHARE <= mask.mean() <= _MOST_SHARE:
        return None
    spacing = tuple(step * length for length in real.spacing_kji_mm)
    volume = ObjectVolume(mask.astype(np.uint16), np.ascontiguousarray(cut), spacing)
    return volume if volume.boxes else None
