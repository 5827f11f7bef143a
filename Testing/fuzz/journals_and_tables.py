"""Damaged journals, tables of segments and label tables: what they say is done, or they are refused; other segments never change."""

import contextlib
import json
from pathlib import Path

import numpy as np

from fuzz.inputs import ODD_VALUES, changed_json, json_text
from fuzz.outcomes import TRACEBACK, WRONG, Refusal, must, must_equal, refusing, run_command

_SHAPE = (8, 18, 20)
_NAMES = ("ball", "corner")
# Numbers that a journal may hold although nothing can come of them are left to the kinds of their own tests.
_NO_MATTER = {"segment", "prompter"}


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """One journal, .seg.nrrd or label table."""
    return (_journal, _table_of_segments, _label_table)[int(rng.integers(3))](rng, folder)


def _case(folder: Path) -> tuple[np.ndarray, object]:
    """Files of a volume and a segmentation of two segments; the labelmap and its grid."""
    from tiny_models import ball

    from mednextseg.geometry import Geometry
    from mednextseg.labels.label import Label
    from mednextseg.segmentation_io import write_segmentation
    from mednextseg.volume_io import image_of, write_image

    geometry = Geometry(_SHAPE, np.diag([-1.0, -1.25, 2.0, 1.0]))
    truth = ball(_SHAPE, (4, 9, 10), (3, 6, 7))
    volume = (100 + 80 * truth + np.random.default_rng(0).normal(0, 4, _SHAPE)).astype(np.float32)
    labelmap = truth.astype(np.uint8)
    labelmap[4, :, 10:] = 0
    labelmap[:2, :4, :4] = 2
    write_image(image_of(volume, geometry), folder / "image.nrrd")
    labels = [Label(value, name, (200, 90, 70 * value)) for value, name in enumerate(_NAMES, 1)]
    write_segmentation(folder / "before.seg.nrrd", labelmap, geometry, labels)
    return labelmap, geometry


def _journal(rng: np.random.Generator, folder: Path) -> str:
    from mednextseg.layered_segmentation import read_layered
    from mednextseg.refine import load_prompter
    from mednextseg.refine.refinement import Refinement
    from mednextseg.refine.slices.slice_plane import plane_through
    from mednextseg.volume_io import read_volume

    labelmap, geometry = _case(folder)
    volume, _ = read_volume(folder / "image.nrrd")
    refinement = Refinement(volume, geometry, load_prompter("random_walker"), labelmap == 1, geometry)
    click = geometry.ras_from_ijk(np.array([14.0, 9.0, 4.0]))
    plane = plane_through(geometry, click, (0, -1, 0), (-1, 0, 0))
    refinement.add_point(click, True, plane)
    corners = geometry.ras_from_ijk(np.array([[4.0, 4.0, 4.0], [16.0, 14.0, 4.0]]))
    refinement.add_box(corners, plane)
    refinement.add_point(geometry.ras_from_ijk(np.array([2.0, 2.0, 4.0])), False, plane)
    for action in rng.choice(["undo", "redo", "accept", "propagate", "none"], 2):
        with contextlib.suppress(ValueError):  # nothing is left to accept or to carry on after the action before
            if action == "propagate":
                refinement.propagate(2, 2)
            elif action != "none":
                getattr(refinement, action)()
    raw = json.loads(refinement.journal.to_json())
    raw, path = changed_json(rng, raw) if rng.random() < 0.9 else (raw, ())
    (folder / "journal.json").write_bytes(json_text(rng, raw) if path else json.dumps(raw).encode())
    files = [folder / "image.nrrd", folder / "before.seg.nrrd", "--journal", folder / "journal.json"]
    try:
        run_command("refine", *files, "--segment", "ball", "-o", folder / "after.seg.nrrd")
    except Refusal as refusal:
        must(path, WRONG, f"a whole journal is refused: {refusal}")
        must(not (folder / "after.seg.nrrd").exists(), WRONG, "refused, and written all the same")
        raise
    after = read_layered(folder / "after.seg.nrrd")
    must([s.label.name for s in after.segments] == list(_NAMES), WRONG, "other segments")
    must_equal(after.mask_kji(1), labelmap == 2, "the segment beside the refined one")
    if not path or path[0] in _NO_MATTER:
        must_equal(after.mask_kji(0), refinement.preview_segment(), "the refined segment")
    return "journal"


def _table_of_segments(rng: np.random.Generator, folder: Path) -> str:
    """An entry of the table in a .seg.nrrd made odd."""
    import SimpleITK as sitk

    from mednextseg.segmentation_io import read_segmentation

    labelmap, _ = _case(folder)
    image = sitk.ReadImage(str(folder / "before.seg.nrrd"))
    keys = [key for key in image.GetMetaDataKeys() if key.startswith("Segment")]
    key = keys[int(rng.integers(len(keys)))]
    texts = [str(value) for value in ODD_VALUES if value != ""] + [
        "1 2",
        "0.5 0.5",
        "-1",
        "1e9",
        "\u0661",
        "Segment_2",
        "2",
        "ball",
    ]
    text = texts[int(rng.integers(len(texts)))].replace("\n", " ")
    if rng.random() < 0.2:
        image.EraseMetaData(key)
    else:
        image.SetMetaData(str(rng.choice([key, key.replace("0", "7"), key.replace("1", "0")])), text)
    sitk.WriteImage(image, str(folder / "odd.seg.nrrd"))
    found = refusing(lambda: read_segmentation(folder / "odd.seg.nrrd"))
    known = {label.value: label.name for label in found.labels}
    if "LabelValue" not in key and "Layer" not in key and "Name" not in key and "ID" not in key:
        for value, name in enumerate(_NAMES, start=1):
            mine = [number for number, other in known.items() if other == name]
            must(len(mine) == 1, WRONG, f"{key} = {text!r}: the segment {name} is there {len(mine)} times")
            must_equal(found.labelmap_kji == mine[0], labelmap == value, f"{key} = {text!r}: {name}")
    return "table of segments"


def _label_table(rng: np.random.Generator, folder: Path) -> str:
    """The --labels file of an evaluation made odd: Dice by name as numpy has it, or a refusal."""
    from mednextseg.evaluate.folders import evaluate_files, match_cases
    from mednextseg.evaluate.measure_options import MeasureOptions
    from mednextseg.volume_io import image_of, write_image

    labelmap, geometry = _case(folder)
    other = np.where(rng.random(_SHAPE) < 0.2, rng.integers(0, 3, _SHAPE), labelmap).astype(np.uint8)
    write_image(image_of(labelmap, geometry), folder / "reference.nii.gz")
    write_image(image_of(other, geometry), folder / "prediction.nii.gz")
    raw = {
        "labels": {"background": 0, "ball": 1, "corner": [2]},
        "pairs": {"sphere": "ball"},
        "tolerances_mm": {"ball": 1.5},
        "axial_range": ["corner"],
        "unions": [],
        "numTraining": 3,
    }
    raw, path = changed_json(rng, raw)
    (folder / "labels.json").write_bytes(json_text(rng, raw))
    options = refusing(lambda: MeasureOptions.from_text(str(folder / "labels.json")))
    cases, evaluation = match_cases(folder / "reference.nii.gz", folder / "prediction.nii.gz")
    refusing(lambda: evaluate_files(cases, evaluation, options, folder / "results"))
    if evaluation.failed:
        raise Refusal(next(iter(evaluation.failed.values())))
    must(len(evaluation.results) == 1, TRACEBACK, "neither measured nor failed")
    if path[0] == "numTraining":
        for value, name in enumerate(_NAMES, start=1):
            a, b = labelmap == value, other == value
            dice = 2 * (a & b).sum() / (a.sum() + b.sum())
            found = evaluation.results[0].labels[name]["dice"]
            must(name == "corner" or abs(found - dice) < 1e-9, WRONG, f"Dice {found} of {name} instead of {dice}")
    return "label table"
