"""A volume is sent once and named afterwards."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.worker.operations import Context, Operation, required


def open_volume(parameters: dict, context: Context) -> dict:
    """{"volume": id, "array": (K, J, I), "ijk_to_ras": 4x4} -> {}; a volume of the same id is replaced."""
    volume_id, array, ijk_to_ras = required(parameters, ["volume", "array", "ijk_to_ras"])
    geometry = Geometry(tuple(array["shape"]), np.array(ijk_to_ras, dtype=np.float64))
    context.state.volumes.open(volume_id, array, geometry)
    return {}


def close_volume(parameters: dict, context: Context) -> dict:
    """{"volume": id} -> {}; its file is removed."""
    (volume_id,) = required(parameters, ["volume"])
    context.state.volumes.close(volume_id)
    return {}


OPERATIONS: dict[str, Operation] = {"open_volume": open_volume, "close_volume": close_volume}
