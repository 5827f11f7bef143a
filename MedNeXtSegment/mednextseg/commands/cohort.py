"""What `--ray` means to commands that work on folders of cases: its options, progress, and a table of who did how much."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from mednextseg.cases.actors import LOCAL, CaseAnswer, run_on_actors
from mednextseg.json_values import listed


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """--ray and --workers."""
    parser.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="for folders: several cases at once by Ray, on this machine or on the cluster at the address (auto: the one that it is in)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="with --ray: cases at once; by default one a graphics card, or for every four cores",
    )


def check_ray_options(options: argparse.Namespace, is_for_folders: bool) -> None:
    """Refuse what cannot be meant.

    Args:
        options: of the command.
        is_for_folders: whether the rest of them asks for a folder of cases.
    Raises:
        ValueError: saying which option to leave out.
    """
    if options.workers is not None and (options.ray is None or options.workers < 1):
        raise ValueError(f"--workers needs --ray and a number from 1 on, got {options.workers}.")
    if options.ray is not None and not is_for_folders:
        raise ValueError("--ray is for folders of cases; leave it out, or give folders.")
    if options.ray is not None and options.device not in ("auto", "cpu"):
        raise ValueError(
            f"with --ray each worker has a graphics card of its own; say auto or cpu, not --device {options.device}."
        )


def run_cohort(
    options: argparse.Namespace, open_work: Callable[[], Callable[[Any], Any]], cases: Mapping[str, Any], uses_gpu: bool
) -> dict[str, CaseAnswer]:
    """Work on cases by the options' Ray, with a bar and a table on standard error.

    Args:
        options: of the command.
        open_work, cases, uses_gpu: as for `run_on_actors`.
    Returns:
        What came of each, in the order of `cases`.
    """
    answers: dict[str, CaseAnswer] = {}
    if not cases:
        return answers
    with tqdm(total=len(cases), unit="case", disable=not sys.stderr.isatty()) as bar:

        def told(name: str, answer: CaseAnswer) -> None:
            answers[name] = answer
            shown_name = listed([name])  # in one line, whatever a file is called
            came = f"mednextseg: {shown_name}: {answer.failure}" if answer.failure else f"{shown_name}: {answer.seconds:.1f} s"
            if answer.failure or bar.disable:
                bar.write(came if answer.failure else f"[{len(answers)}/{len(cases)}] {came}", file=sys.stderr)
            bar.update()

        run_on_actors(open_work, cases, told, options.ray, options.workers, uses_gpu and options.device != "cpu")
    _print_table(answers)
    return {name: answers[name] for name in cases}


def _print_table(answers: Mapping[str, CaseAnswer]) -> None:
    by_actor: dict[str, list[float]] = defaultdict(list)
    for answer in answers.values():
        by_actor[answer.actor or "(ended)"].append(answer.seconds)
    print(f"{'worker':40s} {'cases':>6s} {'seconds a case':>15s}", file=sys.stderr)
    for actor, seconds in sorted(by_actor.items()):
        print(f"{actor:40s} {len(seconds):6d} {sum(seconds) / len(seconds):15.1f}", file=sys.stderr)
