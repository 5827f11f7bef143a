"""The data sets that `mednextseg adapt` is tried on, of cases that the bundled model was not trained on.

    python Testing/benchmarks/adapt_sets.py --data ../shared/data/hippocampus --ixi ../shared/data/ixi_brain -o build/adapt
    mednextseg adapt --model hippocampus-mr --dataset build/adapt/inverted -o build/adapt/learned --steps 150 \
        --held-out hippocampus_087,hippocampus_149
    mednextseg adapt --model hippocampus-mr --dataset build/adapt/shifted -o build/adapt/poisoned --method head --steps 2 \
        --held-out hippocampus_087,hippocampus_149

`inverted` has its contrast turned round and its labels under other names: there is something to learn. `shifted` has all labels moved by
6 and 4 voxels: nobody should want what is learned from it. `many` is as `inverted`, with 20 cases to learn from and four of other
patients held out; `unlabeled` has the volumes of those 20, and `known` has the 24 cases as they are. `noisy` and `uneven` are five of those
and the four held out, with noise or with brightness that rises from back to front: the model is nearly right on them. `ixi` is the
neighborhood of the left putamen and pallidum in other people's heads from another scanner: structures that the model does not have.
`pairs` and `ixi_pairs` have no labels: images as they are, and with their contrast turned round. adapt_figures.py measures.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mednextseg.files import write_text
from mednextseg.geometry import Geometry
from mednextseg.volume_io import image_of, read_volume, write_image

# Validation cases of five patients.
CASES = tuple(f"hippocampus_{number}" for number in ("025", "087", "149", "155", "265"))
SHIFT_KJI = (0, 6, 4)
# All validation cases but 088 and 150, the other sides of two patients that are held out.
HELD_OUT = tuple(f"hippocampus_{number}" for number in ("087", "149", "276", "340"))
LEARNED = tuple(
    f"hippocampus_{number}"
    for number in (
        *("025", "026", "099", "154", "155", "156", "184", "242", "265", "286"),
        *("295", "296", "327", "328", "329", "330", "351", "352", "367", "368"),
    )
)
NAMES = "hippocampus_head", "hippocampus_tail"
OWN_NAMES = "Anterior hippocampus", "Posterior hippocampus"
# Numbers of DLMUSE, and how far around the structures the heads are cut.
_IXI_LABELS = {"left putamen": 58, "left pallidum": 56}
_IXI_LEARNED, _IXI_MARGIN_MM = 10, 10.0
_NOISE = 0.35  # standard deviation, as a share of the range of brightness
_DARK, _BRIGHT = 0.3, 1.7  # what brightness is multiplied by, at the back and at the front
_NEARLY_RIGHT = 5


def as_it_is(volume_kji: np.ndarray) -> np.ndarray:
    """The image itself."""
    return volume_kji


def inverted(volume_kji: np.ndarray) -> np.ndarray:
    """Its contrast turned round."""
    return volume_kji.max() - volume_kji


def noisy(volume_kji: np.ndarray) -> np.ndarray:
    """With noise that is the same each time."""
    low, high = np.percentile(volume_kji, (1, 99))
    noise = np.random.default_rng(0).normal(0, _NOISE * (high - low), volume_kji.shape)
    return (volume_kji + noise).astype(np.float32)


def uneven(volume_kji: np.ndarray) -> np.ndarray:
    """Dark at the back, bright at the front, as beside a coil."""
    return volume_kji * np.linspace(_DARK, _BRIGHT, volume_kji.shape[1], dtype=np.float32)[:, None]


def write_set(
    source: Path,
    folder: Path,
    names: tuple[str, str],
    change: Callable[[np.ndarray], np.ndarray],
    shift_kji: tuple[int, int, int] = (0, 0, 0),
    cases: Sequence[str] = CASES,
    held_out: Sequence[str] = (),
) -> None:
    """Hippocampus cases in nnU-Net's raw layout, their images as `change` makes them; `names` are those of the labels 1 and 2."""
    for case in (*cases, *held_out):
        volume_kji, geometry = read_volume(source / "imagesTr" / f"{case}_0000.nii.gz")
        labels_kji, _ = read_volume(source / "labelsTr" / f"{case}.nii.gz")
        moved_kji = np.roll(labels_kji, shift_kji, axis=(0, 1, 2)).astype(np.uint8)
        _write_case(folder, case, change(volume_kji.astype(np.float32)), moved_kji, geometry)
    _write_tables(folder, names, cases, held_out)


def write_unlabeled(source: Path, folder: Path, cases: Sequence[str]) -> None:
    """The images of a set that `write_set` made, without labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        name = f"{case}_0000.nii.gz"
        (folder / name).write_bytes((source / "imagesTr" / name).read_bytes())


def write_pairs(files: Sequence[Path], folder: Path) -> None:
    """Images, and the same with their contrast turned round, as pairs without labels."""
    for kind, change in (("imagesKnown", as_it_is), ("imagesNew", inverted)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for file in files:
            volume_kji, geometry = read_volume(file)
            write_image(image_of(change(volume_kji.astype(np.float32)), geometry), folder / kind / file.name)


def write_ixi(source: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Heads cut around the left putamen and pallidum; returns the cases, and the held-out ones: validation cases but the last two."""
    split = json.loads((source / "split.json").read_text(encoding="utf-8"))
    learned, held_out = split["train"][:_IXI_LEARNED], split["val"][:4]
    for case in (*learned, *held_out):
        volume_kji, geometry = read_volume(source / "images" / f"{case}_0000.nii.gz")
        numbers_kji, _ = read_volume(source / "labels" / f"{case}.nii.gz")
        labels_kji = np.zeros(numbers_kji.shape, dtype=np.uint8)
        for value, number in enumerate(_IXI_LABELS.values(), start=1):
            labels_kji[numbers_kji == number] = value
        drawn_kji = np.argwhere(labels_kji)
        margin_kji = np.ceil(_IXI_MARGIN_MM / np.array(geometry.spacing_kji_mm)).astype(int)
        low = np.maximum(drawn_kji.min(axis=0) - margin_kji, 0)
        high = np.minimum(drawn_kji.max(axis=0) + 1 + margin_kji, labels_kji.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        _write_case(folder, case, volume_kji[box].astype(np.float32), labels_kji[box], geometry.cropped(low, high))
    _write_tables(folder, tuple(_IXI_LABELS), learned, held_out)
    return learned, held_out


def _write_case(folder: Path, case: str, volume_kji: np.ndarray, labels_kji: np.ndarray, geometry: Geometry) -> None:
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    write_image(image_of(volume_kji, geometry), folder / "imagesTr" / f"{case}_0000.nii.gz")
    write_image(image_of(labels_kji, geometry), folder / "labelsTr" / f"{case}.nii.gz")


def _write_tables(folder: Path, names: Sequence[str], cases: Sequence[str], held_out: Sequence[str]) -> None:
    labels = {"background": 0, **{name: value for value, name in enumerate(names, start=1)}}
    table = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    write_text(folder / "dataset.json", json.dumps(table, indent=1) + "\n")
    if held_out:
        split = [{"train": list(cases), "val": list(held_out)}]
        write_text(folder / "splits_final.json", json.dumps(split, indent=1) + "\n")


def main() -> None:
    """Write the sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="the hippocampus data set, with imagesTr and labelsTr")
    parser.add_argument("--ixi", type=Path, help="the IXI heads, with images and labels; without them `ixi` is left out")
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    data, output = options.data, options.output
    write_set(data, output / "inverted", NAMES, inverted)
    write_set(data, output / "shifted", OWN_NAMES, as_it_is, SHIFT_KJI)
    write_set(data, output / "many", NAMES, inverted, cases=LEARNED, held_out=HELD_OUT)
    write_set(data, output / "known", OWN_NAMES, as_it_is, cases=LEARNED, held_out=HELD_OUT)
    for change in (noisy, uneven):
        write_set(data, output / change.__name__, OWN_NAMES, change, cases=LEARNED[:_NEARLY_RIGHT], held_out=HELD_OUT)
    write_unlabeled(output / "many", output / "unlabeled", LEARNED)
    write_pairs([data / "imagesTr" / f"{case}_0000.nii.gz" for case in CASES], output / "pairs")
    if options.ixi is not None:
        learned, held_out = write_ixi(options.ixi, output / "ixi")
        cases = (*learned[:5], *held_out[:2])
        write_pairs([output / "ixi" / "imagesTr" / f"{case}_0000.nii.gz" for case in cases], output / "ixi_pairs")


if __name__ == "__main__":
    main()
