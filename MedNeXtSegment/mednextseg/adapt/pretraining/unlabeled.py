"""A folder of volumes that nobody has labeled, each as the network gets it."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mednextseg.adapt.pretraining.foreground_masking import foreground_on
from mednextseg.cases.channels import read_channels
from mednextseg.cases.folders import CASE_ERRORS, image_files
from mednextseg.errors import sentence_of
from mednextseg.json_values import listed
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.prepare.region_check import check_region


@dataclass(frozen=True)
class Unlabeled:
    """One volume.

    Attributes:
        image_ckji: float32 on the network's grid.
        foreground_kji: bool, same grid.
        sha256: of the voxels as they were read.
    """

    name: str
    image_ckji: np.ndarray
    foreground_kji: np.ndarray
    sha256: str


def unlabeled_volumes(
    folder: str | Path,
    card: ModelCard,
    left_out: Collection[str] = (),
    report: Callable[[str], None] = lambda stage: None,
) -> list[Unlabeled]:
    """Read and prepare all volumes of a folder.

    Args:
        folder: with a file for each channel of each volume, named as those of `mednextseg segment`.
        card: of the network.
        left_out: `sha256` of volumes that must not be learned from, not even without labels.
        report: called with the stage.
    Raises:
        FileNotFoundError, ValueError: in one sentence, for a folder without volumes, or one with a volume that cannot be used.
    """
    folder, found = Path(folder), []
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give one with volumes to pre-train on.")
    for name, files in image_files(folder, len(card.channels)).items():
        report(f"reading {name}")
        try:
            volume = _read(name, files, card)
        except CASE_ERRORS as error:
            raise ValueError(f"the volume {listed([name])} cannot be used: {sentence_of(error)}") from error
        if volume.sha256 not in left_out:
            found.append(volume)
    if not found:
        raise ValueError(
            f"{folder} has no volume to pre-train on that is not held out for the figures; put more volumes into it."
        )
    return found


def voxels_sha256(volume: np.ndarray) -> str:
    """Of a volume as it was read, to tell the same one in two folders."""
    return hashlib.sha256(np.ascontiguousarray(volume).tobytes()).hexdigest()


def _read(name: str, files: list[Path], card: ModelCard) -> Unlabeled:
    volume, geometry = read_channels(files)
    volume_ckji = checked_channels(volume, geometry, card)
    check_region(geometry, card, None)
    prepared = prepare(volume_ckji, geometry, card)
    foreground_kji = foreground_on(volume_ckji, geometry, card, prepared.network_geometry)
    if not foreground_kji.any():
        raise ValueError("it is air throughout; leave it out.")
    return Unlabeled(name, prepared.image_ckji, foreground_kji, voxels_sha256(volume))
