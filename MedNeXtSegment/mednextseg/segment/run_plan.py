"""What a run would cost, before it is started: windows and memory from the geometry alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mednextseg.geometry import Geometry
from mednextseg.machine import resolve_device
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.policy_facts import KINDS
from mednextseg.segment.network_run import sliding_window_for
from mednextseg.segment.prepare.preprocess import network_grid
from mednextseg.segment.prepare.region_check import finds_own_region
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.window_choice import policy_for
from mednextseg.segment.windows.memory_plan import needed_and_free, plan_memory, with_runners_that_fit

_PASSES = ("forward_passes", "first_look_passes", "every_window_passes")


@dataclass(frozen=True)
class RunPlan:
    """What is to be expected; a run may need less, because it cuts off margins of zeros or skips windows.

    Attributes:
        forward_passes: of the network with the recipe's budget, views (TTA) and the members of an ensemble counted; below a budget of 1
            structures that are found need more.
        first_look_passes, every_window_passes: the same with the budgets 0 and 1.
        memory_bytes: predicted peak of the process, or on the graphics card where it runs on one.
        available_bytes: what the machine, or the card, has left now.
        device: where the run would take place.
        coarse_model: id of the model that finds the regions first; empty for none.
        window_policy: which policy chooses the windows below a budget of 1.
    """

    forward_passes: int
    first_look_passes: int
    every_window_passes: int
    memory_bytes: int
    available_bytes: int
    device: str
    coarse_model: str = ""
    window_policy: str = "coarse"


def plan_run(
    geometry: Geometry,
    model: LoadedModel,
    roi: RegionOfInterest | None,
    recipe: SegmentRecipe,
    device: str,
    whole: bool = False,
    open_model: Callable[[str], LoadedModel] = load_model,
) -> RunPlan:
    """Plan a run; arguments as `mednextseg.segment.find_and_segment.find_and_segment`.

    Where a coarse model finds the regions, they are not known yet: each is taken for a cube of the window's shortest side.

    Raises:
        ValueError: where the region lies outside the volume, or the machine lacks the device.
    """
    if not finds_own_region(geometry, model.card, roi, whole):
        return _plan_of_one(geometry, model, roi, recipe, device)
    source = model.card.region_from
    coarse = _plan_of_one(geometry, open_model(source.model).without_views(), None, SegmentRecipe(), device)
    fine = _plan_of_one(geometry, model, _cube_in_the_middle(geometry, model), recipe, device)
    regions = 1 if source.together else len(source.labels)
    return replace(
        fine,
        **{name: getattr(coarse, name) + regions * getattr(fine, name) for name in _PASSES},
        memory_bytes=max(coarse.memory_bytes, fine.memory_bytes),
        coarse_model=source.model,
    )


def _cube_in_the_middle(geometry: Geometry, model: LoadedModel) -> RegionOfInterest:
    center_ras = geometry.corners_ras().mean(axis=0)
    half_mm = min(n * mm for n, mm in zip(model.card.patch_size_kji, model.card.spacing_kji_mm, strict=True)) / 2
    return RegionOfInterest(tuple(float(mm) for center in center_ras for mm in (center - half_mm, center + half_mm)))


def _plan_of_one(
    geometry: Geometry, model: LoadedModel, roi: RegionOfInterest | None, recipe: SegmentRecipe, device: str
) -> RunPlan:
    if model.card.parts:
        plans = [_plan_of_one(geometry, part, roi, recipe, device) for part in model.parts]
        passes = [sum(getattr(plan, name) for plan in plans) for name in _PASSES]
        memory_bytes, last = max(plan.memory_bytes for plan in plans), plans[-1]
        return RunPlan(*passes, memory_bytes, last.available_bytes, last.device, window_policy=last.window_policy)
    card = model.card
    sliding = sliding_window_for(card, recipe, resolve_device(device))
    grid = network_grid(geometry, card, roi)
    choice = recipe.window_policy if recipe.window_policy in ("coarse", *KINDS) else None
    policies = [
        policy_for(card, replace(recipe, budget=budget, window_policy=choice), model.network_config, grid.spacing_kji_mm)
        for budget in (recipe.budget, 0.0, 1.0)
    ]
    sliding = replace(sliding, policy=policies[0])
    windows = sliding.grid(grid.shape_kji)
    networks = len(card.weights_sha256) if recipe.ensemble else 1
    planned = partial(plan_memory, model.network_config, model.num_outputs, grid.shape_kji, geometry.shape_kji)
    memory = planned(with_runners_that_fit(sliding, planned))
    passes_a_window = networks * len(sliding.views)
    passes = [policy.fewest(windows) * passes_a_window for policy in policies]
    memory_bytes = needed_and_free(memory, sliding.device)
    return RunPlan(*passes, *memory_bytes, sliding.device, window_policy=policies[1].name)
