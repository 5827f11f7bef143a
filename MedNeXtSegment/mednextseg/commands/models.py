"""`mednextseg models list | show | verify`: what is installed, what a model says of itself, whether its files are whole.

Its other actions are in `models_transfer`, which change the library, and `models_design`.
"""

import argparse
import json
import sys

from mednextseg.commands import models_design, models_transfer
from mednextseg.models.library import NO_BUNDLED_MODELS, bundled_models_folder, find_model, installed_versions, verify_model
from mednextseg.models.model_card import ModelCard, read_card


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command and its actions."""
    parser = commands.add_parser("models", help="list, show, verify, import, export and remove models", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", parents=[common], help="all installed models")
    listing.set_defaults(run=_list)
    for name, run, help_text in (("show", _show, "a model's card"), ("verify", _verify, "compare the files with the card")):
        action = actions.add_parser(name, parents=[common], help=help_text)
        action.add_argument("model", help="model id or folder")
        action.set_defaults(run=run)
    models_transfer.add_actions(actions, common)
    models_design.add_action(actions, common)


def _list(options: argparse.Namespace) -> int:
    cards = [(read_card(folder), folder) for versions in installed_versions().values() for folder in versions.values()]
    if options.json:
        print(json.dumps([{"id": c.id, "version": c.version, "title": c.title, "folder": str(f)} for c, f in cards]))
        return 0
    for card, _ in cards:
        print(f"{card.id:24s} {card.version:8s} {card.task:8s} {card.title}")
    if not bundled_models_folder().is_dir():
        print(f"mednextseg: {NO_BUNDLED_MODELS}.", file=sys.stderr)
    return 0


def _show(options: argparse.Namespace) -> int:
    card = read_card(find_model(options.model))
    print(json.dumps(card.to_dict(), indent=2) if options.json else _description(card))
    return 0


def _verify(options: argparse.Namespace) -> int:
    folder = find_model(options.model)
    problems = verify_model(folder)
    if options.json:
        print(json.dumps({"folder": str(folder), "problems": problems}))
    else:
        print("\n".join(problems) if problems else f"{folder} is whole.")
    return 1 if problems else 0


def _description(card: ModelCard) -> str:
    lines = [f"{card.title} ({card.id} {card.version})", card.description, ""]
    lines.append("channels:   " + ", ".join(f"{c.name} ({c.modality}, {c.normalization.scheme})" for c in card.channels))
    lines.append("labels:     " + ", ".join(f"{label.value} {label.name}" for label in card.labels))
    if card.spacing_kji_mm and card.patch_size_kji:
        spacing = " x ".join(f"{s:g}" for s in card.spacing_kji_mm[::-1])
        patch = " x ".join(str(n) for n in card.patch_size_kji[::-1])
        lines.append(f"grid:       {spacing} mm, windows of {patch} voxels, orientation {card.orientation or 'as stored'}")
    lines += [f"needs:      {card.roi_hint}"] if card.roi_hint else []
    for metric in card.metrics:
        lines.append("measured:   " + ", ".join(f"{name} {value}" for name, value in metric.items()))
    for data in card.training_data:
        lines.append("trained on: " + ", ".join(str(value) for value in data.values()))
    lines += [f"license:    {card.weights_license}", f"cite:       {card.citation}"]
    return "\n".join(lines)
