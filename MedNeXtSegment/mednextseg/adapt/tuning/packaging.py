"""An adapted network -> a model package that names its base by hash and says what it was taught and how it scored."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from torch import nn

import mednextseg
from mednextseg.adapt.tuning.gate import GateOutcome
from mednextseg.adapt.tuning.label_plan import LabelPlan
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.models.base_model import BaseModel
from mednextseg.models.library import installed_versions
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import LICENSE_FILE, WEIGHTS_FILE, ModelCard, card_from_dict, write_card
from mednextseg.models.package_tensors import installed_base
from mednextseg.models.sides import mirroring_with
from mednextseg.models.tensor_names import own_tensors
from mednextseg.models.weights import write_safetensors


@dataclass(frozen=True)
class Taught:
    """What the card of an adapted model says beside its weights.

    Attributes:
        model_id, version: of the result.
        taught: names of the cases that it has learned from.
        explanation: how the figures came about.
        gate: None while nothing is measured yet.
        pretrained_on: number of volumes without labels that the network saw first.
    """

    model_id: str
    version: str
    method: TuningMethod
    loss: str
    sampling: str
    steps: int
    taught: Sequence[str]
    explanation: str
    gate: GateOutcome | None = None
    pretrained_on: int = 0


def write_adapted(network: nn.Module, base: LoadedModel, plan: LabelPlan, taught: Taught, folder: Path) -> ModelCard:
    """Write the package, its weights first and its card last; an older one in the folder is replaced.

    Raises:
        OSError: where the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    origin, tensors = _origin(base, taught.method), own_tensors(network)
    if origin.is_needed:
        trained = taught.method.trained(network)
        tensors = {name: tensor for name, tensor in tensors.items() if name in trained}
    digest = write_safetensors(tensors, folder / WEIGHTS_FILE)
    fields = {**_fields(network, base, plan, taught, digest), "base": asdict(origin)}
    card = card_from_dict(fields, source="the card of the adapted model")
    if (base.folder / LICENSE_FILE).is_file():
        shutil.copyfile(base.folder / LICENSE_FILE, folder / LICENSE_FILE)
    if card.reference_cases:
        shutil.copytree(base.folder / card.reference_cases, folder / card.reference_cases, dirs_exist_ok=True)
    write_card(card, folder)
    return card


def _origin(base: LoadedModel, method: TuningMethod) -> BaseModel:
    """What the package names as its base; it holds everything itself where the base is not found in the library."""
    card = base.card
    origin = BaseModel(card.id, card.version, card.weights_sha256)
    return replace(origin, is_needed=method.keeps_base and installed_base(origin) is not None)


def free_version(model_id: str) -> str:
    """The version that comes after those of this model in the library."""
    versions = installed_versions().get(model_id, {})
    return next(version for number in count() if (version := f"1.{number}.0") not in versions)


def _fields(network: nn.Module, base: LoadedModel, plan: LabelPlan, taught: Taught, digest: str) -> dict:
    card = base.card
    raw, names = card.to_dict(), {label.name for label in plan.labels}
    cases = len(taught.taught)
    source = f"{card.id} {card.version}"
    return {
        **raw,
        "id": taught.model_id,
        "version": taught.version,
        "title": f"{card.title}, adapted",
        "description": f"Made from {source} by training {taught.method.title} for {taught.steps} steps on {cases} cases. "
        f"{card.description}".strip(),
        "architecture": _architecture(raw["architecture"], network),
        "labels": [vars(label) for label in plan.labels],
        "weights_sha256": [digest],
        "component_rules": [rule for rule in raw["component_rules"] if names.issuperset(rule["labels"])],
        "postprocessing": {name: rule for name, rule in raw["postprocessing"].items() if name in names},
        "totals": {name: parts for name, parts in raw["totals"].items() if names.issuperset(parts)},
        **mirroring_with(card, names),
        "metrics": _metrics(taught),
        "training_data": [
            *({"name": f"{source}: {entry.get('name', 'its training data')}"} for entry in raw["training_data"]),
            {"name": f"{cases} cases of the user", "cases": ", ".join(taught.taught)},
            *([{"name": f"{taught.pretrained_on} volumes of the user without labels"}] if taught.pretrained_on else []),
        ],
        "minimum_engine_version": mednextseg.__version__,
        "adapted": {
            "method": taught.method.name,
            "loss": taught.loss,
            "sampling": taught.sampling,
            "steps": taught.steps,
            "verdict": taught.gate.verdict if taught.gate else None,
        },
    }


def _architecture(architecture: dict, network: nn.Module) -> dict:
    fitting = {name: getattr(network.config, name) for name in ("num_classes", "kernel_size") if name in architecture}
    plugged_in = [asdict(config) for config in getattr(network.config, "plug_ins", ())]
    return {**architecture, **fitting, **({"plug_ins": plugged_in} if plugged_in else {})}


def _metrics(taught: Taught) -> list[dict]:
    """Of the labels, in the form that cards have: before in words, after as the figure."""
    if taught.gate is None:
        return []
    data = f"{len(taught.gate.cases)} cases of the user, {taught.explanation}"
    return [
        {
            "metric": "Dice",
            "data": data,
            "label": row.label,
            "mean": round(row.after["dice"].mean, 3),
            "before": round(row.before["dice"].mean, 3),
        }
        for row in taught.gate.rows
    ]
