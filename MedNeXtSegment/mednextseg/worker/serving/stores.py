"""The volumes that the worker keeps between requests."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.worker.arrays import ArrayFolder
from mednextseg.worker.protocol import UNKNOWN_VOLUME, ProtocolError


class VolumeStore:
    """The volumes that the client sent, mapped from its files, by the client's ids.

    Args:
        arrays: the folder of the files.
    """

    def __init__(self, arrays: ArrayFolder) -> None:
        self._arrays = arrays
        self._volumes: dict[str, tuple[np.ndarray, Geometry, dict]] = {}

    def open(self, volume_id: str, description: dict, geometry: Geometry) -> None:
        """Register a volume; one of the same id is replaced and its file removed.

        Raises:
            ValueError: where the array is not (K, J, I) of the geometry.
        """
        volume_kji = self._arrays.map(description)
        if volume_kji.shape != geometry.shape_kji:
            raise ValueError(f"the array has {volume_kji.shape} voxels but its geometry {geometry.shape_kji}; they must agree.")
        self.close(volume_id)
        self._volumes[volume_id] = (volume_kji, geometry, description)

    def get(self, volume_id: str) -> tuple[np.ndarray, Geometry]:
        """The mapped volume (K, J, I) and its geometry.

        Raises:
            ProtocolError: UNKNOWN_VOLUME, for an id that was never sent to this process.
        """
        if volume_id not in self._volumes:
            raise ProtocolError(UNKNOWN_VOLUME, f"the worker does not have the volume {volume_id!r}.")
        return self._volumes[volume_id][:2]

    def close(self, volume_id: str) -> None:
        """Forget a volume and remove its file; an unknown id is no error."""
        kept = self._volumes.pop(volume_id, None)
        if kept is not None:
            description = kept[2]
            del kept  # Windows removes no file that is still mapped
            self._arrays.remove(description)
