"""Pairs of images of one patient: as the base knows them, and as another scanner or sequence shows the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mednextseg.adapt.transfer.registration import rigid
from mednextseg.adapt.tuning.cases import LabeledVolume, OwnCase
from mednextseg.adapt.tuning.examples import region_of_case
from mednextseg.cases.channels import read_channels
from mednextseg.cases.folders import image_files
from mednextseg.geometry import Geometry
from mednextseg.json_values import listed
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.find_and_segment import find_and_segment
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segmentation_io import Segmentation
from mednextseg.volume_io import image_of

KNOWN, NEW = "imagesKnown", "imagesNew"


@dataclass(frozen=True)
class PairedVolume(LabeledVolume):
    """A new image, with what the base finds in the known one in place of what somebody drew.

    Attributes:
        known: (channels, K, J, I), the known image on the new one's grid.
        overlap_kji: bool (K, J, I), where it has values.
    """

    known: np.ndarray
    overlap_kji: np.ndarray


@dataclass(frozen=True)
class ImagePair:
    """Two images of one patient, read when they are needed.

    Attributes:
        read: gives the known image (channels, K, J, I) with its place, then the new one with its place.
        source: where it lies, for sentences.
    """

    name: str
    read: Callable[[], tuple[np.ndarray, Geometry, np.ndarray, Geometry]]
    source: str = ""


def pairs_in_folder(folder: str | Path, channels: int) -> list[ImagePair]:
    """Find pairs; no image is read.

    Args:
        folder: with imagesKnown and imagesNew; the files of a pair have the same name, channels end in _0000, _0001, ...
        channels: of each image.
    Raises:
        FileNotFoundError, ValueError: in one sentence, where there are no pairs.
    """
    folder = Path(folder)
    if missing := [name for name in (KNOWN, NEW) if not (folder / name).is_dir()]:
        raise FileNotFoundError(
            f"{folder} has no folder {listed(missing)}; pairs need {KNOWN} and {NEW}, with files of the same names."
        )
    known, new = (image_files(folder / name, channels) for name in (KNOWN, NEW))
    names = [name for name in new if name in known]
    if not names:
        raise ValueError(f"{folder} has no image of {NEW} with the name of one of {KNOWN}; name the two of a pair alike.")
    return [ImagePair(name, partial(_read, known[name], new[name]), str(new[name][0])) for name in names]


def _read(known: Sequence[Path], new: Sequence[Path]) -> tuple[np.ndarray, Geometry, np.ndarray, Geometry]:
    return *read_channels(known), *read_channels(new)


def as_cases(
    pairs: Sequence[ImagePair],
    base: LoadedModel,
    is_registered: bool = True,
    device: str = "cpu",
    cancelled: Callable[[], bool] | None = None,
) -> list[OwnCase]:
    """Pairs as cases to learn from; one runs the base on its known image when it is opened.

    Args:
        base: the model that knows the one kind of image.
        is_registered: False registers each pair, rigidly, by its first channels.
        device, cancelled: of the runs.
    """
    opened = partial(_opened, base=base, is_registered=is_registered, device=device, cancelled=cancelled)
    return [OwnCase(pair.name, partial(opened, pair), pair.source) for pair in pairs]


def _opened(
    pair: ImagePair, base: LoadedModel, is_registered: bool, device: str, cancelled: Callable[[], bool] | None
) -> PairedVolume:
    known, known_geometry, volume, geometry = pair.read()
    known_ckji, overlap_kji = on_grid(known, known_geometry, volume, geometry, base, is_registered)
    case = PairedVolume(
        volume, geometry, Segmentation(np.zeros(geometry.shape_kji, np.int16), geometry, ()), known_ckji, overlap_kji
    )
    roi = region_of_case(case, base.card)
    labelmap_kji, report = find_and_segment(
        known_ckji, geometry, base, roi=roi, device=device, cancelled=cancelled, whole=roi is None
    )
    if not labelmap_kji.any():
        raise ValueError(f"{base.card.id} finds nothing in the known image, so that there is nothing to learn from it.")
    found = Segmentation(np.where(overlap_kji, labelmap_kji, 0), geometry, tuple(report.labels))
    return replace(case, segmentation=found)


def on_grid(
    known: np.ndarray,
    known_geometry: Geometry,
    new: np.ndarray,
    geometry: Geometry,
    base: LoadedModel,
    is_registered: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The known image (channels, K, J, I) on the new one's grid, and where it has values; elsewhere it is as dark as its darkest voxel."""
    known_ckji = checked_channels(known, known_geometry, base.card)
    fixed = image_of(np.ascontiguousarray(checked_channels(new, geometry, base.card)[0], dtype=np.float32), geometry)
    images = [image_of(np.ascontiguousarray(values, dtype=np.float32), known_geometry) for values in known_ckji]
    transform = sitk.Transform() if is_registered else rigid(images[0], fixed)
    moved = [
        sitk.GetArrayFromImage(sitk.Resample(image, fixed, transform, sitk.sitkLinear, float(values.min())))
        for image, values in zip(images, known_ckji, strict=True)
    ]
    ones = image_of(np.ones(known_geometry.shape_kji, dtype=np.float32), known_geometry)
    overlap_kji = sitk.GetArrayFromImage(sitk.Resample(ones, fixed, transform, sitk.sitkNearestNeighbor, 0.0)) > 0
    if not overlap_kji.any():
        raise ValueError(
            "the two images of the pair have no place in common; check that they are of one patient, or register them."
        )
    return np.stack(moved), overlap_kji
