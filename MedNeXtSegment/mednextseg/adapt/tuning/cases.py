"""The user's cases: image and segmentation of each, from a folder, under the names that the labels have there."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mednextseg.cases.channels import read_channels
from mednextseg.cases.folders import CASE_ERRORS, case_files, case_name, image_files, suffix_of
from mednextseg.cases.splits import read_split
from mednextseg.errors import sentence_of
from mednextseg.geometry import Geometry
from mednextseg.json_values import listed, read_json_object
from mednextseg.labels.label import Label
from mednextseg.models.importers.nnunet_dataset import label_values
from mednextseg.segmentation_io import Segmentation, has_table, merged, read_layered

_IMAGES, _LABELS, _TABLE, _SPLIT = "imagesTr", "labelsTr", "dataset.json", "splits_final.json"
_COLOR = (230, 90, 70)


@dataclass(frozen=True)
class LabeledVolume:
    """One case in memory.

    Attributes:
        volume: (K, J, I), or (channels, K, J, I) in the base's channel order.
        segmentation: what was drawn; its labels list every structure that was looked for, found or not.
    """

    volume: np.ndarray
    geometry: Geometry
    segmentation: Segmentation

    def digest(self) -> str:
        """Of voxels and labels, to tell copies and changes."""
        parts = (self.volume, self.segmentation.labelmap_kji)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(np.ascontiguousarray(part).tobytes())
        digest.update(repr([(label.value, label.name) for label in self.segmentation.labels]).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class OwnCase:
    """A case to learn from: its name, and what reads it when it is needed.

    Attributes:
        source: where it lies, for sentences.
    """

    name: str
    read: Callable[[], LabeledVolume]
    source: str = ""

    def opened(self) -> LabeledVolume:
        """The case; every error names it in one sentence."""
        try:
            return self.read()
        except CASE_ERRORS as error:
            raise ValueError(f"the case {listed([self.name])} cannot be used: {sentence_of(error)}") from error


@dataclass(frozen=True)
class CaseFolder:
    """Cases of a folder, and those that its split keeps for the figures; None without a split."""

    cases: tuple[OwnCase, ...]
    held_out: tuple[str, ...] | None = None


def cases_in_folder(folder: str | Path, channels: int) -> CaseFolder:
    """Find labeled cases; no image is read.

    Either nnU-Net's layout, imagesTr beside labelsTr (files of one case have the same name; channels end in _0000, ...), or images and
    segmentations side by side (CASE.nii.gz, CASE.seg.nrrd). Names of labels come from .seg.nrrd and DICOM files themselves, those of
    plain labelmaps from dataset.json. splits_final.json, where there is one, says which cases are kept for the figures.

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: in one sentence, for a folder without cases, images without labels, and labels without names.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give one with {_IMAGES} and {_LABELS}.")
    is_nnunet = (folder / _IMAGES).is_dir() and (folder / _LABELS).is_dir()
    images = image_files(folder / _IMAGES if is_nnunet else folder, channels)
    labels = case_files(folder / _LABELS) if is_nnunet else _segmentations(folder)
    both = [name for name in images if name in labels]
    if not both:
        raise ValueError(
            f"{folder} has no case with an image and a segmentation of the same name; put images into {_IMAGES} and segmentations "
            f"into {_LABELS}, or both side by side as CASE.nii.gz and CASE.seg.nrrd."
        )
    names = _table(folder / _TABLE)
    if nameless := [labels[name].name for name in both if names is None and suffix_of(labels[name].name) not in _NAMING]:
        raise ValueError(
            f"the labels of {listed(nameless[:3])} have no names; add a {_TABLE} with labels, or save segmentations as .seg.nrrd."
        )
    cases = tuple(OwnCase(name, partial(_read, images[name], labels[name], names), str(labels[name])) for name in both)
    return CaseFolder(cases, _held_out(folder / _SPLIT, both))


_NAMING = (".seg.nrrd", ".dcm")


def _segmentations(folder: Path) -> dict[str, Path]:
    return {case_name(file): file for file in sorted(folder.iterdir()) if suffix_of(file.name) in _NAMING}


def _table(file: Path) -> dict[int, str] | None:
    if not file.is_file():
        return None
    pairs, is_regions = label_values(read_json_object(file))
    if is_regions:
        raise ValueError(f"{file} has regions that overlap; adapting needs a label of its own for each structure.")
    return dict(pairs)


def _held_out(file: Path, names: Sequence[str]) -> tuple[str, ...] | None:
    if not file.is_file():
        return None
    split = read_split(file)
    return tuple(name for name in split.validation if name in names)


def _read(images: Sequence[Path], labels: Path, names: Mapping[int, str] | None) -> LabeledVolume:
    volume, geometry = read_channels(images)
    layered = read_layered(labels)
    if overlap := layered.overlapping_voxels():
        raise ValueError(f"{overlap} voxels of {labels.name} belong to several segments; let no segments overlap.")
    segmentation = merged(layered)
    if has_table(labels) or names is None:
        return LabeledVolume(volume, geometry, segmentation)
    found = {label.value for label in segmentation.labels}
    if unknown := sorted(found - set(names)):
        raise ValueError(f"{labels.name} has the value {listed(unknown)}, which the labels of {_TABLE} do not name.")
    table = tuple(Label(value, name, _COLOR) for value, name in names.items())
    return LabeledVolume(volume, geometry, replace(segmentation, labels=table))
