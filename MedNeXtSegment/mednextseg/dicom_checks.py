"""What GDCM reads in silence as something else: numbers that are none, voxels cut short, low numbers as white, files of two patients."""

import logging
from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from mednextseg.image_headers import is_plain_number
from mednextseg.json_values import shown

_LOG = logging.getLogger(__name__)
_PIXEL_SPACING, _INTERCEPT, _SLOPE = "0028|0030", "0028|1052", "0028|1053"
_BITS, _PHOTOMETRIC = "0028|0100", "0028|0004"
# Tag of the voxels, and what may stand between it and their length in bytes: their kind, or nothing.
_VOXELS, _KINDS = b"\xe0\x7f\x10\x00", (b"OW\0\0", b"OB\0\0", b"")


def entry(header: sitk.ImageFileReader, tag: str) -> str:
    """Text of a tag, without blanks around it; empty where there is none."""
    return header.GetMetaData(tag).strip() if header.HasMetaDataKey(tag) else ""


def check_file(file: Path, header: sitk.ImageFileReader) -> None:
    """Check what the file of one slice says before GDCM decodes it.

    Raises:
        ValueError: without the full stop, for a pixel spacing or a scaling that is no number, and for voxels that end early.
    """
    numbers = entry(header, _PIXEL_SPACING).split("\\")
    # GDCM takes 1 mm for what is missing or no length.
    if len(numbers) != 2 or not all(is_plain_number(n.strip()) and float(n) > 0 for n in numbers):
        said = shown(entry(header, _PIXEL_SPACING)) if numbers != [""] else "nothing"
        raise ValueError(f"{file.name} says {said} for its pixel spacing in mm; correct it in the files")
    for tag, name in ((_SLOPE, "slope"), (_INTERCEPT, "intercept")):
        said = entry(header, tag)
        if said and not is_plain_number(said):
            raise ValueError(f"{file.name} says {shown(said)} for the {name} of its intensities; correct it in the files")
    if entry(header, _SLOPE) and float(entry(header, _SLOPE)) == 0:
        _LOG.warning("%s says 0 for the slope of its intensities; 1 was taken.", file)
    _check_length(file, header)


def say_inverted(path: Path, header: sitk.ImageFileReader) -> None:
    """Log where low numbers are white: GDCM turns them round, here as in Slicer."""
    if entry(header, _PHOTOMETRIC) == "MONOCHROME1":
        _LOG.warning("%s: its low numbers are white (MONOCHROME1); all were inverted, as Slicer does.", path)


def check_whose(folder: Path, files: Sequence[tuple[str, str, str]]) -> None:
    """Check that one stack is one patient's, and log where its positions refer to several frames of reference.

    Args:
        files: for each slice name of the file, patient's id and frame of reference, empty where it does not say them.
    Raises:
        ValueError: without the full stop, for slices of several patients.
    """
    first, patient, _ = files[0]
    for name, other, _ in files:
        if other != patient:
            raise ValueError(f"{first} and {name} are of different patients; give a folder with one of them")
    # Positions in several frames cannot be compared; but programs that take names away write a new frame into each file.
    frames = {frame for _, _, frame in files}
    if len(frames) > 1:
        _LOG.warning(
            "%s: its slices name %d frames of reference; their positions were taken as if it were one.", folder, len(frames)
        )


def _check_length(file: Path, header: sitk.ImageFileReader) -> None:
    """Voxels that end early without contradicting their own length are filled with zeros by GDCM."""
    columns, rows, _ = header.GetSize()
    bits = entry(header, _BITS)
    if not bits.isdecimal():
        return
    needed, content = columns * rows * int(bits) // 8, file.read_bytes()
    for kind in _KINDS:
        start = content.rfind(_VOXELS + kind)
        begin = start + len(_VOXELS + kind) + 4
        # The last entry of the file, uncompressed: compressed voxels have no length.
        if start >= 0 and (length := int.from_bytes(content[begin - 4 : begin], "little")) == len(content) - begin:
            if length < needed:
                raise ValueError(f"{file.name} has {length} of {needed} bytes of its voxels; get the series again")
            return
