"""The slices of a volume as a prompter encoded them, kept for when the user comes back."""

from functools import cached_property

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.prompter import Embedding, Prompter
from mednextseg.refine.prompters.embedding_cache import EmbeddingCache
from mednextseg.refine.slices.slice_plane import SlicePlane, key_of
from mednextseg.refine.slices.slice_sampling import sample_slice, smallest_finite


class EncodedSlices:
    """Encodes the slices of one volume when they are asked for, and keeps them within a limit of memory.

    Args:
        volume_kji, geometry: the image, and its grid in the world.
        prompter: encodes the slices.
        display_range: intensities shown black and white; None for the percentiles of each slice. May be changed at any time.
    """

    def __init__(
        self, volume_kji: np.ndarray, geometry: Geometry, prompter: Prompter, display_range: tuple[float, float] | None = None
    ) -> None:
        self._volume_kji, self._geometry, self._prompter = volume_kji, geometry, prompter
        self.display_range = display_range
        self._cache = EmbeddingCache()

    def on(self, plane: SlicePlane) -> Embedding:
        """The slice on a plane, encoded as it is displayed now."""
        return self._cache.get_or_make((key_of(plane), self.display_range), lambda: self._encode(plane))

    def seen(self, plane: SlicePlane) -> np.ndarray:
        """(H, W) intensities on a plane, on one scale for all planes: as they are displayed, or as they are."""
        image = sample_slice(self._volume_kji, self._geometry, plane, outside=self._darkest)
        image = np.where(np.isfinite(image), image, np.float32(self._darkest))
        return image if self.display_range is None else np.clip(image, *self.display_range)

    def prefetch(self, plane: SlicePlane, reach: int = 2) -> bool:
        """Encode one slice near a plane that is not encoded yet, nearest first; for idle moments.

        Returns:
            False where there is nothing to do: all neighbors are there, or this prompter's encoding costs nothing.
        """
        if not self._prompter.info.needs_encode:
            return False
        for step in sorted(range(-reach, reach + 1), key=abs):
            near = plane.shifted(step * plane.thickness_mm)
            if (key_of(near), self.display_range) not in self._cache:
                self.on(near)
                return True
        return False

    def _encode(self, plane: SlicePlane) -> Embedding:
        image = sample_slice(self._volume_kji, self._geometry, plane, outside=self._darkest)
        return self._prompter.encode(image, plane.spacing_rc_mm, self.display_range)

    @cached_property
    def _darkest(self) -> float:
        return smallest_finite(self._volume_kji)
