"""Two data sets to try `mednextseg adapt` on, made of five hippocampus cases that the bundled model was not trained on.

    python Testing/benchmarks/adapt_sets.py --data ../shared/data/hippocampus -o build/adapt
    mednextseg adapt --model hippocampus-mr --dataset build/adapt/inverted -o build/adapt/learned --steps 150 \
        --held-out hippocampus_087,hippocampus_149
    mednextseg adapt --model hippocampus-mr --dataset build/adapt/shifted -o build/adapt/poisoned --method head --steps 2 \
        --held-out hippocampus_087,hippocampus_149

`inverted` has its contrast turned round and its labels under other names: there is something to learn. `shifted` has all labels moved by
6 and 4 voxels: nobody should want what is learned from it.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from mednextseg.files import write_text
from mednextseg.volume_io import image_of, read_volume, write_image

# Validation cases of five patients.
CASES = tuple(f"hippocampus_{number}" for number in ("025", "087", "149", "155", "265"))
SHIFT_KJI = (0, 6, 4)


def write_set(source: Path, folder: Path, names: tuple[str, str], is_inverted: bool, shift_kji: tuple[int, int, int]) -> None:
    """The cases in nnU-Net's raw layout; `names` are those of the labels 1 and 2."""
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for case in CASES:
        volume_kji, geometry = read_volume(source / "imagesTr" / f"{case}_0000.nii.gz")
        labels_kji, _ = read_volume(source / "labelsTr" / f"{case}.nii.gz")
        volume_kji = volume_kji.astype(np.float32)
        if is_inverted:
            volume_kji = volume_kji.max() - volume_kji
        moved_kji = np.roll(labels_kji, shift_kji, axis=(0, 1, 2)).astype(np.uint8)
        write_image(image_of(volume_kji, geometry), folder / "imagesTr" / f"{case}_0000.nii.gz")
        write_image(image_of(moved_kji, geometry), folder / "labelsTr" / f"{case}.nii.gz")
    table = {"channel_names": {"0": "MR"}, "labels": {"background": 0, names[0]: 1, names[1]: 2}, "file_ending": ".nii.gz"}
    write_text(folder / "dataset.json", json.dumps(table, indent=1) + "\n")


def main() -> None:
    """Write both sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="the hippocampus data set, with imagesTr and labelsTr")
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    write_set(options.data, options.output / "inverted", ("hippocampus_head", "hippocampus_tail"), True, (0, 0, 0))
    write_set(options.data, options.output / "shifted", ("Anterior hippocampus", "Posterior hippocampus"), False, SHIFT_KJI)


if __name__ == "__main__":
    main()
