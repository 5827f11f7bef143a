"""Teaching a model the cases of a scene."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mednextseg.cases.channels import stacked_channels
from mednextseg.geometry import Geometry
from mednextseg.json_values import shown
from mednextseg.labels.label import Label
from mednextseg.machine import lower_priority
from mednextseg.segmentation_io import Segmentation
from mednextseg.worker.operations import Context, Operation, required
from mednextseg.worker.operations.segment import opened_model
from mednextseg.worker.parameter_forms import check_form

if TYPE_CHECKING:
    from mednextseg.adapt.tuning.cases import LabeledVolume, OwnCase
    from mednextseg.adapt.tuning.progress import TuningState

_COLOR = (128, 128, 128)
_OPTIONS = ("method", "loss", "sampling", "minutes", "steps", "same", "held_out", "tolerated_loss", "seed", "model_id")


def adapt(parameters: dict, context: Context) -> dict:
    """Teach a model, and measure it before and after; the process runs at low priority from then on.

    Args:
        parameters: "model" id or folder; "target", a folder of its own, in which a later request goes on; either "dataset", a folder of
            cases, or "cases", each with "name", "images" [4x4 voxel-to-RAS matrix of each channel] and "segments" [{"name", "ijk_to_ras"
            or null for an empty one}]; the arrays of case n are the parameters "image_N_CHANNEL" and "segment_N_SEGMENT" (masks, each of
            its own box). Optional: "device", "method", "loss", "sampling", "minutes", "steps", "same", "held_out", "tolerated_loss",
            "seed", "model_id" (see TuningOptions).
        context: of the request; a cancel saves what was learned so far.
    Returns:
        The fields of Adaptation.to_dict, and "table", the gate's table as text.
    """
    check_form("cases", parameters.get("cases"))
    described = parameters.get("cases") or []
    arrays = [name for number, case in enumerate(described) for name in _array_names(number, case)]
    model_name, folder, *_, dataset, device = required(
        parameters, ["model", "target", *arrays], ["cases", *_OPTIONS, "dataset", "device"]
    )
    # Only here: training needs packages that take seconds to import.
    from mednextseg.adapt.tuning.adapt_model import adapt_model  # noqa: PLC0415
    from mednextseg.adapt.tuning.cases import cases_in_folder  # noqa: PLC0415
    from mednextseg.adapt.tuning.gate import gate_table  # noqa: PLC0415
    from mednextseg.adapt.tuning.options import TuningOptions  # noqa: PLC0415
    from mednextseg.machine import resolve_device  # noqa: PLC0415

    lower_priority()
    model = opened_model(model_name, context.state)
    asked = {name: parameters[name] for name in _OPTIONS if parameters.get(name) is not None}
    if "held_out" in asked:
        asked["held_out"] = tuple(asked["held_out"])
    if dataset is None:
        cases = [_case(number, case, parameters, context) for number, case in enumerate(described)]
    else:
        found = cases_in_folder(dataset, len(model.card.channels))
        cases = found.cases
        asked.setdefault("held_out", found.held_out)
    outcome = adapt_model(
        model,
        cases,
        Path(folder),
        TuningOptions(**asked),
        resolve_device(device or "cpu"),
        lambda state: _forward(state, context),
        context.cancelled,
    )
    return {**outcome.to_dict(), "table": gate_table(outcome.gate)}


def _array_names(number: int, case: dict) -> list[str]:
    drawn = [n for n, segment in enumerate(case["segments"]) if segment.get("ijk_to_ras") is not None]
    images = [f"image_{number}_{channel}" for channel in range(len(case["images"]))]
    return [*images, *(f"segment_{number}_{n}" for n in drawn)]


def _case(number: int, case: dict, parameters: dict, context: Context) -> "OwnCase":
    """A case whose arrays are in memory."""
    from mednextseg.adapt.tuning.cases import LabeledVolume, OwnCase  # noqa: PLC0415

    def placed(name: str, matrix: list) -> tuple[np.ndarray, Geometry]:
        array = context.arrays.take(parameters[name])
        return array, Geometry(array.shape, np.array(matrix, dtype=np.float64))

    volumes = [placed(f"image_{number}_{channel}", matrix) for channel, matrix in enumerate(case["images"])]
    segments = []
    for n, segment in enumerate(case["segments"]):
        matrix = segment.get("ijk_to_ras")
        segments.append((segment["name"], None if matrix is None else placed(f"segment_{number}_{n}", matrix)))
    return OwnCase(case["name"], partial(_joined, LabeledVolume, volumes, segments))


def _joined(
    kind: "type[LabeledVolume]",
    volumes: list[tuple[np.ndarray, Geometry]],
    segments: list[tuple[str, tuple[np.ndarray, Geometry] | None]],
) -> "LabeledVolume":
    """Channels on the first one's grid, and the masks on it as one labelmap."""
    from mednextseg.evaluate.mask_grids import on_grid  # noqa: PLC0415

    volume, geometry = stacked_channels(volumes)
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
    return kind(volume, geometry, Segmentation(labelmap_kji, geometry, labels))


def _forward(state: "TuningState", context: Context) -> None:
    phase = state.stage if state.loss is None else f"{state.stage}: step {state.step} of {state.steps}, loss {state.loss:.3f}"
    context.progress(phase, state.fraction, state.seconds_left)


OPERATIONS: dict[str, Operation] = {"adapt": adapt}
