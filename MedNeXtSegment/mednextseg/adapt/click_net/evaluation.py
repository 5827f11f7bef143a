"""One command for the table of the model card: every prompter on the `val` lists and on sets never trained on.

python -m mednextseg.adapt.click_net.evaluation --data DIR --recipe FILE --prompter clicknet random_walker -o DIR
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mednextseg.adapt.click_net.failures import draw_failures
from mednextseg.adapt.click_net.metrics import Target, measure, measure_baselines
from mednextseg.adapt.click_net.recipe import ClickNetRecipe, ClickNetSource
from mednextseg.adapt.click_net.sources import SourceSlice, read_slices
from mednextseg.files import write_text
from mednextseg.refine import load_prompter
from mednextseg.refine.prompter import Prompter

LONGEST_SIDE_PX = 256  # slices are shrunk to this; figures of other programs are for 256 pixels too
LEAST_TARGET_PX = 100
_BOOTSTRAPS = 2000
_COLUMNS = ("d1", "d3", "d5", "d10", "box_0", "box_5", "box_10", "repair_1", "repair_3")
_CLICK_COLUMNS = ("clicks_to_85", "failed_85", "clicks_to_90", "failed_90", "worse", "lowered", "obeyed", "click_ms")


def targets_of(recipe: ClickNetRecipe, data_folder: Path, per_set: int) -> list[Target]:
    """Up to `per_set` objects of each set: of the `val` lists, of held-out sets, and of sets kept for evaluation only.

    The draw is fixed by the recipe's seed. Objects below 100 pixels at a longest side of 256 are left out.
    """
    groups = [(source, "val", "val") for source in recipe.training]
    groups += [(source, "all", "held out") for source in (*recipe.held_out, *recipe.evaluation_only)]
    targets = []
    for source, part, group in groups:
        if source.kind in ("unlabeled_volumes", "label_maps"):
            continue
        generator = np.random.default_rng([recipe.seed, 11, *source.name.encode()])
        slices = list(read_slices(source, data_folder, part, generator))
        found = [target for item in slices for target in _objects_of(item, source, group, generator)]
        targets.extend(found[n] for n in generator.permutation(len(found))[:per_set])
    return targets


def _objects_of(item: SourceSlice, source: ClickNetSource, group: str, generator: np.random.Generator) -> Iterable[Target]:
    """At most three objects of a slice; of a labeled structure all its pieces together, unless labels are instances."""
    factor = min(1.0, LONGEST_SIDE_PX / max(item.image_rc.shape))
    size_xy = tuple(max(1, round(n * factor)) for n in item.image_rc.shape[::-1])
    image = np.asarray(Image.fromarray(item.image_rc).resize(size_xy, Image.Resampling.BOX))
    labels = np.asarray(Image.fromarray(item.labels_rc.astype(np.int32)).resize(size_xy, Image.Resampling.NEAREST))
    values, areas = np.unique(labels[labels > 0], return_counts=True)
    large = values[areas >= LEAST_TARGET_PX]
    for value in generator.permutation(large)[:3]:
        yield Target(image, labels == value, source.name, group, item.case, int(value))


def evaluate(prompters: dict[str, Prompter], targets: list[Target]) -> list[dict]:
    """A row for each object and method: "method", "dataset", "group", "case", "label" and the figures of `measure`."""
    rows = []
    for target in tqdm(targets, desc="objects", unit="object"):
        about = {"dataset": target.dataset, "group": target.group, "case": target.case, "label": target.label}
        rows.append({"method": "baselines", **about, **measure_baselines(target)})
        rows.extend({"method": name, **about, **measure(prompter, target)} for name, prompter in prompters.items())
    return rows


def summarize(rows: list[dict]) -> dict:
    """Macro means: cases within a set, sets within a group; with a 95 % interval by bootstrap over cases for every group.

    Returns:
        {method: {"groups": {group: {figure: [mean, low, high]}}, "sets": {set: {figure: mean}}}}
    """
    result: dict = {}
    for method in sorted({row["method"] for row in rows}):
        mine = [row for row in rows if row["method"] == method]
        figures = [name for name, value in mine[0].items() if isinstance(value, float)]
        sets = {name: _case_means(mine, name, figures) for name in sorted({row["dataset"] for row in mine})}
        groups = defaultdict(list)
        for row in mine:
            if row["dataset"] not in groups[row["group"]]:
                groups[row["group"]].append(row["dataset"])
        result[method] = {
            "groups": {
                group: {figure: _macro_interval([sets[name][:, n] for name in names]) for n, figure in enumerate(figures)}
                for group, names in groups.items()
            },
            "sets": {
                name: dict(zip(figures, table.mean(axis=0).round(4).tolist(), strict=True)) for name, table in sets.items()
            },
        }
    return result


def _case_means(rows: list[dict], dataset: str, figures: list[str]) -> np.ndarray:
    """(cases, figures): one row for each case of a set."""
    by_case = defaultdict(list)
    for row in rows:
        if row["dataset"] == dataset:
            by_case[row["case"]].append([row[figure] for figure in figures])
    return np.array([np.mean(values, axis=0) for values in by_case.values()])


def _macro_interval(sets: list[np.ndarray]) -> list[float]:
    generator = np.random.default_rng(0)
    draws = [
        np.mean([values[generator.integers(len(values), size=len(values))].mean() for values in sets])
        for _ in range(_BOOTSTRAPS)
    ]
    low, high = np.percentile(draws, (2.5, 97.5))
    return [round(float(x), 4) for x in (np.mean([values.mean() for values in sets]), low, high)]


def as_markdown(summary: dict, count: int) -> str:
    """The tables of the model card."""
    methods = [name for name in summary if name != "baselines"]
    lines = [f"{count} objects; longest side {LONGEST_SIDE_PX} px; macro mean over sets, robot user.", ""]
    for group in next(iter(summary.values()))["groups"]:
        base = summary["baselines"]["groups"][group]
        lines += [f"**{group}**", "", "| method | " + " | ".join(_COLUMNS) + " |", "|---" * (len(_COLUMNS) + 1) + "|"]
        for name in methods:
            figures = summary[name]["groups"][group]
            lines.append(f"| {name} | " + " | ".join(f"{figures[c][0]:.3f}" for c in _COLUMNS) + " |")
        ellipse = [f"{base[f'ellipse_{jitter}'][0]:.3f}" for jitter in (0, 5, 10)]
        lines.append(f"| disk at the click | {base['ellipse_click'][0]:.3f} | | | | | | | | |")
        lines.append("| inscribed ellipse | | | | | " + " | ".join(ellipse) + " | | |")
        unchanged = f"{base['unchanged'][0]:.3f}"
        lines += [f"| unchanged mask | | | | | | | | {unchanged} | {unchanged} |", ""]
        lines += ["| method | " + " | ".join(_CLICK_COLUMNS) + " |", "|---" * (len(_CLICK_COLUMNS) + 1) + "|"]
        for name in methods:
            figures = summary[name]["groups"][group]
            lines.append(f"| {name} | " + " | ".join(f"{figures[c][0]:.2f}" for c in _CLICK_COLUMNS) + " |")
        lines.append("")
    return "\n".join([*lines, *_set_table(summary, methods)])


def _set_table(summary: dict, methods: list[str]) -> list[str]:
    """One row for each set, the worst of the first method first; the ellipse beside its boxes."""
    columns, ellipse = ("d1", "d3", "d5", "box_0", "box_10"), ("ellipse_0", "ellipse_10")
    wanted = [(method, column) for method in methods for column in columns] + [("baselines", column) for column in ellipse]
    lines = ["**by set, worst first**", "", "| set | " + " | ".join(f"{m} {c}" for m, c in wanted) + " |"]
    lines.append("|---" * (len(wanted) + 1) + "|")
    first = summary[methods[0]]["sets"]
    for name in sorted(first, key=lambda name: sum(first[name][c] for c in columns)):
        cells = [f"{summary[method]['sets'][name][column]:.3f}" for method, column in wanted]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def main(arguments: list[str] | None = None) -> None:
    """The command line; writes click_net_evaluation.md, click_net_evaluation.json and failures.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that the recipe's folders are relative to")
    parser.add_argument("--recipe", type=Path, required=True, help="a refine training recipe, for its list of sets")
    parser.add_argument("--prompter", nargs="+", default=["clicknet", "random_walker"], help="names or paths")
    parser.add_argument("--objects-per-set", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    targets = targets_of(ClickNetRecipe.from_json(options.recipe), options.data, options.objects_per_set)
    prompters = {Path(name).name: load_prompter(name) for name in options.prompter}
    rows = evaluate(prompters, targets)
    summary = summarize(rows)
    options.output.mkdir(parents=True, exist_ok=True)
    write_text(options.output / "click_net_evaluation.json", json.dumps({"summary": summary, "rows": rows}))
    text = as_markdown(summary, len(targets))
    write_text(options.output / "click_net_evaluation.md", text)
    draw_failures(next(iter(prompters.values())), targets, rows, options.output / "failures.png")
    print(text)


if __name__ == "__main__":
    main()
