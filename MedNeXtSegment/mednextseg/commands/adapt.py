"""`mednextseg adapt`: teach an installed model a few labeled cases, and say by held-out cases whether it got better.

The same command resumes an adaptation that was stopped.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.commands import adapt_policy, adapt_shots
from mednextseg.commands.option_conflicts import refuse_beside, refuse_without
from mednextseg.models.adaptable import has_shape_priors
from mednextseg.models.tuning_choices import LOSSES, METHODS, SAMPLINGS, Choice

if TYPE_CHECKING:
    from mednextseg.adapt.tuning.adapt_model import Adaptation
    from mednextseg.adapt.tuning.cases import CaseFolder
    from mednextseg.adapt.tuning.options import TuningOptions
    from mednextseg.adapt.tuning.progress import TuningState
    from mednextseg.models.loaded_model import LoadedModel
    from mednextseg.models.model_card import ModelCard


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser("adapt", parents=[common], help="teach a model your cases", description=__doc__)
    parser.add_argument("--model", required=True, help="the base: a model id (see `mednextseg models list`) or folder")
    _add_sources(parser)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, help="folder for checkpoints, curves, report and the new model"
    )
    for name, what, table in (
        ("method", "what is trained", METHODS),
        ("loss", "what is minimized", LOSSES),
        ("sampling", "which patches are learned from", SAMPLINGS),
    ):
        parser.add_argument(f"--{name}", help=_listed(what, table))
    parser.add_argument(
        "--auto-tune",
        dest="method",
        action="store_const",
        const="settings",
        help="the same as --method settings: nothing is trained",
    )
    parser.add_argument("--minutes", type=float, help="of training in all (10 where neither minutes nor steps are given)")
    parser.add_argument("--steps", type=int, help="of each training, instead of minutes")
    parser.add_argument(
        "--pretrain", type=Path, metavar="FOLDER", help="volumes without labels that the network looks at first (FreMIM)"
    )
    parser.add_argument("--pretrain-steps", type=int, metavar="N", help="of that (100)")
    parser.add_argument(
        "--same",
        action="append",
        metavar="CASES=MODEL",
        help="a label of the cases that has another name in the model; may be repeated, and two with one name are joined",
    )
    parser.add_argument("--held-out", help="comma-separated cases to measure on (else those of splits_final.json, or a choice)")
    parser.add_argument("--tolerated-loss", type=float, help="of Dice that the gate lets a label lose (0.01)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--id", help="of the new model (else the base's with -adapted)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    adapt_shots.add_to(parser)
    adapt_policy.add_to(parser)
    parser.add_argument(
        "--write-priors", type=Path, metavar="FOLDER", help="shape priors of the result as volumes, one a class"
    )
    parser.add_argument(
        "--install", action="store_true", default=None, help="install the new model if the gate accepts it, or the policy"
    )
    parser.set_defaults(run=run)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    """Where the cases come from."""
    parser.add_argument(
        "--dataset",
        type=Path,
        help="folder with imagesTr and labelsTr (dataset.json names plain labels), or with CASE.nii.gz beside CASE.seg.nrrd",
    )
    parser.add_argument(
        "--collected",
        nargs="?",
        const="",
        metavar="CASE,...",
        help="learn from cases that were collected in Slicer: all, or those of these ids (see `mednextseg cases list`)",
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="FOLDER",
        help="learn another scanner or sequence without labels: imagesKnown and imagesNew, files of a pair named alike",
    )
    parser.add_argument("--register", action="store_true", default=None, help="register each pair first, rigidly")


def _listed(what: str, table: Mapping[str, Choice]) -> str:
    """The help of an option with a table: every choice with its title; argparse takes two percent signs for one."""
    return f"{what}: {'; '.join(f'{choice.name}, {choice.title}' for choice in table.values())}".replace("%", "%%")


def run(options: argparse.Namespace) -> int:
    """Adapt, print the verdict and the table, and install where that is asked for."""
    from mednextseg.adapt.tuning.adapt_model import adapt_model  # noqa: PLC0415
    from mednextseg.adapt.tuning.cases import CaseFolder  # noqa: PLC0415
    from mednextseg.adapt.tuning.options import TuningOptions  # noqa: PLC0415
    from mednextseg.kernels.allocator import keep_freed_memory  # noqa: PLC0415
    from mednextseg.machine import resolve_device  # noqa: PLC0415
    from mednextseg.models.loaded_model import load_model  # noqa: PLC0415

    keep_freed_memory()
    _refuse_what_would_not_count(options)
    base = load_model(options.model)
    if options.policy is not None:
        with _Console(options.json) as console:
            return adapt_policy.train(options, base, resolve_device(options.device), console.show)
    if options.write_priors:
        _check_priors(options, base.card)
    found = CaseFolder(()) if options.pairs is not None else _cases(options, len(base.card.channels))
    held_out = None if options.held_out is None else tuple(name.strip() for name in options.held_out.split(","))
    named = {name: getattr(options, name) for name in ("method", "loss", "sampling", "tolerated_loss")}
    named["pretraining_steps"] = options.pretrain_steps
    wanted = TuningOptions(
        minutes=options.minutes,
        steps=options.steps,
        same=_pairs(options.same or []),
        held_out=found.held_out if held_out is None else held_out,
        seed=options.seed,
        model_id=options.id,
        unlabeled=None if options.pretrain is None else str(options.pretrain),
        **{name: value for name, value in named.items() if value is not None},
    )
    device = resolve_device(options.device)
    with _Console(options.json) as console:
        if options.pairs is not None:
            outcome = _from_pairs(options, base, wanted, device, console.show)
        elif options.shots:
            return adapt_shots.draw(options, base, found.cases, wanted, device, console.show)
        else:
            outcome = adapt_model(base, found.cases, options.output, wanted, device, console.show)
    if options.write_priors:
        from mednextseg.adapt.tuning.prior_volumes import write_priors  # noqa: PLC0415

        write_priors(outcome.package, options.write_priors)
    installed = _install(outcome) if options.install else None
    if options.json:
        print(json.dumps({**outcome.to_dict(), "installed": None if installed is None else str(installed)}))
    else:
        _print(outcome, installed)
    return 0


def _from_pairs(
    options: argparse.Namespace,
    base: "LoadedModel",
    wanted: "TuningOptions",
    device: str,
    show: "Callable[[TuningState], None]",
) -> "Adaptation":
    """Without labels."""
    from mednextseg.adapt.transfer.transfer_run import adapt_to_pairs  # noqa: PLC0415

    return adapt_to_pairs(base, options.pairs, options.output, wanted, not options.register, device, show)


def _cases(options: argparse.Namespace, channels: int) -> "CaseFolder":
    """Those of the folder, then the collected ones."""
    from mednextseg.adapt.tuning.cases import CaseFolder, cases_in_folder  # noqa: PLC0415
    from mednextseg.adapt.tuning.collected_cases import collected_to_learn  # noqa: PLC0415

    if options.dataset is None and options.collected is None:
        raise ValueError("there is nothing to learn from; give --dataset, a folder of cases, or --collected.")
    found = CaseFolder(()) if options.dataset is None else cases_in_folder(options.dataset, channels)
    if options.collected is None:
        return found
    names = [name.strip() for name in options.collected.split(",")] if options.collected else None
    return CaseFolder((*found.cases, *collected_to_learn(channels, names)), found.held_out)


def _refuse_what_would_not_count(options: argparse.Namespace) -> None:
    """What is said of one way to learn, beside another one; nothing that was typed is left out in silence."""
    refuse_without(options, "pairs", ("register",))
    refuse_without(options, "shots", ("methods", "leave_one_out"))
    refuse_without(options, "pretrain", ("pretrain_steps",))
    refuse_without(options, "policy", ("bank", "epsilon"))
    learned = "method", "loss", "sampling"
    if options.policy is not None:
        said = *learned, "steps", "same", "tolerated_loss", "id", "write_priors", "pairs", "shots", "pretrain", "collected"
        refuse_beside("--policy learns from volumes alone which windows count", options, said)
    if options.pairs is not None:
        said = *learned, "dataset", "collected", "shots", "pretrain"
        refuse_beside("--pairs teaches a whole network without labels", options, said)
    if options.shots is not None:
        refuse_beside("--shots makes many models, by --methods", options, ("method", "write_priors", "install"))


def _check_priors(options: argparse.Namespace, card: "ModelCard") -> None:
    """Before anything is trained: only a model with shape priors has some to write."""
    if options.method != "shape-priors" and not has_shape_priors(card):
        method = "pairs" if options.pairs else options.method or next(iter(METHODS))
        raise ValueError(f"--write-priors needs --method shape-priors, got {method}, which learns none.")


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        theirs, sign, ours = text.partition("=")
        if not (sign and theirs.strip() and ours.strip()):
            raise ValueError(f"--same needs a label of the cases and one of the model, as CASES=MODEL, got {text!r}.")
        pairs[theirs.strip()] = ours.strip()
    return pairs


def _install(outcome: "Adaptation") -> Path | None:
    """Put an accepted model into the library; its license is the base's, which was accepted there. A candidate stays where it is."""
    from mednextseg.models.install.installation import install  # noqa: PLC0415

    if not outcome.gate.accepted:
        print("mednextseg: a candidate is not installed; it stays in its folder.", file=sys.stderr)
        return None
    return install(outcome.package, accept_license=True)


def _print(outcome: "Adaptation", installed: Path | None) -> None:
    from mednextseg.adapt.tuning.gate import gate_table  # noqa: PLC0415

    for note in outcome.notes:
        print(note)
    print(outcome.gate.verdict)
    for reason in outcome.gate.reasons:
        print(reason)
    print(gate_table(outcome.gate))
    print(f"{len(outcome.gate.cases)} cases, {outcome.explanation}; {outcome.steps} steps each training.")
    if outcome.memory:
        print(outcome.memory)
    print(
        f"{outcome.card.id} {outcome.card.version} in {outcome.package}" if installed is None else f"installed in {installed}"
    )


class _Console:
    """A bar over all steps on a terminal, and a line for each training elsewhere; on standard error."""

    def __init__(self, quiet: bool) -> None:
        from tqdm import tqdm  # noqa: PLC0415

        self._quiet, self._stage = quiet, ""
        self._bar = tqdm(total=100, unit="%", bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}", disable=quiet or None)

    def __enter__(self) -> "_Console":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, state: "TuningState") -> None:
        """Take one report."""
        if not self._bar.disable:
            self._bar.set_description_str(state.stage, refresh=False)
            self._bar.n = round(100 * state.fraction)
            left = "" if state.seconds_left is None else f", {state.seconds_left / 60:.1f} minutes left"
            self._bar.set_postfix_str("" if state.loss is None else f"loss {state.loss:.3f}{left}")
        elif not self._quiet and state.stage != self._stage:
            print(state.stage, file=sys.stderr, flush=True)
        self._stage = state.stage
