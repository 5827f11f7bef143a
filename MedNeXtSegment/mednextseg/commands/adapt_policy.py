"""`mednextseg adapt --policy dynamic` or `bank`: teach a small network which windows of a model need how close a look."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.json_values import listed
from mednextseg.models.policy_facts import KINDS

if TYPE_CHECKING:
    from mednextseg.adapt.tuning.progress import TuningState
    from mednextseg.adapt.window_policy.policy_training import TrainedPolicy
    from mednextseg.models.loaded_model import LoadedModel


def add_to(parser: argparse.ArgumentParser) -> None:
    """Register the options of window policies."""
    parser.add_argument(
        "--policy",
        choices=KINDS,
        help="train no model but which of its windows are skipped, cropped or looked at (dynamic), or left to cheaper models (bank); "
        "volumes need no labels",
    )
    parser.add_argument("--bank", metavar="MODEL,...", help="with --policy bank: cheaper models with the same labels")
    parser.add_argument(
        "--epsilon", type=float, metavar="DICE", help="how much worse than the best answer is good enough for a window (0.02)"
    )


def train(options: argparse.Namespace, best: "LoadedModel", device: str, show: "Callable[[TuningState], None]") -> int:
    """Train, write policy.safetensors and policy.json, print the table, and install the policy where that is asked for."""
    from mednextseg.adapt.window_policy.policy_training import EPSILON, train_policy  # noqa: PLC0415
    from mednextseg.files import make_folder  # noqa: PLC0415
    from mednextseg.models.learned_windows import install_policy, write_policy  # noqa: PLC0415
    from mednextseg.models.loaded_model import load_model  # noqa: PLC0415

    others = [load_model(name.strip()) for name in options.bank.split(",")] if options.bank else []
    if bool(others) != (options.policy == "bank"):
        raise ValueError("--bank names the cheaper models of --policy bank; give both, or neither.")
    epsilon = EPSILON if options.epsilon is None else options.epsilon
    if not 0 <= epsilon <= 1:
        raise ValueError(f"--epsilon must be a Dice from 0 to 1, got {epsilon}.")
    minutes = 10.0 if options.minutes is None else options.minutes
    trained = train_policy(best, others, _volumes(options, best), minutes, options.seed, epsilon, device, show)
    make_folder(options.output)
    file = options.output / "policy.safetensors"
    write_policy(trained.policy, file)
    record = {"file": str(file), "windows": trained.windows, "judged_cases": trained.judged_cases} | {
        "judged": [asdict(budget) for budget in trained.judged],
        "facts": asdict(trained.policy.facts),
    }
    (options.output / "policy.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    installed = install_policy(trained.policy) if options.install else None
    if options.json:
        print(json.dumps({**record, "installed": None if installed is None else str(installed)}))
    else:
        print(f"{policy_table(trained)}\n{file}" if installed is None else f"{policy_table(trained)}\ninstalled in {installed}")
    return 0


def policy_table(trained: "TrainedPolicy") -> str:
    """Budgets on the judged volumes, as markdown."""
    facts = trained.policy.facts
    options = ("skipped", "cropped", "full") if facts.kind == "dynamic" else tuple(m.id for m in (*facts.others, facts.model))
    cases = f"{len(facts.cases)} volumes, {trained.windows} windows learned from; judged on {listed(trained.judged_cases)}"
    lines = [cases, "", f"| budget | cost | Dice to every window | {' | '.join(options)} |", "|---" * (3 + len(options)) + "|"]
    for at in trained.judged:
        shares = " | ".join(f"{share:.0%}" for share in at.shares)
        lines.append(f"| {at.budget:g} | {at.cost:.0%} | {at.score:.3f} | {shares} |")
    return "\n".join(lines)


def _volumes(options: argparse.Namespace, best: "LoadedModel") -> dict[str, list[Path]]:
    """Those of the folder that nobody holds out."""
    from mednextseg.cases.folders import image_files  # noqa: PLC0415
    from mednextseg.cases.splits import read_split  # noqa: PLC0415

    folder = options.dataset
    if folder is None or not folder.is_dir():
        raise ValueError("--policy needs --dataset, a folder with volumes or with imagesTr.")
    split = folder / "splits_final.json"
    held_out = [] if options.held_out is None else [name.strip() for name in options.held_out.split(",")]
    if options.held_out is None and split.is_file():
        held_out = list(read_split(split).validation)
    images = image_files(folder / "imagesTr" if (folder / "imagesTr").is_dir() else folder, len(best.card.channels))
    return {name: files for name, files in images.items() if name not in held_out}
