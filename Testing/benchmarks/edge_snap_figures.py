"""What "Snap to edges" does to a result: Dice before and after, for one click and for a box, set by set.

    python Testing/benchmarks/edge_snap_figures.py --data ../shared/data [--objects-per-set 8] [--prompter clicknet]

The objects are those of the table of prompters (`mednextseg.adapt.click_net.evaluation`): of `val` lists and of sets never trained on,
shrunk to a longest side of 256 pixels, which count as 1 mm each.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from mednextseg.adapt.click_net.clicks import SimulatedUser, drawn_box
from mednextseg.adapt.click_net.evaluation import Target, targets_of
from mednextseg.adapt.click_net.recipe import ClickNetRecipe
from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.models.library import bundled_models_folder
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.slices.edge_snap import snapped_to_edges

_SPACING_RC_MM = (1.0, 1.0)


def dice_of(prompter: Prompter, target: Target) -> dict[str, tuple[float, float]]:
    """{prompt: (before, after)} of one object."""
    embedding = prompter.encode(target.image_rc, _SPACING_RC_MM, (0.0, 1.0))
    prompts = {
        "one click": Prompts([SimulatedUser().first_click(target.truth_rc)], [1]),
        "box": Prompts(box=np.array(drawn_box(target.truth_rc, 0.0, np.random.default_rng(0)))),
    }
    found = {}
    for name, prompt in prompts.items():
        before_rc = prompter.predict(embedding, prompt).probability
        after_rc = snapped_to_edges(target.image_rc, before_rc, _SPACING_RC_MM)
        found[name] = (hard_dice(before_rc > 0.5, target.truth_rc), hard_dice(after_rc > 0.5, target.truth_rc))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--recipe", type=Path, default=bundled_models_folder() / "clicknet" / "training_recipe.json")
    parser.add_argument("--prompter", default="clicknet")
    parser.add_argument("--objects-per-set", type=int, default=8)
    options = parser.parse_args()
    prompter, sets = load_prompter(options.prompter), defaultdict(lambda: defaultdict(list))
    targets = targets_of(ClickNetRecipe.from_json(options.recipe), options.data, options.objects_per_set)
    for target in targets:
        for prompt, pair in dice_of(prompter, target).items():
            sets[prompt][target.dataset].append(pair)
    print(f"{len(targets)} objects of {len(sets['box'])} sets; mean over sets.\n")
    print(
        "| prompt | Dice before | after | sets better by 0.001 | sets worse by 0.001 | best | worst |\n|---|---|---|---|---|---|---|"
    )
    for prompt, by_set in sets.items():
        means = {name: np.mean(pairs, axis=0) for name, pairs in by_set.items()}
        gains = {name: after - before for name, (before, after) in means.items()}
        before, after = np.mean(list(means.values()), axis=0)
        best, worst = (f"{name} {gains[name]:+.3f}" for name in (max(gains, key=gains.get), min(gains, key=gains.get)))
        better, worse = sum(gain > 0.001 for gain in gains.values()), sum(gain < -0.001 for gain in gains.values())
        print(f"| {prompt} | {before:.4f} | {after:.4f} | {better} | {worse} | {best} | {worst} |")


if __name__ == "__main__":
    main()
