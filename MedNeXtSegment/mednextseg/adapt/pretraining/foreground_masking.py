"""Which voxels are hidden: single ones of the foreground, never of the air around the patient."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.prepare.prepared_volume import resample_labels

SHARE = 0.25
_BODY_FROM_HU = -500.0


def foreground_on(volume_ckji: np.ndarray, geometry: Geometry, card: ModelCard, target: Geometry) -> np.ndarray:
    """bool (K, J, I) on the target grid: where no channel is air (below -500 in CT, zero in anything else)."""
    inside_kji = np.ones(volume_ckji.shape[1:], dtype=bool)
    for values_kji, channel in zip(volume_ckji, card.channels, strict=True):
        inside_kji &= values_kji > _BODY_FROM_HU if channel.modality == "CT" else values_kji != 0
    return resample_labels(inside_kji.astype(np.uint8), geometry, target) > 0


def hidden_voxels(foreground_kji: np.ndarray, draw: np.random.Generator, share: float = SHARE) -> np.ndarray:
    """bool (K, J, I): so large a share of the foreground, drawn by chance."""
    places = np.flatnonzero(foreground_kji)
    hidden = np.zeros(foreground_kji.shape, dtype=bool)
    hidden.flat[draw.choice(places, round(share * len(places)), replace=False)] = True
    return hidden
