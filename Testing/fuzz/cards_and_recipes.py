"""Model cards and recipes with odd entries: the labels that the network gives, or a refusal."""

import json
import shutil
from pathlib import Path

import numpy as np

from fuzz.inputs import changed_json, json_text, shared_package, step_volume, steps_of
from fuzz.outcomes import WRONG, must, must_equal, refusing

_RECIPE = {
    "overlap": 0.5, "tta": False, "tta_views": ["k"], "ensemble": True, "batch_size": 1, "window_policy": "full", "precision": "fp32",
    "budget": 1.0, "margin_mm": 10.0, "air_below": {},
    "normalization": {"MR": {"scheme": "none", "lower": 0.0, "upper": 0.0, "mean": 0.0, "std": 1.0, "masked": False}},
    "component_rules": [{"labels": ["middle", "bright"], "connectivity": "corners", "keep_from_mm3": 0.0}],
    "postprocessing": {"middle": {"keep_largest": False, "min_volume_mm3": 0.0, "fill_holes": False}},
}  # fmt: skip
# Of these the answer may depend, so that only its form is checked.
_DECIDING = {
    "normalization", "component_rules", "postprocessing", "spacing_kji_mm", "channels", "labels", "activation", "average", "orientation",
    "normalization_region", "axis_order_kji", "clip_resampled", "anisotropy_threshold", "crop_to_nonzero", "architecture",
    "normalize_first",
}  # fmt: skip


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """One card or recipe with one to three odd entries."""
    from mednextseg.geometry import Geometry
    from mednextseg.models.loaded_model import load_model
    from mednextseg.segment.auto_segmenter import segment
    from mednextseg.segment.recipe import SegmentRecipe

    package, recipe, changed = shared_package(session), None, set()
    is_card = rng.random() < 0.5
    if is_card:
        package = folder / "package"
        shutil.copytree(shared_package(session), package)
        raw, changed = _changed(rng, json.loads((package / "card.json").read_text()))
        (package / "card.json").write_bytes(json_text(rng, raw))
    else:
        raw, changed = _changed(rng, _RECIPE)
        (folder / "recipe.json").write_bytes(json_text(rng, raw))
        recipe = refusing(lambda: SegmentRecipe.from_json(folder / "recipe.json"))
    model = refusing(lambda: load_model(package))
    volume = step_volume(rng, (6, 7, 8))
    geometry = Geometry(volume.shape, np.diag([1.0, 1.0, 1.0, 1.0]))
    found, report = refusing(lambda: segment(volume, geometry, model, recipe=recipe, device="cpu"))
    refusing(lambda: json.dumps(report.to_dict()))
    must(found.shape == volume.shape, WRONG, f"labels of shape {found.shape}")
    allowed = {0, *(label.value for label in model.card.labels)}
    must(set(np.unique(found).tolist()) <= allowed, WRONG, f"labels {np.unique(found)} of which the card knows {allowed}")
    if not changed & _DECIDING:
        must_equal(found, steps_of(volume), f"labels after a change of {', '.join(sorted(changed))}")
    return ", ".join(sorted(changed))


def _changed(rng: np.random.Generator, raw: dict) -> tuple[object, set[str]]:
    """The value with odd entries, and the fields they are in."""
    changed = set()
    for _ in range(int(rng.integers(0, 4))):
        if isinstance(raw, dict) and raw:
            raw, path = changed_json(rng, raw)
            changed.add(str(path[0]))
    return raw, changed
