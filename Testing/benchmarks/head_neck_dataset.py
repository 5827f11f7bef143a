"""OpenKBP's head-and-neck cases as a data set for `mednextseg train`: one grid spacing, and what was contoured in which case.

    python Testing/benchmarks/head_neck_dataset.py --data ../shared/data/openkbp_headneck -o build/head_neck
    mednextseg train --dataset build/head_neck --recipe docs/developers/recipes/head_neck_ct.json -o build/head_neck_run

A structure that cases.json does not list for a case was not contoured; it is not absent. One that it calls suspect (a volume below a third
or above three times the median) is left out as well. Cases are cut to the patient, because nine voxels of ten are the air around, and are
written without compression: all 132 are read in seconds.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from mednextseg.files import replacing
from mednextseg.segment.prepare.resampling import anatomical_grid, resample_affine
from mednextseg.volume_io import image_of, read_volume, write_image

# What a user reads; the data writes the words together.
NAMES = {
    "Brainstem": "brain stem",
    "SpinalCord": "spinal cord",
    "RightParotid": "right parotid gland",
    "LeftParotid": "left parotid gland",
    "Esophagus": "esophagus",
    "Larynx": "larynx",
    "Mandible": "mandible",
}
ORIENTATION = "RAS"
SPACING_MM = 3.0
ENDING = ".nii"
# The data has this value everywhere outside the body.
AIR_HU = -1000
# So much air stays around the body, that a network knows it.
MARGIN_MM = 24.0


def presence_of(entry: dict) -> list[str]:
    """Names of the structures of a case that may be learned from and scored."""
    return [NAMES[name] for name in entry["structures"] if name not in entry.get("suspect", [])]


def write_case(source: Path, name: str, folder: Path) -> None:
    """Image and labels of a case on cubes of SPACING_MM around the patient, in nnU-Net's raw layout."""
    image, geometry = read_volume(source / "images" / f"{name}_0000.nii.gz")
    labels, _ = read_volume(source / "labels" / f"{name}.nii.gz")
    grid = anatomical_grid(geometry, ORIENTATION, (SPACING_MM,) * 3)
    grid = grid.cropped(*body_box(resample_affine(image, geometry, grid, order=0)))
    resampled = resample_affine(image, geometry, grid, order=1).round().astype(np.int16)
    write_image(image_of(resampled, grid), folder / "imagesTr" / f"{name}_0000{ENDING}")
    nearest = resample_affine(labels, geometry, grid, order=0).astype(np.uint8)
    write_image(image_of(nearest, grid), folder / "labelsTr" / f"{name}{ENDING}")


def body_box(image_kji: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-open index box of the body with MARGIN_MM around it, within the image."""
    inside_kji = np.argwhere(image_kji > AIR_HU)
    margin = round(MARGIN_MM / SPACING_MM)
    return np.maximum(inside_kji.min(axis=0) - margin, 0), np.minimum(inside_kji.max(axis=0) + 1 + margin, image_kji.shape)


def write_json(value: object, path: Path) -> None:
    """Whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Write the folder; cases that are there already are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder with images, labels, cases.json and split.json")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--most", type=int, help="this many cases of each part of the split, for a trial")
    options = parser.parse_args()
    table = json.loads((options.data / "cases.json").read_text(encoding="utf-8"))
    split = json.loads((options.data / "split.json").read_text(encoding="utf-8"))
    split = {part: sorted(split[part])[: options.most] for part in ("train", "val")}
    names = [*split["train"], *split["val"]]
    for kind in ("imagesTr", "labelsTr"):
        (options.output / kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (options.output / "labelsTr" / f"{name}{ENDING}").is_file():
            write_case(options.data, name, options.output)
    write_json([split], options.output / "splits_final.json")
    dataset = {
        "name": "OpenKBP head and neck",
        "channel_names": {"0": "CT"},
        "file_ending": ENDING,
        "labels": {"background": 0, **{NAMES[label]: int(value) for value, label in table["labels"].items()}},
        "label_presence": {name: presence_of(table["cases"][name]) for name in names},
    }
    write_json(dataset, options.output / "dataset.json")
    print(f"{len(names)} cases in {options.output}")


if __name__ == "__main__":
    main()
