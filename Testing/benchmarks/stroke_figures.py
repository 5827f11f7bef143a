"""How well strokes work: people's scribbles (MedScribble), drawn lassos, and one click beside them.

    python Testing/benchmarks/stroke_figures.py --data MEDSCRIBBLE [--prompter clicknet random_walker]

The folder holds a folder a set of .npz files: img (H, W) in [0, 1], seg (H, W), scribble_0 to scribble_2 (2, H, W), positive and
negative pixels of three people. A lasso is the object's outline, 3 pixels outside of it and wavering by another 2.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.clicks import SimulatedUser
from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.strokes import Stroke

_LEAST_PX = 4  # a shorter piece of a scribble is a slip of the pen


def strokes_of(pixels_rc: np.ndarray, is_positive: bool) -> list[Stroke]:
    """The connected pieces of a drawing as lines, each pixel followed by the nearest that is left."""
    numbers, count = ndimage.label(pixels_rc, np.ones((3, 3)))
    strokes = []
    for number in range(1, count + 1):
        left = np.argwhere(numbers == number).astype(float)
        line = []
        while len(left) and len(line) < 4000:
            place = left[0] if not line else left[((left - line[-1]) ** 2).sum(axis=1).argmin()]
            line.append(place)
            left = left[((left - place) ** 2).sum(axis=1) > 2]
        if len(line) >= _LEAST_PX:
            strokes.append(Stroke(np.array(line), is_positive))
    return strokes


def lasso_around(truth_rc: np.ndarray, generator: np.random.Generator) -> Stroke:
    """A rough line around the largest piece of an object, seen from its middle."""
    numbers, _count = ndimage.label(truth_rc)
    largest = numbers == np.bincount(numbers[truth_rc]).argmax()
    middle, places = np.argwhere(largest).mean(axis=0), np.argwhere(largest) - np.argwhere(largest).mean(axis=0)
    angles = np.linspace(0, 2 * np.pi, 37)[:-1]
    directions = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    reach = (places @ directions.T).max(axis=0) + 3 + generator.uniform(-2, 2, len(angles))
    return Stroke(middle + reach[:, None] * directions, True, True)


def figures(prompter, files: list[Path]) -> dict[str, dict[str, list[float]]]:
    """{prompt: {set: Dice of each drawing}}."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        case = np.load(path)
        truth = case["seg"] >= 0.5
        embedding = prompter.encode(case["img"], (1.0, 1.0), (0.0, 1.0))

        def note(name: str, prompts: Prompts, embedding=embedding, truth=truth, dataset=path.parent.name) -> None:
            found[name][dataset].append(hard_dice(prompter.predict(embedding, prompts).mask, truth))

        note("one click", Prompts([SimulatedUser().first_click(truth)], [1]))
        note("lasso", Prompts(strokes=(lasso_around(truth, np.random.default_rng(0)),)))
        for person in range(3):
            positive, negative = case[f"scribble_{person}"] > 0.5
            on = strokes_of(positive, True)
            if on:
                note("scribbles on the object", Prompts(strokes=on))
                note("and beside it", Prompts(strokes=on + strokes_of(negative, False)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--prompter", nargs="+", default=["clicknet", "random_walker"])
    options = parser.parse_args()
    files = sorted(options.data.glob("*/*.npz"))
    sets = sorted({path.parent.name for path in files})
    print("| method | prompt | mean | " + " | ".join(sets) + " |\n" + "|---" * (len(sets) + 3) + "|")
    for name in options.prompter:
        for prompt, by_set in figures(load_prompter(name), files).items():
            means = [np.mean(by_set[one]) for one in sets]
            print(f"| {name} | {prompt} | {np.mean(means):.3f} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
