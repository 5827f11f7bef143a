"""The short check during training: Dice after one and five clicks and from a box, on whole slices at the network's size."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mednextseg.adapt.click_net.clicks import SimulatedUser, bounding_box
from mednextseg.adapt.click_net.recipe import ClickNetRecipe, ClickNetSource
from mednextseg.adapt.click_net.sessions import Session, hard_dice
from mednextseg.adapt.click_net.sources import read_slices
from mednextseg.adapt.click_net.views import BOX_MARGINS, LEAST_SIDE_PX, MIN_TARGET_PX, TrainingView

_OBJECTS_PER_SET = 10
_CLICKS = 5


@dataclass(frozen=True)
class ValidationView:
    """A view with a closer one for boxes, the set they come from, and whether it belongs to a `val` list or to a held-out set."""

    view: TrainingView
    close: TrainingView
    name: str
    group: str


def validation_views(recipe: ClickNetRecipe, data_folder: Path) -> list[ValidationView]:
    """Up to ten objects of each `val` list and of each held-out set, fixed by the recipe's seed.

    Whole slices, or a square of at least 2.5 times the object's length around it where the object would be too small.
    """
    views = []
    parts = [(source, "val", "val") for source in recipe.training] + [(source, "all", "held_out") for source in recipe.held_out]
    for source, part, group in parts:
        generator = np.random.default_rng([recipe.seed, 7, *source.name.encode()])
        found = list(_objects_of(source, part, Path(data_folder), recipe.view_size_px, generator))
        chosen = generator.permutation(len(found))[:_OBJECTS_PER_SET]
        views.extend(ValidationView(*found[n], source.name, group) for n in chosen)
    return views


def _objects_of(source: ClickNetSource, part: str, folder: Path, size: int, generator: np.random.Generator):
    for item in read_slices(source, folder, part, generator):
        if item.labels_rc is None or item.image_rc is None:
            continue
        values, areas = np.unique(item.labels_rc[item.labels_rc > 0], return_counts=True)
        if not len(values):
            continue
        large = values[areas >= max(40, 0.05 * areas.max())]
        if len(large):
            truth = item.labels_rc == generator.choice(large)
            whole = truth.sum() * (size / max(truth.shape)) ** 2 >= 2 * MIN_TARGET_PX
            view = _view_of(item.image_rc, truth, None if whole else 2.5, size)
            if view.truth_rc.sum() >= MIN_TARGET_PX / 2:
                yield view, _view_of(item.image_rc, truth, sum(BOX_MARGINS) / 2, size)


def _view_of(image_rc: np.ndarray, truth_rc: np.ndarray, margin: float | None, size: int) -> TrainingView:
    side = max(image_rc.shape)
    if margin is not None:
        r0, c0, r1, c1 = (int(n) for n in bounding_box(truth_rc))
        side = min(side, max(int(margin * max(r1 - r0, c1 - c0)), int(LEAST_SIDE_PX)))
        top, left = max(0, (r0 + r1 - side) // 2), max(0, (c0 + c1 - side) // 2)
        image_rc, truth_rc = (part[top : top + side, left : left + side] for part in (image_rc, truth_rc))
    square = [np.zeros((side, side), np.float32) for _ in range(2)]
    for target, part in zip(square, (image_rc, truth_rc), strict=True):
        target[: part.shape[0], : part.shape[1]] = part
    image, truth = (np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR)) for part in square)
    return TrainingView(image, truth > 0.5, np.zeros((size, size), np.float32))


@torch.no_grad()
def validate(network: torch.nn.Module, views: list[ValidationView], radius_px: float, device: torch.device) -> dict:
    """Mean over sets of the Dice after 1 and 5 robot clicks and from the exact box.

    Returns:
        {"val" | "held_out": {"d1", "d5", "box", "mean"}, "sets": {name: [d1, d5, box]}}
    """
    network.eval()
    user = SimulatedUser()
    sessions = [Session(item.view) for item in views]
    scores = [[0.0, 0.0, 0.0] for _ in views]
    for click in range(_CLICKS):
        for session in sessions:
            mask = np.zeros_like(session.view.truth_rc) if session.previous_rc is None else session.previous_rc > 0.5
            point = user.correction(mask, session.view.truth_rc)
            if point is not None:
                session.points_rc.append(point)
        for n, probability in enumerate(_predict(network, sessions, radius_px, device)):
            sessions[n].previous_rc = probability
            if click in (0, _CLICKS - 1):
                scores[n][0 if click == 0 else 1] = hard_dice(probability > 0.5, views[n].view.truth_rc)
    boxed = [Session(item.close, box_rc=bounding_box(item.close.truth_rc)) for item in views]
    for n, probability in enumerate(_predict(network, boxed, radius_px, device)):
        scores[n][2] = hard_dice(probability > 0.5, views[n].close.truth_rc)
    return _summary(views, scores)


def _predict(network: torch.nn.Module, sessions: list[Session], radius_px: float, device: torch.device) -> list[np.ndarray]:
    results = []
    for start in range(0, len(sessions), 16):
        channels = np.stack([s.channels(radius_px) for s in sessions[start : start + 16]])
        inputs = torch.from_numpy(channels).to(device, memory_format=torch.channels_last)
        results.extend(torch.sigmoid(network(inputs)[0].float())[:, 0].cpu().numpy())
    return results


def _summary(views: list[ValidationView], scores: list[list[float]]) -> dict:
    by_set, group_of = defaultdict(list), {}
    for item, score in zip(views, scores, strict=True):
        by_set[item.name].append(score)
        group_of[item.name] = item.group
    means = {name: np.mean(rows, axis=0) for name, rows in by_set.items()}
    result = {}
    for group in sorted(set(group_of.values())):
        d1, d5, box = np.mean([means[name] for name in means if group_of[name] == group], axis=0).round(4).tolist()
        result[group] = {"d1": d1, "d5": d5, "box": box, "mean": round((d1 + d5 + box) / 3, 4)}
    result["sets"] = {name: row.round(3).tolist() for name, row in means.items()}
    return result
