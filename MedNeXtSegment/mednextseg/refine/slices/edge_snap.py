"""A border moved to nearby edges of the image: the perimeter idea of SILOP, by a watershed that floods from both sides of the border."""

import numpy as np
from scipy import ndimage

REACH_MM = 3.0  # the border moves no farther
_SIGMA_PX = 0.7  # of the gradient; less follows noise, more rounds corners
_CORNER = 1.5  # corners lie farther from what is deep inside than sides do
# How high an edge counts where the probability is sure; 1 more where it is torn.
_SURE_WEIGHT = 0.1
_INSIDE, _OUTSIDE = 1, 2


def snapped_to_edges(image_rc: np.ndarray, probability_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """A probability whose border runs along edges of the image, where it has some within REACH_MM and the probability agrees.

    What lies deeper than that on either side floods toward the other; they meet where the gradient of the image, weighted by how unsure
    the probability is, is highest. Parts and gaps that are too thin to have a depth stay as they are.

    Args:
        image_rc: (H, W) float32 in [0, 1].
        probability_rc: (H, W) float32 in [0, 1].
        spacing_rc_mm: distance of pixel centers.
    Returns:
        (H, W) float32 in [0, 1], 0 or 1 where a pixel changed sides; the same array where nothing did.
    """
    # Slicer has it, and who only clicks need not wait for it.
    import SimpleITK as sitk  # noqa: PLC0415

    mask = probability_rc > 0.5
    markers = np.zeros(mask.shape, np.uint8)
    has_depth = np.ones(mask.shape, bool)
    for part, marker in ((mask, _INSIDE), (~mask, _OUTSIDE)):
        deep = ndimage.distance_transform_edt(part, sampling=spacing_rc_mm) > REACH_MM
        if not deep.any():
            return probability_rc
        away_mm = ndimage.distance_transform_edt(~deep, sampling=spacing_rc_mm)
        markers[deep | (part & (away_mm > _CORNER * REACH_MM))] = marker
        has_depth &= away_mm <= 2 * REACH_MM  # from there to the border and as far again
    unsure = 1 - np.abs(2 * probability_rc - 1)
    height = _gradient_magnitude(image_rc, spacing_rc_mm) * (_SURE_WEIGHT + unsure)
    images = [sitk.GetImageFromArray(part) for part in ((height / max(float(height.max()), 1e-9)).astype(np.float32), markers)]
    wanted = sitk.GetArrayFromImage(sitk.MorphologicalWatershedFromMarkers(*images, markWatershedLine=False)) == _INSIDE
    changed = has_depth & (wanted != mask)
    return np.where(changed, wanted, probability_rc).astype(np.float32) if changed.any() else probability_rc


def _gradient_magnitude(image_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    parts = [
        ndimage.gaussian_filter(np.asarray(image_rc, np.float32), _SIGMA_PX, order) / spacing
        for order, spacing in zip(((1, 0), (0, 1)), spacing_rc_mm, strict=True)
    ]
    return np.hypot(*parts)
