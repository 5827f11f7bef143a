"""A case of a scene as a client sends it: arrays in memory, each segment as a mask of its own box."""

import numpy as np

from mednextseg.evaluate.mask_grids import on_grid
from mednextseg.geometry import Geometry
from mednextseg.json_values import shown
from mednextseg.labels.label import Label
from mednextseg.segmentation_io import Segmentation
from mednextseg.worker.operations import Context

Placed = tuple[np.ndarray, Geometry]
_COLOR = (128, 128, 128)
PAIR_KINDS = "known", "new"


def array_names(number: int, case: dict) -> list[str]:
    """The parameters that hold the arrays of case `number`: image_N_CHANNEL, and segment_N_SEGMENT for those that are drawn."""
    drawn = [n for n, segment in enumerate(case["segments"]) if segment.get("ijk_to_ras") is not None]
    images = [f"image_{number}_{channel}" for channel in range(len(case["images"]))]
    return [*images, *(f"segment_{number}_{n}" for n in drawn)]


def pair_array_names(number: int, pair: dict) -> list[str]:
    """The parameters that hold the arrays of pair `number`: known_N_CHANNEL and new_N_CHANNEL."""
    return [f"{kind}_{number}_{channel}" for kind in PAIR_KINDS for channel in range(len(pair[kind]))]


def channels_of_pair(number: int, pair: dict, parameters: dict, context: Context) -> tuple[list[Placed], list[Placed]]:
    """The channels of the known image of pair `number` with their places, and those of the new one."""
    known, new = (
        [_placed(f"{kind}_{number}_{channel}", matrix, parameters, context) for channel, matrix in enumerate(pair[kind])]
        for kind in PAIR_KINDS
    )
    return known, new


def channels_and_segments(
    number: int, case: dict, parameters: dict, context: Context
) -> tuple[list[Placed], list[tuple[str, Placed | None]]]:
    """The arrays of case `number` with their places: of each channel, and of each segment by name, None for an empty one."""

    def placed(name: str, matrix: list) -> Placed:
        return _placed(name, matrix, parameters, context)

    volumes = [placed(f"image_{number}_{channel}", matrix) for channel, matrix in enumerate(case["images"])]
    segments = []
    for n, segment in enumerate(case["segments"]):
        matrix = segment.get("ijk_to_ras")
        segments.append((segment["name"], None if matrix is None else placed(f"segment_{number}_{n}", matrix)))
    return volumes, segments


def _placed(name: str, matrix: list, parameters: dict, context: Context) -> Placed:
    array = context.arrays.take(parameters[name])
    return array, Geometry(array.shape, np.array(matrix, dtype=np.float64))


def joined(segments: list[tuple[str, Placed | None]], geometry: Geometry) -> Segmentation:
    """The masks as one labelmap on a grid.

    Raises:
        ValueError: for segments that overlap, and for one that lies outside the grid.
    """
    labelmap_kji = np.zeros(geometry.shape_kji, dtype=np.int16)
    for number, (name, mask) in enumerate(segments, start=1):
        if mask is None:
            continue
        inside_kji, _ = on_grid(*mask, geometry)
        if (labelmap_kji[inside_kji] > 0).any():
            other = segments[int(labelmap_kji[inside_kji].max()) - 1][0]
            raise ValueError(f"the segments {shown(other)} and {shown(name)} overlap; let no segments overlap.")
        if not inside_kji.any():
            raise ValueError(f"the segment {shown(name)} lies outside the image; check that the two belong together.")
        labelmap_kji[inside_kji] = number
    labels = tuple(Label(number, name, _COLOR) for number, (name, _) in enumerate(segments, start=1))
    return Segmentation(labelmap_kji, geometry, labels)
