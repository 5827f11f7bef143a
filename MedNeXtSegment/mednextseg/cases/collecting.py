"""Volumes and what was drawn on them -> a collected case on this computer, whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from mednextseg.cases.collected import CASE_FILE, SEGMENTATION_FILE, CollectedCase, collected_folder, image_file
from mednextseg.files import write_text
from mednextseg.geometry import Geometry
from mednextseg.models.install.workspace import doomed_name, workspace
from mednextseg.segmentation_io import Segmentation, write_segmentation
from mednextseg.volume_io import image_of, write_image


def collect_case(
    name: str,
    volumes: Sequence[tuple[np.ndarray, Geometry]],
    segmentation: Segmentation,
    base: Mapping[str, Any] | None = None,
    journals: Sequence[str] = (),
) -> CollectedCase:
    """Keep a case for adapting; one of the same volume is replaced. Nothing leaves this computer.

    Args:
        name: of the volume.
        volumes: (K, J, I) array and Geometry of each channel.
        segmentation: what was drawn; empty labels were looked for and not found.
        base: as in CollectedCase.
        journals: prompt journals of the corrections, as JSON text.
    Raises:
        ValueError: in one sentence, for a segmentation in which nothing is drawn, and for sheared grids.
        OSError: where the disk is full; a case of the same volume is then as it was.
    """
    if not segmentation.labelmap_kji.any():
        raise ValueError("nothing is drawn in the segmentation; draw at least one structure.")
    digest, place = volume_digest([volume for volume, _ in volumes]), collected_folder()
    names, date = tuple(label.name for label in segmentation.labels), datetime.now(timezone.utc).isoformat(timespec="seconds")
    case = CollectedCase(digest, name, date, names, len(volumes), base, place / digest[:16])
    with workspace(place, "importing") as work:
        made = work / case.id
        made.mkdir()
        for channel, (volume_kji, geometry) in enumerate(volumes):
            write_image(image_of(volume_kji, geometry), made / image_file(channel))
        labels = segmentation.labels
        write_segmentation(made / SEGMENTATION_FILE, segmentation.labelmap_kji, segmentation.geometry, labels)
        for number, journal in enumerate(journals):
            write_text(made / f"journal_{number}.json", journal)
        write_text(made / CASE_FILE, json.dumps(case.to_dict(), indent=2, ensure_ascii=False) + "\n")
        _put(made, place / case.id)
    return case


def volume_digest(volumes_kji: Sequence[np.ndarray]) -> str:
    """SHA-256 of the voxels of all channels, with their shape and type."""
    digest = hashlib.sha256()
    for volume_kji in volumes_kji:
        digest.update(f"{volume_kji.shape} {volume_kji.dtype.newbyteorder('<').str}".encode())
        digest.update(np.ascontiguousarray(volume_kji, volume_kji.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _put(made: Path, folder: Path) -> None:
    """Move the new case to its place; an older one goes only when the new one is there."""
    old = doomed_name(folder.parent, "removing") if folder.exists() else None
    if old is not None:
        folder.rename(old)
    made.rename(folder)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
