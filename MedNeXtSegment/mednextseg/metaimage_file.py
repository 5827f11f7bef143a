"""What ITK's reader of MetaImage files (.mha, .mhd) passes over in silence: damaged numbers, fields and compressed data."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from mednextseg.image_headers import TAKEN_FOR_PLACE, check_packed, is_plain_number
from mednextseg.json_values import shown

_LOG = logging.getLogger(__name__)
_MAX_HEADER_BYTES = 1 << 22
_LONGEST_NAME = 200  # of a file
_BYTES_OF_TYPE = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 8, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
# Names of one thing, of which the format has several.
_SPACING = ("ElementSpacing", "ElementSize")
_ORIGIN = ("Offset", "Position", "Origin")
_DIRECTIONS = ("TransformMatrix", "Rotation", "Orientation")
_TRUTHS = ("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData")
_WHOLE_NUMBERS = ("NDims", "DimSize", "CompressedDataSize", "ElementNumberOfChannels")
_DATA, _PACKED_SIZE = "ElementDataFile", "CompressedDataSize"


@dataclass(frozen=True)
class _Header:
    fields: dict[str, str]
    data_start: int

    def is_true(self, name: str) -> bool:
        return self.fields.get(name, "False")[:1] in "Tt1"

    def wanted_bytes(self) -> int | None:
        """What the voxels take; None for types that only ITK knows."""
        element = _BYTES_OF_TYPE.get(self.fields.get("ElementType", "").removeprefix("MET_").removeprefix("U"))
        if element is None or "DimSize" not in self.fields:
            return None
        channels = int(self.fields.get("ElementNumberOfChannels", "1"))
        return math.prod(int(n) for n in self.fields["DimSize"].split()) * channels * element


def check_metaimage(path: Path) -> None:
    """Make sure that ITK will read what the file says; a place that the header leaves open is logged as a warning.

    Raises:
        ValueError: for fields that are damaged, doubled or missing, and voxels that are not all there or damaged.
    """
    header = _header(path)
    _check_fields(header.fields)
    missing = [names[0] for names in (_SPACING, _DIRECTIONS, _ORIGIN) if not any(name in header.fields for name in names)]
    if missing:
        _LOG.warning("%s: its header has no %s; %s", path, " and no ".join(missing), TAKEN_FOR_PLACE)
    _check_voxels(path, header)


def _header(path: Path) -> _Header:
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        while stream.tell() < _MAX_HEADER_BYTES:
            line = stream.readline(_MAX_HEADER_BYTES)
            key, sign, value = line.decode("latin-1").partition("=")
            key, value = key.strip(), value.strip()
            if not sign or not key.isascii() or not key.isprintable():
                raise ValueError(f"its header has a line that is none ({shown(line[:60])}); get the file again")
            if key in fields:
                raise ValueError(f"its header says {key} twice; correct the file")
            fields[key] = value
            if key == _DATA:
                return _Header(fields, stream.tell())
    raise ValueError(f"its header does not end with {_DATA}; get the file again")


def _check_fields(fields: dict[str, str]) -> None:
    for name in _TRUTHS:
        if fields.get(name, "True") not in ("True", "False", "true", "false", "TRUE", "FALSE", "1", "0"):
            raise _wrong(name, fields)
    for name in _WHOLE_NUMBERS:
        parts = fields.get(name, "1").split()
        if not parts or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
            raise _wrong(name, fields)
    axes = int(fields.get("NDims", "3").split()[0])
    for names, count in ((("DimSize",), axes), (_SPACING, axes), (_ORIGIN, axes), (_DIRECTIONS, axes * axes)):
        for name in names:
            parts = fields.get(name, " 0" * count).split()
            if len(parts) != count or not all(map(is_plain_number, parts)):
                raise _wrong(name, fields)


def _check_voxels(path: Path, header: _Header) -> None:
    wanted, data = header.wanted_bytes(), header.fields[_DATA]
    is_inside = data.upper() == "LOCAL"
    if not data.isprintable() or len(data) > _LONGEST_NAME:
        raise ValueError(f"its header says {_DATA} = {shown(data)}; correct the file")
    file = path if is_inside else path.parent / data
    # Lists and patterns of files, text, and files that begin with something else: ITK looks for their length itself.
    is_plain = header.is_true("BinaryData") and "HeaderSize" not in header.fields and (is_inside or file.is_file())
    is_packed = header.is_true("CompressedData")
    if wanted is None or not is_plain:
        if is_packed:
            raise ValueError("its voxels are compressed in a way that cannot be checked; save it without compression")
        return
    if is_packed and _PACKED_SIZE not in header.fields:
        raise ValueError(f"its voxels are compressed and its header has no {_PACKED_SIZE}; get the file again")
    start = header.data_start if is_inside else 0
    there = file.stat().st_size - start
    if is_packed:
        with file.open("rb") as stream:
            stream.seek(start)
            check_packed(stream, min(there, int(header.fields[_PACKED_SIZE])), wanted)
    elif there < wanted:
        raise ValueError(f"it is truncated ({there} of {wanted} bytes of voxels are there); get the file again")


def _wrong(name: str, fields: dict[str, str]) -> ValueError:
    return ValueError(f"its header says {name} = {shown(fields[name])}; correct the file")
