"""The networks of one model often look at the same image: it is prepared once for all that follow each other and want it alike."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.prepare.prepared_volume import PreparedVolume
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.roi import RegionOfInterest

# What `prepare` reads of a card.
PREPARED_BY = (
    "channels", "orientation", "reorient_only", "axis_order_kji", "spacing_kji_mm", "patch_size_kji", "slice_by_slice", "crop_to_nonzero",
    "normalize_first", "normalization_region", "anisotropy_threshold", "clip_resampled", "preparation",
)  # fmt: skip
# Only the context around a region depends on it.
_ONLY_WITH_REGION = ("patch_size_kji",)


class PreparedOnce:
    """A volume, and what it was last prepared into.

    Args:
        volume_ckji, geometry, roi, device: as for `prepare`.
    """

    def __init__(self, volume_ckji: np.ndarray, geometry: Geometry, roi: RegionOfInterest | None, device: str = "cpu") -> None:
        self._volume_ckji, self._geometry, self._roi, self._device = volume_ckji, geometry, roi, device
        self._wanted: tuple = ()
        self._prepared: PreparedVolume | None = None

    def prepare(self, card: ModelCard, previous_kji: np.ndarray | None = None) -> PreparedVolume:
        """As `preprocess.prepare`; what the card before wanted alike is not made again, and nobody may change it."""
        fields = [name for name in PREPARED_BY if self._roi is not None or name not in _ONLY_WITH_REGION]
        wanted = tuple(getattr(card, name) for name in fields)
        if self._prepared is None or previous_kji is not None or wanted != self._wanted:
            self._prepared = None  # its memory is needed
            self._prepared = prepare(self._volume_ckji, self._geometry, card, self._roi, previous_kji, self._device)
            self._wanted = () if previous_kji is not None else wanted
        return self._prepared
