"""What a run would cost, before it is started: windows and memory from the geometry alone."""

from dataclasses import dataclass
from functools import partial
from math import prod

from mednextseg.geometry import Geometry
from mednextseg.machine import resolve_device
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.auto_segmenter import sliding_window_for
from mednextseg.segment.prepare.preprocess import network_grid
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.windows.memory_plan import available_bytes, plan_memory, with_runners_that_fit
from mednextseg.segment.windows.policy import window_starts


@dataclass(frozen=True)
class RunPlan:
    """What is to be expected; a run may need less, because it cuts off margins of zeros or skips windows.

    Attributes:
        forward_passes: of the network, views (TTA) and the members of an ensemble counted.
        memory_bytes: predicted peak of the process.
        available_bytes: what this machine has left now.
        device: where the run would take place.
    """

    forward_passes: int
    memory_bytes: int
    available_bytes: int
    device: str


def plan_run(
    geometry: Geometry, model: LoadedModel, roi: RegionOfInterest | None, recipe: SegmentRecipe, device: str
) -> RunPlan:
    """Plan a run; arguments as `mednextseg.segment.auto_segmenter.segment`.

    Raises:
        ValueError: where the region lies outside the volume, or the machine lacks the device.
    """
    if model.card.parts:
        plans = [plan_run(geometry, part, roi, recipe, device) for part in model.parts]
        passes, largest = sum(plan.forward_passes for plan in plans), max(plan.memory_bytes for plan in plans)
        return RunPlan(passes, largest, available_bytes(), plans[-1].device)
    card = model.card
    sliding = sliding_window_for(card, recipe, resolve_device(device))
    grid = network_grid(geometry, card, roi)
    padded = [max(n, p) for n, p in zip(grid.shape_kji, sliding.patch_kji, strict=True)]
    windows = prod(len(window_starts(n, p, sliding.overlap)) for n, p in zip(padded, sliding.patch_kji, strict=True))
    networks = len(card.weights_sha256) if recipe.ensemble else 1
    planned = partial(plan_memory, model.network_config, model.num_outputs, grid.shape_kji, geometry.shape_kji)
    memory = planned(with_runners_that_fit(sliding, planned))
    passes = windows * networks * len(sliding.views)
    return RunPlan(passes, memory.total, available_bytes(), sliding.device)
