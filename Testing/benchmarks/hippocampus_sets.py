"""Hippocampi of three origins, each with its own numbers for them: what the models-by-data-sets table is measured on.

- MSD: crops of patients' T1 images, labels of experts (anterior, posterior). Read where they are.
- MNI152: the ICBM average head of 152 people, CoBrALab's labels of subfields; cut to one box for each side.
- Heads: FreeSurfer label maps of single people (SynthSeg's training maps), on which an image in the manner of T1 is painted here. The
  anatomy is real, the intensities are not.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from mednextseg.geometry import Geometry, axis_map
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.volume_io import image_of, read_volume, write_image

# CoBrALab's subfields, left and right, without fimbria and fornix.
MNI_HIPPOCAMPUS = (*range(7, 13), 88, 89, 90, 91, 92, 96)
FREESURFER_HIPPOCAMPUS = (17, 53)
TRAINING_HEADS, VALIDATION_HEADS = range(1, 14), range(14, 15)
TEST_HEADS = range(15, 21)
# In MNI space (RAS mm), about the size of MSD's crops.
_MNI_BOXES = {"right": (8, 44, -48, 2, -34, 8), "left": (-44, -8, -48, 2, -34, 8)}
_BOX_KJI, _JITTER_VOXELS = (42, 54, 38), 4

# Brightness of FreeSurfer's labels in T1, left and right alike; white matter is 1.
_WHITE_MATTER = dict.fromkeys((2, 41, 7, 46, 16, 28, 60, 85, 77, 78, 79, 251, 252, 253, 254, 255), 1.0)
_GRAY_MATTER = dict.fromkeys((3, 42, 8, 47, 17, 53, 18, 54, 26, 58, 11, 50), 0.66)
_DEEP_GRAY = {**dict.fromkeys((10, 49), 0.82), **dict.fromkeys((12, 51), 0.75), **dict.fromkeys((13, 52), 0.9)}
_FLUID = dict.fromkeys((4, 43, 5, 44, 14, 15, 24, 72, 31, 63), 0.22)
_BRIGHTNESS = {**_WHITE_MATTER, **_GRAY_MATTER, **_DEEP_GRAY, **_FLUID}
_ELSEWHERE = 0.4


def cut_mni152(data: Path, folder: Path) -> None:
    """Write both hippocampi of the MNI152 head into folder/images and folder/references."""
    source = data / "mini3d" / "mni152_09a_sym"
    volume_kji, geometry = read_volume(source / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    labels_kji, _ = read_volume(source / "mni_icbm152_t1_tal_nlin_sym_09a_labels.nii.gz")
    for side, bounds_mm in _MNI_BOXES.items():
        start, stop = RegionOfInterest(bounds_mm).index_bounds(geometry)
        _write(folder / "images" / f"{side}_0000.nii.gz", volume_kji, geometry, start, stop)
        _write(folder / "references" / f"{side}.nii.gz", labels_kji, geometry, start, stop)


def paint_heads(data: Path, folder: Path, heads: Sequence[int]) -> list[str]:
    """Write both hippocampi of each head into folder/images and folder/references (FreeSurfer's numbers); returns the cases."""
    names = []
    for head in heads:
        labels_kji, geometry = read_volume(data / "synthseg_labels" / f"training_seg_{head:02d}.nii.gz")
        turn = axis_map(geometry.orientation, "RAS")
        labels_kji, geometry = turn.apply(labels_kji).astype(np.int16), turn.apply_geometry(geometry)
        for value in FREESURFER_HIPPOCAMPUS:
            random = np.random.default_rng((head, value))
            center = np.argwhere(labels_kji == value).mean(axis=0) + random.integers(-_JITTER_VOXELS, _JITTER_VOXELS + 1, 3)
            start = np.round(center - np.array(_BOX_KJI) / 2).astype(int)
            part_kji, place = _cut(labels_kji, geometry, start, start + _BOX_KJI)
            name = f"head{head:02d}_{'left' if value == FREESURFER_HIPPOCAMPUS[0] else 'right'}"
            _write_whole(folder / "images" / f"{name}_0000.nii.gz", painted(part_kji, random), place)
            _write_whole(folder / "references" / f"{name}.nii.gz", part_kji, place)
            names.append(name)
    return names


def painted(labels_kji: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """float32 image in the manner of T1: a brightness for each label, partial volumes, a bias field, noise."""
    brightness = np.full(int(labels_kji.max()) + 1, _ELSEWHERE)
    for value, mean in _BRIGHTNESS.items():
        if value < len(brightness):
            brightness[value] = mean
    brightness += random.normal(0, 0.03, len(brightness))
    image_kji = gaussian_filter(brightness[labels_kji], random.uniform(0.5, 0.8))
    bias_kji = gaussian_filter(random.normal(size=labels_kji.shape), 12)
    image_kji *= 1 + 0.1 * bias_kji / np.abs(bias_kji).max()
    return (image_kji + random.normal(0, 0.04, labels_kji.shape)).astype(np.float32)


def training_folder_of_heads(data: Path, folder: Path, training: Sequence[int], validation: Sequence[int]) -> None:
    """The heads in nnU-Net's raw layout, for `mednextseg train`: one label, "hippocampus"."""
    train, val = (paint_heads(data, folder, heads) for heads in (training, validation))
    (folder / "images").rename(folder / "imagesTr")
    for name in (*train, *val):
        labels_kji, geometry = read_volume(folder / "references" / f"{name}.nii.gz")
        _write_whole(folder / "labelsTr" / f"{name}.nii.gz", np.isin(labels_kji, FREESURFER_HIPPOCAMPUS), geometry)
    _write_tables(folder, {"background": 0, "hippocampus": 1}, train, val)


def training_folder_of_msd(data: Path, folder: Path, training: Sequence[str], validation: Sequence[str]) -> None:
    """Some of MSD's training cases in a folder of their own, for `mednextseg train`; the files are linked, not copied."""
    source = data / "hippocampus"
    folder.mkdir(parents=True)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).symlink_to((source / name).resolve())
    labels = {"background": 0, "anterior hippocampus": 1, "posterior hippocampus": 2}
    _write_tables(folder, labels, training, validation)


def _write_tables(folder: Path, labels: dict[str, int], training: Sequence[str], validation: Sequence[str]) -> None:
    table = {"name": folder.name, "channel_names": {"0": "T1"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(table), encoding="utf-8")
    splits = [{"train": list(training), "val": list(validation)}]
    (folder / "splits_final.json").write_text(json.dumps(splits), encoding="utf-8")


def _cut(array_kji: np.ndarray, geometry: Geometry, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, Geometry]:
    return array_kji[tuple(map(slice, start, stop))], geometry.cropped(start, stop)


def _write(path: Path, array_kji: np.ndarray, geometry: Geometry, start: np.ndarray, stop: np.ndarray) -> None:
    _write_whole(path, *_cut(array_kji, geometry, start, stop))


def _write_whole(path: Path, array_kji: np.ndarray, geometry: Geometry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array_kji = array_kji.astype(np.uint8) if array_kji.dtype == bool else array_kji
    write_image(image_of(np.ascontiguousarray(array_kji), geometry), path)
