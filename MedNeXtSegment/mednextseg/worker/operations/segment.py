"""Automatic segmentation."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from mednextseg.cases.channels import stacked_channels
from mednextseg.geometry import Geometry
from mednextseg.models.library import find_model
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.segment.find_and_segment import find_and_segment
from mednextseg.segment.progress import Progress
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.run_plan import plan_run
from mednextseg.worker.operations import Context, Operation, WorkerState, model_key, required


def segment_volume(parameters: dict, context: Context) -> dict:
    """Run a model on volumes that were opened before.

    Args:
        parameters: "volumes" [id of each channel, in the card's order], "model" id or folder; optional "roi" (see
            RegionOfInterest.to_dict), "labels" [names], "recipe" {...}, "device", "whole" (true insists on a large volume with a model
            that needs a region).
        context: of the request.
    Returns:
        "labelmap" array (K, J, I) on the first volume's grid, or (layers, K, J, I) of labels that overlap; "labels" that it holds,
        "report"; where windows were skipped "skip_map", uint8 (K, J, I) with the numbers of SKIP_LABELS.
    """
    names = ["roi", "labels", "recipe", "device", "whole"]
    volume_ids, model_name, roi, labels, recipe, device, whole = required(parameters, ["volumes", "model"], names)
    context.progress("read", 0.0, None)
    model = opened_model(model_name, context.state)
    notes: list[str] = []
    volume, geometry = opened_channels(volume_ids, context.state, notes.append)
    labelmap_kji, report = find_and_segment(
        volume,
        geometry,
        model,
        roi=region_of(roi),
        labels=labels,
        recipe=SegmentRecipe.from_dict(recipe or {}),
        device=device or "auto",
        progress=lambda p: _forward(p, context),
        cancelled=context.cancelled,
        whole=bool(whole),
        open_model=lambda name: opened_model(name, context.state),
    )
    report.notes = [*notes, *report.notes]
    value = report.to_dict()
    answer = {"labelmap": labelmap_kji, "labels": value["labels"], "report": value}
    return answer | ({"skip_map": report.skip_map_kji(geometry)} if report.has_skipped else {})


def plan_segment(parameters: dict, context: Context) -> dict:
    """Say what a run would cost, without its voxels.

    Args:
        parameters: "panel" (a newer plan of the same panel takes the place of a waiting one), "shape_kji" and "ijk_to_ras" of the
            volume, "model"; optional "roi", "recipe", "device", "whole" as for "segment".
        context: of the request.
    Returns:
        The fields of RunPlan: "forward_passes", "first_look_passes", "every_window_passes", "memory_bytes", "available_bytes",
        "device", "coarse_model", "window_policy".
    """
    names = ["panel", "shape_kji", "ijk_to_ras", "model"]
    values = required(parameters, names, ["roi", "recipe", "device", "whole"])
    _, shape_kji, ijk_to_ras, model_name, roi, recipe, device, whole = values
    geometry = Geometry(tuple(shape_kji), np.array(ijk_to_ras, dtype=np.float64))
    model = opened_model(model_name, context.state)
    plan = plan_run(
        geometry,
        model,
        region_of(roi),
        SegmentRecipe.from_dict(recipe or {}),
        device or "auto",
        bool(whole),
        lambda name: opened_model(name, context.state),
    )
    return asdict(plan)


def opened_model(name: str, state: WorkerState) -> LoadedModel:
    """A model by id or folder, kept open between requests."""
    folder = find_model(name)
    return state.models.get_or_make(model_key(folder), lambda: load_model(folder))


def opened_channels(volume_ids: Sequence[str], state: WorkerState, note: Callable[[str], None]) -> tuple[np.ndarray, Geometry]:
    """The volumes opened under these ids as channels, and the first one's Geometry; `note` and ValueError as `stacked_channels`."""
    if not isinstance(volume_ids, list) or not volume_ids:
        raise ValueError(f"volumes must list the id of each channel, got {volume_ids!r}.")
    return stacked_channels([state.volumes.get(volume_id) for volume_id in volume_ids], note)


def region_of(roi: dict | None) -> RegionOfInterest | None:
    """The region of a request; None, the whole volume, for None."""
    return None if roi is None else RegionOfInterest.from_dict(roi)


def _forward(progress: Progress, context: Context) -> None:
    context.progress(progress.phase, progress.fraction, progress.seconds_left)


OPERATIONS: dict[str, Operation] = {"segment": segment_volume, "plan_segment": plan_segment}
# Of an operation, the parameter whose newest value wins.
LATEST_WINS = {"plan_segment": "panel"}
