"""Teaching a model the cases of a scene."""

from itertools import chain, starmap
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.cases.channels import stacked_channels
from mednextseg.json_values import listed
from mednextseg.machine import lower_priority
from mednextseg.models.library import find_model
from mednextseg.worker.operations import Context, Operation, required
from mednextseg.worker.operations.scene_cases import (
    array_names,
    channels_and_segments,
    channels_of_pair,
    joined,
    pair_array_names,
)
from mednextseg.worker.operations.segment import opened_model
from mednextseg.worker.parameter_forms import check_form

if TYPE_CHECKING:
    from mednextseg.adapt.transfer.pairs import ImagePair
    from mednextseg.adapt.tuning.cases import CaseFolder, OwnCase
    from mednextseg.adapt.tuning.progress import TuningState

_OPTIONS = (
    "method", "loss", "sampling", "minutes", "steps", "same", "held_out", "tolerated_loss", "seed", "model_id", "unlabeled",
    "pretraining_steps",
)  # fmt: skip
_PAIRS = "pairs", "image_pairs"
_CURVES = "shots", "methods", "leave_one_out"
# What says something of another parameter, and would not count without it.
_GOES_WITH = {"methods": ("shots",), "leave_one_out": ("shots",), "registered": _PAIRS, "pretraining_steps": ("unlabeled",)}


def adapt(parameters: dict, context: Context) -> dict:
    """Teach a model, and measure it before and after; the process runs at low priority from then on.

    Args:
        parameters: "model" id or folder; "target", a folder of its own, in which a later request goes on; and where the cases come from,
            one of these or several: "dataset", a folder of cases; "collected", ids of collected ones; "cases", each with "name", "images"
            [4x4 voxel-to-RAS matrix of each channel] and "segments" [{"name", "ijk_to_ras" or null for an empty one}]; the arrays of case n
            are the parameters "image_N_CHANNEL" and "segment_N_SEGMENT" (masks, each of its own box). Or "pairs", a folder of pairs of
            images without labels, or "image_pairs", each with "name", "known" and "new" [matrix of each channel] and the arrays
            "known_N_CHANNEL" and "new_N_CHANNEL"; "registered" or not. Optional: "device", the fields of TuningOptions by their names;
            "shots", numbers of cases, "methods" and "leave_one_out", for curves in place of one model.
        context: of the request; a cancel saves what was learned so far.
    Returns:
        The fields of Adaptation.to_dict, and "table", the gate's table as text; of curves those of DrawnCurves.to_dict.
    """
    for name in ("cases", "image_pairs"):
        check_form(name, parameters.get(name))
    described, paired = parameters.get("cases") or [], parameters.get("image_pairs") or []
    arrays = [*chain(*starmap(array_names, enumerate(described))), *chain(*starmap(pair_array_names, enumerate(paired)))]
    optional = ["cases", "image_pairs", *_OPTIONS, "dataset", "collected", "pairs", "registered", "device", *_CURVES]
    model_name, folder, *_, dataset, collected, pairs, registered, device, shots, methods, leave_one_out = required(
        parameters, ["model", "target", *arrays], optional
    )
    _check_together(parameters)
    # Only here: training needs packages that take seconds to import.
    from mednextseg.adapt.transfer.transfer_run import adapt_to_pairs  # noqa: PLC0415
    from mednextseg.adapt.tuning.adapt_model import adapt_model  # noqa: PLC0415
    from mednextseg.adapt.tuning.gate import gate_table  # noqa: PLC0415
    from mednextseg.adapt.tuning.options import TuningOptions  # noqa: PLC0415
    from mednextseg.adapt.tuning.shots.drawn_curves import draw_curves  # noqa: PLC0415
    from mednextseg.machine import resolve_device  # noqa: PLC0415

    lower_priority()
    model = opened_model(model_name, context.state)
    cases = [_case(number, case, parameters, context) for number, case in enumerate(described)]
    on_disk = _cases_on_disk(dataset, collected, len(model.card.channels))
    cases += on_disk.cases
    wanted = TuningOptions(**_asked(parameters, on_disk.held_out))
    how = wanted, resolve_device(device or "cpu"), lambda state: _forward(state, context), context.cancelled
    if pairs is not None or paired:
        given = pairs or [_pair(number, pair, parameters, context) for number, pair in enumerate(paired)]
        outcome = adapt_to_pairs(model, given, Path(folder), wanted, registered is not False, *how[1:])
    elif shots is not None:
        curves = Path(folder), shots, methods or ["head", "all"], wanted, bool(leave_one_out)
        return draw_curves(model, cases, *curves, *how[1:]).to_dict()
    else:
        outcome = adapt_model(model, cases, Path(folder), *how)
    return {**outcome.to_dict(), "table": gate_table(outcome.gate)}


def _asked(parameters: dict, held_out: tuple[str, ...] | None) -> dict:
    """The fields of TuningOptions; the split of a folder counts where the request has none."""
    asked = {name: parameters[name] for name in _OPTIONS if parameters.get(name) is not None}
    kept = asked.get("held_out", held_out)
    return asked if kept is None else {**asked, "held_out": tuple(kept)}


def _check_together(parameters: dict) -> None:
    """Refuse what would be left out in silence."""
    given = {name for name, value in parameters.items() if value is not None and (value != [] or name == "shots")}
    for name, needed in _GOES_WITH.items():
        if name in given and given.isdisjoint(needed):
            raise ValueError(f"the request's {name} goes with {listed(needed)}; give both, or neither.")
    if given.issuperset(("shots", "method")):
        raise ValueError("curves are of several methods: name them in methods, and leave out the request's method.")
    if paired := given.intersection(_PAIRS):
        if other := given.intersection(("shots", "dataset", "collected", "cases")):
            raise ValueError(
                f"the request has {listed(sorted(paired))} and {listed(sorted(other))}; pairs of images are learned alone."
            )


def _cases_on_disk(dataset: str | None, collected: list[str] | None, channels: int) -> "CaseFolder":
    """Those of a folder, with its split, then the collected ones."""
    from mednextseg.adapt.tuning.cases import CaseFolder, cases_in_folder  # noqa: PLC0415
    from mednextseg.adapt.tuning.collected_cases import collected_to_learn  # noqa: PLC0415

    found = CaseFolder(()) if dataset is None else cases_in_folder(dataset, channels)
    return CaseFolder((*found.cases, *collected_to_learn(channels, collected)), found.held_out) if collected else found


def _case(number: int, case: dict, parameters: dict, context: Context) -> "OwnCase":
    """A case whose arrays are in memory."""
    from mednextseg.adapt.tuning.cases import LabeledVolume, OwnCase  # noqa: PLC0415

    volumes, segments = channels_and_segments(number, case, parameters, context)

    def read() -> LabeledVolume:
        volume, geometry = stacked_channels(volumes)
        return LabeledVolume(volume, geometry, joined(segments, geometry))

    return OwnCase(case["name"], read)


def _pair(number: int, pair: dict, parameters: dict, context: Context) -> "ImagePair":
    """A pair whose arrays are in memory."""
    from mednextseg.adapt.transfer.pairs import ImagePair  # noqa: PLC0415

    known, new = channels_of_pair(number, pair, parameters, context)
    return ImagePair(pair["name"], lambda: (*stacked_channels(known), *stacked_channels(new)))


def _forward(state: "TuningState", context: Context) -> None:
    phase = state.stage if state.loss is None else f"{state.stage}: step {state.step} of {state.steps}, loss {state.loss:.3f}"
    context.progress(phase, state.fraction, state.seconds_left)


def shape_priors(parameters: dict, context: Context) -> dict:
    """What a model has learned of where its structures lie.

    Args:
        parameters: "model" id or folder.
        context: of the request.
    Returns:
        "names" of the classes, the background first; "maps" (classes, K, J, I), float32; "ijk_to_ras" of one map.
    """
    (model_name,) = required(parameters, ["model"])
    from mednextseg.adapt.tuning.prior_volumes import prior_maps  # noqa: PLC0415

    context.progress("reading shape priors", 0.0, None)
    priors = prior_maps(find_model(model_name))
    return {"names": list(priors.names), "maps": priors.maps, "ijk_to_ras": priors.geometry.ijk_to_ras.tolist()}


def suggest_networks(parameters: dict, context: Context) -> dict:
    """Which MedNeXt to train within a memory.

    Args:
        parameters: "memory_gb"; optional "channels", "label_count", "patch_kji", "most_parameters", "most_seconds", and "target", a
            file for the recipe of the best one.
        context: of the request.
    Returns:
        "networks" [rows of adapt/mednext/suggested_networks.py], and the "caution" to read them with.
    """
    names = ["channels", "label_count", "patch_kji", "most_parameters", "most_seconds", "target"]
    memory_gb, channels, labels, patch_kji, parameter_count, seconds, target = required(parameters, ["memory_gb"], names)
    from mednextseg.adapt.mednext.suggested_networks import CAUTION, USUAL_PATCH, suggested_networks  # noqa: PLC0415

    context.progress("ranking networks", 0.0, None)
    limits = float("inf") if parameter_count is None else parameter_count, seconds
    recipe = None if target is None else Path(target)
    rows = suggested_networks(memory_gb * 1e9, channels or 1, labels or 1, patch_kji or USUAL_PATCH, *limits, recipe)
    return {"networks": rows, "caution": CAUTION}


OPERATIONS: dict[str, Operation] = {"adapt": adapt, "shape_priors": shape_priors, "suggest_networks": suggest_networks}
