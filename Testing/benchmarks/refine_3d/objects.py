"""Objects in three dimensions that the bundled click network never learned from: image, truth, and the slices a user would look at."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mednextseg.cases.splits import read_split
from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_plane import SlicePlane, voxel_plane
from mednextseg.volume_io import read_volume

_CT_HU = (-160.0, 240.0)  # soft tissue, as users display it
HEAD_NECK = {
    "brain stem": 1,
    "spinal cord": 2,
    "right parotid gland": 3,
    "left parotid gland": 4,
    "esophagus": 5,
    "larynx": 6,
    "mandible": 7,
}
_BRAIN = {"right hippocampus": 47, "left thalamus": 60, "right caudate": 36, "left putamen": 58, "left lateral ventricle": 52}
_CARDIAC = ("patient001_frame01", "patient004_frame01", "patient007_frame01", "patient009_frame01")
_VENTRICLES = {"left ventricle": 3, "right ventricle": 1}
_SINGLE = (  # folder, image, labels, name, displayed range
    ("msd_spleen2_crop", "sub-spleen2_ct.nii.gz", "sub-spleen2_ct_seg-manual.nii.gz", "spleen", _CT_HU),
    ("prostatex_0000", "Prostatex_0000.nii.gz", "Prostatex_0000_lab.nii.gz", "prostate", None),
    ("spinal_cord_unf01", "sub-unf01_T2w.nii.gz", "sub-unf01_T2w_seg-manual.nii.gz", "spinal cord", None),
    ("pyradiomics", "brain1_image.nrrd", "brain1_label.nrrd", "brain tumor 1", None),
    ("pyradiomics", "brain2_image.nrrd", "brain2_label.nrrd", "brain tumor 2", None),
    ("pyradiomics", "breast1_image.nrrd", "breast1_label.nrrd", "breast tumor", None),
)


@dataclass(frozen=True, eq=False)
class LabeledObject:
    """One object of one case.

    Attributes:
        dataset, case, name: which.
        volume_kji, geometry: the image.
        truth_kji: bool, on the same grid.
        display_range: intensities shown black and white; None for the percentiles of each slice.
    """

    dataset: str
    case: str
    name: str
    volume_kji: np.ndarray
    geometry: Geometry
    truth_kji: np.ndarray
    display_range: tuple[float, float] | None = None

    @property
    def axis_kji(self) -> int:
        """Along which slices lie behind one another: the most axial, as most users look."""
        return int(np.argmax(np.abs(self.geometry.directions_ras[2, ::-1])))

    def plane(self, index: int) -> SlicePlane:
        """Of one slice."""
        return voxel_plane(self.geometry, self.axis_kji, index)

    def on_slice(self, mask_kji: np.ndarray, index: int) -> np.ndarray:
        """What a mask has there."""
        return mask_kji.take(index, self.axis_kji)

    def pixels_by_slice(self, mask_kji: np.ndarray) -> np.ndarray:
        """How many voxels each slice has of a mask."""
        return mask_kji.sum(axis=tuple(axis for axis in range(3) if axis != self.axis_kji))


def objects(data: Path, most: int) -> Iterator[LabeledObject]:
    """At most so many of each set; of sets with a split those of the validation list."""
    yield from _hippocampi(data / "hippocampus", most)
    yield from _head_neck(data / "openkbp_headneck", most)
    yield from _brains(data / "ixi_brain", most)
    yield from _hearts(data, most)
    for folder, image, labels, name, display_range in _SINGLE[:most]:
        volume_kji, geometry = read_volume(data / "mini3d" / folder / image)
        truth_kji, _ = read_volume(data / "mini3d" / folder / labels)
        yield LabeledObject("mini3d", folder, name, volume_kji, geometry, truth_kji > 0, display_range)


def hippocampi_by_label(folder: Path, most: int) -> Iterator[list[LabeledObject]]:
    """Of cases of the validation list the anterior and the posterior part, which are labels of their own."""
    for case in _spread(read_split(folder / "splits_final.json").validation, most):
        volume_kji, geometry = read_volume(folder / "imagesTr" / f"{case}_0000.nii.gz")
        truth_kji, _ = read_volume(folder / "labelsTr" / f"{case}.nii.gz")
        names = {1: "anterior hippocampus", 2: "posterior hippocampus"}
        yield [LabeledObject("hippocampus", case, names[value], volume_kji, geometry, truth_kji == value) for value in (1, 2)]


def _hippocampi(folder: Path, most: int) -> Iterator[LabeledObject]:
    for case in _spread(read_split(folder / "splits_final.json").validation, most):
        volume_kji, geometry = read_volume(folder / "imagesTr" / f"{case}_0000.nii.gz")
        truth_kji, _ = read_volume(folder / "labelsTr" / f"{case}.nii.gz")
        yield LabeledObject("hippocampus", case, "hippocampus", volume_kji, geometry, truth_kji > 0)


def _head_neck(folder: Path, most: int) -> Iterator[LabeledObject]:
    table = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
    drawn = {"RightParotid": "right parotid gland", "LeftParotid": "left parotid gland"}
    names = ["right parotid gland", "left parotid gland", "mandible", "brain stem", "larynx", "spinal cord", "esophagus"]
    cases = _spread(read_split(folder / "split.json").validation, most)
    for case, name in zip(cases, names * most, strict=False):
        label = next((key for key, value in drawn.items() if value == name), name.title().replace(" ", ""))
        label = "Brainstem" if name == "brain stem" else label
        if label in table[case]["structures"] and label not in table[case].get("suspect", ()):
            yield _labeled(folder, "OpenKBP", case, name, HEAD_NECK[name], _CT_HU)


def _brains(folder: Path, most: int) -> Iterator[LabeledObject]:
    cases = read_split(folder / "split.json").validation
    for number, (name, value) in enumerate([*_BRAIN.items()] * most):
        if number < most:
            yield _labeled(folder, "IXI", cases[number % len(cases)], name, value, None)


def _hearts(data: Path, most: int) -> Iterator[LabeledObject]:
    """Nobody trained on these."""
    atria = [path.name.removesuffix(".nii.gz") for path in sorted((data / "la2018" / "labels").glob("*.nii.gz"))[:most]]
    for dataset, cases, objects_ in (("la2018", atria, {"left atrium": 1}), ("acdc", _CARDIAC, _VENTRICLES)):
        for number, case in enumerate(cases[:most]):
            name, value = list(objects_.items())[number % len(objects_)]
            yield _labeled(data / dataset, dataset, case, name, value, None)


def _labeled(folder: Path, dataset: str, case: str, name: str, value: int, display_range) -> LabeledObject:
    volume_kji, geometry = read_volume(folder / "images" / f"{case}_0000.nii.gz")
    labels_kji, _ = read_volume(folder / "labels" / f"{case}.nii.gz")
    return LabeledObject(dataset, case, name, volume_kji, geometry, labels_kji == value, display_range)


def _spread(names: tuple[str, ...], most: int) -> list[str]:
    """So many of a list, evenly spaced."""
    return [names[number * len(names) // most] for number in range(most)] if most < len(names) else list(names)
