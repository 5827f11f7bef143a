"""A model that has only seen boxes around one structure must not be run over a whole head or trunk without a word."""

import numpy as np

from mednextseg.geometry import Geometry, axis_map
from mednextseg.json_values import shown
from mednextseg.models.library import find_model
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.segment.roi import RegionOfInterest

# Models of regions are trained on crops that reach a little beyond their window: those of the bundled hippocampus model up to 1.5 times
# its window, a head four times. Twice lies between.
_WINDOWS_ALONG_AN_AXIS = 2.0


def check_region(geometry: Geometry, card: ModelCard, roi: RegionOfInterest | None, whole: bool = False) -> list[str]:
    """Make sure that a model whose card says `needs_region` gets one, or a volume no larger than what it was trained on.

    Args:
        geometry: of the volume, as it came.
        card: of the model.
        roi: the region; one that covers every voxel of the volume counts as none.
        whole: the user insists on the whole volume.
    Returns:
        Sentences for the user where the model looks at more than it was trained on.
    Raises:
        ValueError: where the whole volume is too large and nobody insists, or the region lies outside it.
    """
    if not card.needs_region:
        return []
    start, stop = (np.zeros(3, dtype=int), np.array(geometry.shape_kji)) if roi is None else roi.index_bounds(geometry)
    seen_mm, limit_mm = _seen_mm(start, stop, geometry, card), _limit_mm(card)
    if (seen_mm <= limit_mm).all():
        return []
    is_everything = bool((start == 0).all() and (stop == geometry.shape_kji).all())
    if is_everything and not whole:
        missing = ""
        if card.region_from is not None and coarse_card(card) is None:
            missing = f", and the model {shown(card.region_from.model)}, which would find one, is not installed"
        raise ValueError(
            f"the model {card.id} needs a region of interest in a volume of {_mm(seen_mm)}, as it only knows boxes of up to "
            f"{_mm(limit_mm)}{missing}; give a region around the structure, or insist on the whole volume (--whole on the command "
            "line)."
        )
    return [
        f"The model looked at {_mm(seen_mm)} and only knows boxes of up to {_mm(limit_mm)}; far from the structure its labels are wrong."
    ]


def coarse_card(card: ModelCard) -> ModelCard | None:
    """The card of the model that finds this one's regions; None where it needs none or that model is not installed.

    Raises:
        ValueError: where the model that is installed lacks a label that is asked of it.
    """
    if card.region_from is None:
        return None
    try:
        folder = find_model(card.region_from.model)
    except ValueError:
        return None
    coarse = read_card(folder)
    for name in card.region_from.labels:
        coarse.label_named(name)
    return coarse


def finds_own_region(geometry: Geometry, card: ModelCard, roi: RegionOfInterest | None = None, whole: bool = False) -> bool:
    """Whether a run starts with a coarse model that finds the regions: none is given, the whole volume is not insisted on, and the
    volume is not itself as small as a region; arguments as `check_region`."""
    if roi is not None or whole or coarse_card(card) is None:
        return False
    everything = _seen_mm(np.zeros(3, dtype=int), np.array(geometry.shape_kji), geometry, card)
    return not card.needs_region or bool((everything > _limit_mm(card)).any())


def _seen_mm(start: np.ndarray, stop: np.ndarray, geometry: Geometry, card: ModelCard) -> np.ndarray:
    """Extent of an index box along K, J, I of the network."""
    return ((stop - start) * np.array(geometry.spacing_kji_mm))[list(network_axes_kji(geometry, card))]


def _limit_mm(card: ModelCard) -> np.ndarray:
    """Extent along K, J, I of what a model of regions was trained on, at the most."""
    return _WINDOWS_ALONG_AN_AXIS * np.array(card.patch_size_kji) * np.array(card.spacing_kji_mm)


def network_axes_kji(geometry: Geometry, card: ModelCard) -> tuple[int, int, int]:
    """For K, J, I of the network, the axis of the volume that runs closest to it."""
    if card.orientation is None:
        return tuple(card.axis_order_kji)
    return axis_map(geometry.orientation, card.orientation).order_kji


def _mm(extent_kji_mm: np.ndarray) -> str:
    return " x ".join(f"{mm:.0f}" for mm in extent_kji_mm[::-1]) + " mm"
