"""A draft of a model -> a package in the library: weights as safetensors, a card that fits them, nothing half-written."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

import mednextseg
from mednextseg.models.families import family_name, number_of_axes, size_divisor
from mednextseg.models.install.workspace import workspace
from mednextseg.models.library import package_folder_name, sha256_of
from mednextseg.models.model_card import CARD_FILE, LICENSE_FILE, WEIGHTS_FILE, ModelCard, card_from_dict, write_card
from mednextseg.models.monai_weights import check_window
from mednextseg.models.tensor_names import own_tensors
from mednextseg.models.weights import network_from_state_dict, write_safetensors
from mednextseg.networks.monai_network import MonaiConfig

UNKNOWN_LICENSE = "unknown: ask those who published the weights"
# MedNeXt's coarse heads serve training only.
_HEADS_FOR_TRAINING_ONLY = re.compile(r"^(out_[1-4]|out_blocks\.[0-3])\.")


@dataclass(frozen=True)
class Draft:
    """What an importer found.

    Attributes:
        fields: of the card, without architecture and hashes.
        folds: one function for each weights file that reads its tensors, so that one at a time is in memory.
        sources: the files whose hashes the card keeps.
        architecture: what tensor shapes cannot tell, for `network_from_state_dict`.
        parts: of a model of several networks that run one after the other: their drafts, instead of folds.
        notes: sentences for the user, kept in the card too.
    """

    fields: dict
    folds: tuple[Callable[[], Mapping[str, Tensor]], ...]
    sources: tuple[Path, ...]
    architecture: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parts: tuple["Draft", ...] = ()


@dataclass(frozen=True)
class ImportedModel:
    """A package in the library: its card, its folder, and sentences for the user."""

    card: ModelCard
    folder: Path
    notes: tuple[str, ...] = ()


def write_package(
    draft: Draft, library: Path, overrides: Mapping[str, object], report: Callable[[float], None] = lambda fraction: None
) -> ImportedModel:
    """Write the package under a temporary name and rename it when it is whole.

    Args:
        draft: from an importer.
        library: the folder of installed models; created where it does not exist.
        overrides: fields of the card that replace the draft's.
        report: called between steps with the done fraction; may raise to stop.
    Raises:
        ValueError: where weights and description do not fit, or the library has that model and version already.
    """
    with workspace(library, "importing") as folder:
        building = folder / "package"
        building.mkdir()
        card = _write_files(draft, building, overrides, report)
        target = library / package_folder_name(card.id, card.version)
        if target.exists():
            raise ValueError(
                f"the library has {card.id} {card.version} already; remove it first, or import under another id or version."
            )
        building.rename(target)
    return ImportedModel(card, target, draft.notes)


def _write_files(draft: Draft, folder: Path, overrides: Mapping[str, object], report: Callable[[float], None]) -> ModelCard:
    if draft.parts:
        return _write_parts(draft, folder, overrides, report)
    names = [WEIGHTS_FILE] if len(draft.folds) == 1 else [f"weights_fold_{n}.safetensors" for n in range(len(draft.folds))]
    digests, networks = [], set()
    for fold, (name, read) in enumerate(zip(names, draft.folds, strict=True)):
        report(fold / (len(draft.folds) + 1))
        found = read()
        if any(not isinstance(tensor, Tensor) for tensor in found.values()):
            raise ValueError("the checkpoint's weights hold something beside tensors; take another checkpoint.")
        tensors = {key: tensor for key, tensor in found.items() if not _HEADS_FOR_TRAINING_ONLY.match(_bare(key))}
        network = network_from_state_dict(tensors, draft.architecture)
        _check_finite(network)
        networks.add(network.config)
        report((fold + 0.5) / (len(draft.folds) + 1))
        digests.append(write_safetensors(own_tensors(network), folder / name))
    if len(networks) > 1:
        raise ValueError("the folds are different networks; import them one by one.")
    report(len(draft.folds) / (len(draft.folds) + 1))
    config = network.config
    card = _card(draft, overrides, family=family_name(config), architecture=asdict(config), weights_sha256=digests)
    _check_fit(card, network)
    return _write_card(card, folder)


def _write_parts(draft: Draft, folder: Path, overrides: Mapping[str, object], report: Callable[[float], None]) -> ModelCard:
    """Every part as a package of its own in a folder of the package."""
    names, family = [f"part-{number}" for number in range(1, len(draft.parts) + 1)], ""
    for number, (name, part) in enumerate(zip(names, draft.parts, strict=True)):
        (folder / name).mkdir()
        family = _write_files(part, folder / name, {}, lambda f, n=number: report((n + f) / len(names))).family
    digests = [sha256_of(folder / name / CARD_FILE) for name in names]
    card = _card(draft, overrides, family=family, architecture={}, weights_sha256=digests, parts=names)
    return _write_card(card, folder)


def _card(draft: Draft, overrides: Mapping[str, object], **found: object) -> ModelCard:
    raw = {
        "version": "1.0.0",
        "weights_license": UNKNOWN_LICENSE,
        "description": " ".join(draft.notes),
        "minimum_engine_version": mednextseg.__version__,
        **draft.fields,
        **overrides,
        **found,
    }
    raw["source"] = {**raw.get("source", {}), "sha256": {_source_name(path): sha256_of(path) for path in draft.sources}}
    return card_from_dict(raw, source="the card of the imported model")


def _write_card(card: ModelCard, folder: Path) -> ModelCard:
    write_card(card, folder)
    (folder / LICENSE_FILE).write_text(f"{card.weights_license}\n", encoding="utf-8")
    return card


def _bare(name: str) -> str:
    return name.removeprefix("module.").removeprefix("_orig_mod.")


def _source_name(path: Path) -> str:
    """File name with its folder: every fold has files of the same names."""
    return f"{path.resolve().parent.name}/{path.name}"


def _check_finite(network: nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"the weights are damaged: {name} has values that are not finite; take another checkpoint.")


def _check_fit(card: ModelCard, network: nn.Module) -> None:
    """Refuse a description that belongs to another network."""
    config = network.config
    channels = len(card.channels) + len(card.previous_labels)
    if config.in_channels != channels:
        raise ValueError(
            f"the network takes {config.in_channels} channels but its description names {channels}; a trainer with rules of its own "
            "cannot be imported."
        )
    outputs = len(card.labels) + (1 if card.activation == "softmax" else 0)
    if config.num_classes != outputs:
        kind = "labels and a background" if card.activation == "softmax" else "regions"
        raise ValueError(
            f"the network has {config.num_classes} outputs but its description {len(card.labels)} {kind} ({outputs} outputs); "
            "a trainer with rules of its own cannot be imported."
        )
    axes = number_of_axes(config)
    if card.slice_by_slice != (axes == 2):
        kind = "single slices (2D)" if axes == 2 else "volumes (3D)"
        raise ValueError(f"the network works on {kind}, so its card needs slice_by_slice = {str(axes == 2).lower()}.")
    if isinstance(config, MonaiConfig):
        check_window(config, card.patch_size_kji[-axes:])
    divisor = (1,) * (3 - axes) + size_divisor(config)
    if any(n % d for n, d in zip(card.patch_size_kji, divisor, strict=True)):
        raise ValueError(
            f"the patch {card.patch_size_kji} is not divisible by {divisor}, as the network needs; check the plans."
        )
