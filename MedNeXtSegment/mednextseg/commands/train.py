"""`mednextseg train`: train a MedNeXt on labeled cases (nnU-Net's raw layout) or on heads, or a network of Refine, and package it.

The same command resumes a training that was stopped.
"""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.files import make_folder, write_text

if TYPE_CHECKING:
    from mednextseg.adapt.planned_training import PlannedTraining

PACKAGE_FOLDER, MEMORY_FILE = "package", "memory.txt"


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser("train", parents=[common], help="train a model", description=__doc__)
    parser.add_argument(
        "--task", choices=("segment", "heads", "refine", "whole-object"), default="segment", help="what the model is for"
    )
    parser.add_argument(
        "--dataset",
        required=True,
        type=Path,
        help="segment: folder with dataset.json, imagesTr, labelsTr, splits_final.json; others: the recipe's data folder",
    )
    parser.add_argument("--recipe", required=True, type=Path, help="JSON file: network, grid, schedule, card")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder for checkpoints, log, curves and the package")
    parser.add_argument(
        "--start-from",
        type=Path,
        help=(
            "a new run starts with these weights: a model's folder, its weights.safetensors, or best.pt of an earlier training; "
            "a MedNeXt may be wider than they are"
        ),
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--package-only", action="store_true", help="package the best checkpoint of a training so far")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train to the end of the recipe's schedule, then package."""
    from mednextseg.adapt.locked_folder import locked  # noqa: PLC0415
    from mednextseg.kernels.allocator import keep_freed_memory  # noqa: PLC0415
    from mednextseg.machine import resolve_device  # noqa: PLC0415

    options.device = resolve_device(options.device)
    keep_freed_memory()
    make_folder(options.output)
    train = {
        "segment": _train_mednext,
        "heads": _train_heads,
        "refine": _train_click_net,
        "whole-object": _train_completion,
    }[options.task]
    # What a training has so far may be packaged while it goes on.
    with nullcontext() if options.package_only else locked(options.output):
        model_id = train(options)
    result = {"package": str(options.output / PACKAGE_FOLDER), "id": model_id}
    print(json.dumps(result) if options.json else f"packaged as {result['package']}")
    return 0


def _train_mednext(options: argparse.Namespace) -> str:
    from mednextseg.adapt.mednext.dataset import open_dataset  # noqa: PLC0415
    from mednextseg.adapt.mednext.packaging import package_training  # noqa: PLC0415
    from mednextseg.adapt.mednext.recipe import MedNeXtRecipe  # noqa: PLC0415
    from mednextseg.adapt.mednext.trainer import Trainer  # noqa: PLC0415

    recipe, dataset = MedNeXtRecipe.from_json(options.recipe), open_dataset(options.dataset)
    if not options.package_only:
        with _StepBar(recipe.max_steps, options.json) as show:
            trainer = Trainer(recipe, dataset, options.output, options.device, show, options.start_from)
            _plan_memory(trainer, recipe.max_steps, options)
            trainer.run()
    return package_training(options.output, recipe, dataset, options.output / PACKAGE_FOLDER).id


def _train_heads(options: argparse.Namespace) -> str:
    from mednextseg.adapt.heads.data import load_heads, training_heads  # noqa: PLC0415
    from mednextseg.adapt.heads.packaging import package_heads  # noqa: PLC0415
    from mednextseg.adapt.heads.recipe import HeadRecipe  # noqa: PLC0415
    from mednextseg.adapt.heads.trainer import HeadTrainer  # noqa: PLC0415

    recipe = HeadRecipe.from_json(options.recipe)
    if options.package_only:
        heads = training_heads(options.dataset, recipe)
    else:
        everything = load_heads(options.dataset, recipe)
        with _StepBar(recipe.max_steps, options.json) as show:
            trainer = HeadTrainer(recipe, everything, options.output, options.start_from, options.device, show)
            _plan_memory(trainer, recipe.max_steps, options)
            trainer.run()
        heads = everything.real
    return package_heads(options.output, recipe, heads, options.output / PACKAGE_FOLDER, options.device).id


def _train_click_net(options: argparse.Namespace) -> str:
    from mednextseg.adapt.click_net.recipe import ClickNetRecipe  # noqa: PLC0415
    from mednextseg.adapt.click_net.training import package_click_net, train_click_net  # noqa: PLC0415
    from mednextseg.adapt.resumable_training import BEST_CHECKPOINT  # noqa: PLC0415

    recipe = ClickNetRecipe.from_json(options.recipe)
    if options.package_only:
        return package_click_net(
            options.output / BEST_CHECKPOINT, recipe, options.output / PACKAGE_FOLDER, options.start_from
        ).id
    with _StepBar(recipe.max_steps, options.json) as show:
        return train_click_net(options.dataset, recipe, options.output, options.device, show, options.start_from).id


def _train_completion(options: argparse.Namespace) -> str:
    from mednextseg.adapt.completion.packaging import package_completion  # noqa: PLC0415
    from mednextseg.adapt.completion.recipe import CompletionRecipe  # noqa: PLC0415
    from mednextseg.adapt.completion.trainer import CompletionTrainer, training_draws, validation_cubes  # noqa: PLC0415
    from mednextseg.refine import load_prompter  # noqa: PLC0415

    recipe = CompletionRecipe.from_json(options.recipe)
    if not options.package_only:
        draws, cubes = training_draws(recipe, options.dataset), validation_cubes(recipe, options.dataset)
        with _StepBar(recipe.max_steps, options.json) as show:
            told = (recipe, draws, cubes, load_prompter("clicknet", options.device), options.output)
            trainer = CompletionTrainer(*told, options.start_from, options.device, show)
            _plan_memory(trainer, recipe.max_steps, options)
            trainer.run()
    return package_completion(options.output, recipe, options.output / PACKAGE_FOLDER, options.start_from).id


def _plan_memory(trainer: "PlannedTraining", steps: int, options: argparse.Namespace) -> None:
    """Say how the steps are computed so that they fit into memory, here and in memory.txt; nothing where the training is over."""
    if trainer.step < steps:
        write_text(options.output / MEMORY_FILE, trainer.memory.sentence + "\n")
        if not options.json:
            print(trainer.memory.sentence, file=sys.stderr)


class _StepBar:
    """A progress bar over the steps of a training; entering it gives the trainer's on_step callback."""

    def __init__(self, max_steps: int, quiet: bool) -> None:
        from tqdm import tqdm  # noqa: PLC0415

        self._bar = tqdm(total=max_steps, unit="step", disable=quiet)

    def __enter__(self) -> Callable[[int, int, float], None]:
        return self._show

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def _show(self, step: int, max_steps: int, loss: float) -> None:
        self._bar.n = step
        self._bar.set_postfix(loss=f"{loss:.3f}")
