"""Small DICOM series for tests, whole or with an entry of every file changed."""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

SHAPE_KJI = (6, 10, 12)
VOLUME_KJI = np.random.default_rng(0).integers(0, 400, SHAPE_KJI).astype(np.int16)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
FOLDERS = itertools.count()


def write_series(
    folder: Path,
    volume_kji: np.ndarray = VOLUME_KJI,
    positions: Sequence | None = None,
    orientation: Sequence = AXIAL,
    names: Sequence[str] | None = None,
    slopes: Sequence[int] | None = None,
    series: str = "1",
    entries: dict[str, str] | None = None,
    first_number: int = 1,
) -> Path:
    """Slices 2.5 mm apart along z from (-10, -20, 30) in LPS, unless told otherwise."""
    folder.mkdir(exist_ok=True)
    for k, plane in enumerate(volume_kji):
        position = (-10, -20, 30 + 2.5 * k) if positions is None else positions[k]
        image = sitk.GetImageFromArray(plane[None])
        image.SetSpacing((0.7, 0.8, 2.5))
        tags = {"0008|0060": "CT", "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0020|000e": f"1.2.3.{series}"}
        tags |= {"0008|0018": f"1.2.3.{series}.{k + first_number}", "0020|0013": str(k + first_number), **(entries or {})}
        tags |= {"0020|0032": "\\".join(f"{x:.5f}" for x in position), "0020|0037": "\\".join(f"{x:.6f}" for x in orientation)}
        if slopes is not None:
            tags |= {"0028|1053": str(slopes[k]), "0028|1052": "0"}
        for tag, text in tags.items():
            image.SetMetaData(tag, text)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(folder / (names[k] if names else f"{series}_{k:03d}.dcm")))
        writer.Execute(image)
    return folder


def change_text(folder: Path, tag: str, text: str | None) -> None:
    """Another text for a tag (its bytes as hex) of every file, None for no entry: ITK does not write what is wrong."""
    for file in folder.iterdir():
        content, text_bytes = file.read_bytes(), (text or "").encode()
        text_bytes += b" " * (len(text_bytes) % 2)
        start = content.index(bytes.fromhex(tag))
        end = start + 8 + int.from_bytes(content[start + 4 : start + 8], "little")
        entry = content[start : start + 4] + len(text_bytes).to_bytes(4, "little") + text_bytes
        file.write_bytes(content[:start] + (b"" if text is None else entry) + content[end:])


def warnings_of(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
