"""Images of no modality at all: random contrast painted on label maps (SynthSeg, Billot et al. 2023) and on random shapes
(SynthMorph, Hoffmann et al. 2022), so that a network learns boundaries rather than intensities."""

import numpy as np
from scipy import ndimage


def paint_labels(labels_rc: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random image of a label map: a Gaussian intensity for each label, then blur, bias field and noise.

    Args:
        labels_rc: (H, W) integers; every value gets its own mean and spread.
        generator: source of randomness.
    Returns:
        (H, W) float32 in [0, 1].
    """
    values, index = np.unique(labels_rc, return_inverse=True)
    means = generator.uniform(0.0, 1.0, len(values))
    if generator.random() < 0.6:
        means[0] = generator.uniform(0.0, 0.1)  # the background of a real image is dark more often than not
    spreads = generator.uniform(0.0, 0.1, len(values))
    index = index.reshape(labels_rc.shape)
    grain = ndimage.gaussian_filter(generator.standard_normal(labels_rc.shape), generator.uniform(0.0, 1.5))
    grain /= grain.std() + 1e-6
    image = means[index] + spreads[index] * grain
    image = ndimage.gaussian_filter(image, generator.uniform(0.3, 1.5))
    image *= np.exp(generator.uniform(0.0, 0.4) * smooth_field(labels_rc.shape, labels_rc.shape[0] / 4, generator))
    image += generator.uniform(0.0, 0.06) * generator.standard_normal(labels_rc.shape)
    return stretched(image)


def random_shapes(shape_rc: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """A label map of smooth random shapes: where the largest of several noise fields wins.

    Returns:
        (H, W) uint8 labels from 1.
    """
    count = int(generator.integers(3, 12))
    sigma = shape_rc[0] * generator.uniform(0.02, 0.12)
    fields = np.stack([smooth_field(shape_rc, sigma, generator) for _ in range(count)])
    return (fields.argmax(axis=0) + 1).astype(np.uint8)


def warp(labels_rc: np.ndarray, generator: np.random.Generator, strength_px: float) -> np.ndarray:
    """The label map under a smooth random displacement of about `strength_px`; nearest neighbor."""
    rows, columns = np.indices(labels_rc.shape)
    sigma = max(labels_rc.shape) * generator.uniform(0.04, 0.12)
    shift = [strength_px * smooth_field(labels_rc.shape, sigma, generator) for _ in range(2)]
    return ndimage.map_coordinates(labels_rc, [rows + shift[0], columns + shift[1]], order=0, mode="nearest")


def smooth_field(shape_rc: tuple[int, int], sigma_px: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise of the given correlation length, standard deviation 1; made on a coarse grid for speed."""
    step = max(1, int(sigma_px / 3))
    coarse = [n // step + 3 for n in shape_rc]
    field = ndimage.gaussian_filter(generator.standard_normal(coarse), sigma_px / step)
    field = ndimage.zoom(field, step, order=1)[tuple(slice(n) for n in shape_rc)]
    return field / (field.std() + 1e-6)


def stretched(image_rc: np.ndarray) -> np.ndarray:
    """The image with its 0.5 and 99.5 percentiles at 0 and 1, clipped; float32."""
    low, high = np.percentile(image_rc, (0.5, 99.5))
    return np.clip((image_rc - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)
