"""Random grids through segment -> write -> read -> evaluate: every voxel, its place, and the Dice are known."""

import json
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from fuzz.inputs import LABELS, random_matrix, random_shape, step_package, step_volume, steps_of, write_nifti
from fuzz.outcomes import WRONG, must, must_equal, run_command
from fuzz.text_headers import mha_bytes, nrrd_bytes

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PLACE_MM = 0.02
_MOST_OBLIQUE_DEG = 14.9


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """A whole volume of any grid, a model that works in any orientation at its spacing, any output."""
    dtype = str(rng.choice(["uint8", "int16", "uint16", "int32", "float32"]))
    volume, matrix = step_volume(rng, random_shape(rng, 2, 14), dtype), random_matrix(rng)
    image = _written(rng, folder, volume, matrix)
    model = _model(rng, folder, matrix)
    output = folder / f"labels{rng.choice(['.seg.nrrd', '.nii', '.nii.gz', '.nrrd', '.mha'])}"
    arguments, wanted = ["segment", image, "-o", output, "--model", model, "--device", "cpu"], steps_of(volume)
    if rng.random() < 0.3:
        box, inside = _region(rng, volume.shape, matrix)
        arguments.append(f"--roi={box}")
        wanted = wanted * inside
    if rng.random() < 0.3:
        kept = int(rng.integers(1, 3))
        arguments += ["--labels", LABELS[kept - 1]]
        wanted = np.where(wanted == kept, wanted, 0)
    if rng.random() < 0.3:
        arguments.append("--tta")
    run_command(*arguments)
    must(sorted(f.name for f in folder.iterdir() if f.name.startswith((".", "labels"))) == [output.name], WRONG, "other files")
    labels, place = _read(output)
    must_equal(labels, wanted, f"{image.suffix} to {output.name}")
    away = np.abs(place - matrix).max()
    must(away <= _PLACE_MM, WRONG, f"{image.suffix} to {output.name}: the place is {away:.3g} mm off")
    _evaluate(rng, folder, output, wanted, matrix)
    return output.name


def _written(rng: np.random.Generator, folder: Path, volume: np.ndarray, matrix: np.ndarray) -> Path:
    suffix = str(rng.choice([".nii", ".nii.gz", ".nrrd", ".mha"]))
    path = folder / f"image{suffix}"
    if suffix.startswith(".nii"):
        return write_nifti(path, volume, matrix)
    writer = nrrd_bytes if suffix == ".nrrd" else mha_bytes
    path.write_bytes(writer(volume, matrix, bool(rng.integers(2)))[0])
    return path


def _model(rng: np.random.Generator, folder: Path, matrix: np.ndarray) -> Path:
    """At the volume's own spacing, turned as the model wants its axes, so that nothing is resampled."""
    spacing_ijk = np.linalg.norm(matrix[:3, :3], axis=0)
    # Volumes that are turned farther than this are resampled onto the model's axes.
    axes = np.abs(nibabel.orientations.inv_ornt_aff(nibabel.io_orientation(matrix), (1, 1, 1))[:3, :3])
    cosines = np.abs(matrix[:3, :3] / spacing_ijk)[axes.T > 0.5]
    is_resampled = np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))) > _MOST_OBLIQUE_DEG
    orientation = None if is_resampled or rng.random() < 0.2 else "".join(nibabel.aff2axcodes(random_matrix(rng)))
    order = rng.permutation(3)  # the volume's axis that becomes axis n of the model
    if orientation is not None:
        wanted = nibabel.orientations.axcodes2ornt(orientation)
        order = nibabel.orientations.ornt_transform(wanted, nibabel.io_orientation(matrix))[:, 0].astype(int)
    spacing = spacing_ijk[order]
    fields = {
        "orientation": orientation,
        "axis_order_kji": (2 - order[::-1]).tolist(),
        "spacing_kji_mm": spacing[::-1].tolist(),
        "overlap": float(rng.choice([0.0, 0.5])),
    }
    fields["mirror_axes_kji"] = [int(axis) for axis in range(3) if rng.integers(2)]
    fields["average"] = str(rng.choice(["logits", "probabilities"]))
    fields["crop_to_nonzero"] = bool(rng.integers(2))
    return step_package(folder / "model", **fields)


def _region(rng: np.random.Generator, shape_kji: tuple[int, ...], matrix: np.ndarray) -> tuple[str, np.ndarray]:
    """A box in RAS that holds at least one voxel, as text; and which voxels it holds."""
    k, j, i = np.meshgrid(*map(np.arange, shape_kji), indexing="ij")
    places = np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    center = places[tuple(int(rng.integers(n)) for n in shape_kji)]
    reach = rng.uniform(0.3, 15, (2, 3))
    low, high = (center - reach[0]).round(3), (center + reach[1]).round(3)
    # Far from the faces: the rounding of headers must not decide.
    for axis in range(3):
        for side in (low, high):
            while np.abs(places[..., axis] - side[axis]).min() < 5e-3:
                side[axis] += 7e-3 if side is high else -7e-3
    inside = ((places > low) & (places < high)).all(-1)
    return ",".join(f"{x:.4f}" for pair in zip(low, high, strict=True) for x in pair), inside


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = sitk.ReadImage(str(path))
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), _LPS @ lps


def _evaluate(rng: np.random.Generator, folder: Path, prediction: Path, labels: np.ndarray, matrix: np.ndarray) -> None:
    """Against a reference that differs in some voxels."""
    reference = np.where(rng.random(labels.shape) < 0.1, rng.integers(0, 3, labels.shape), labels).astype(np.uint8)
    write_nifti(folder / "reference.nii.gz", reference, matrix)
    (folder / "table.json").write_text(json.dumps({"labels": {name: value for value, name in enumerate(LABELS, 1)}}))
    files = ["--reference", folder / "reference.nii.gz", "--prediction", prediction, "--labels", folder / "table.json"]
    found = _measured(rng, files, folder / "results")
    for value, name in enumerate(LABELS, start=1):
        a, b = reference == value, labels == value
        if not a.any() and not b.any():
            continue
        if name not in found:  # a label that one side lacks altogether may be listed apart
            must(not (a.any() and b.any()), WRONG, f"{name} is not in the summary")
            continue
        dice = 2 * (a & b).sum() / (a.sum() + b.sum())
        must(abs(found[name] - dice) < 1e-9, WRONG, f"Dice {found[name]} instead of {dice}")


def _measured(rng: np.random.Generator, files: list, results: Path) -> dict[str, float]:
    """Dice by label; now and then by the command, whose report with its figures takes a hundred times as long."""
    from mednextseg.evaluate.folders import evaluate_files, match_cases
    from mednextseg.evaluate.measure_options import MeasureOptions

    if rng.random() < 0.005:
        run_command("evaluate", *files, "-o", results)
        summary = json.loads((results / "evaluation.json").read_text())["summary"]
        return {name: row["dice"]["mean"] for name, row in summary.items()}
    cases, evaluation = match_cases(files[1], files[3])
    evaluate_files(cases, evaluation, MeasureOptions.from_json(files[5]), results)
    must(not evaluation.failed, WRONG, f"a whole case fails: {evaluation.failed}")
    return {name: metrics["dice"] for name, metrics in evaluation.results[0].labels.items()}
