"""What ITK's reader of NRRD files leaves out: bzip2; and what it passes over in silence: damaged numbers and compressed data."""

import bz2
import logging
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mednextseg.image_headers import TAKEN_FOR_PLACE, check_packed, is_plain_number
from mednextseg.json_values import shown
from mednextseg.leftovers import OWNER_PATTERN, owner_tag, remove_stale

_LOG = logging.getLogger(__name__)
_PLACE_FIELDS = ("spacings", "space directions", "space origin", "axis mins")
_COUNTS = ("dimension", "sizes")
_COPIES = re.compile(rf"^\.mednextseg-nrrd-{OWNER_PATTERN}-")
_MAX_HEADER_BYTES = 1 << 22
_BYTES_OF_TYPE = (
    (1, r"((un)?signed )?char|uchar|u?int8(_t)?"),
    (2, r"(signed |unsigned )?short( int)?|ushort|u?int16(_t)?"),
    (8, r"(signed |unsigned )?long long( int)?|u?longlong|u?int64(_t)?|double"),
    (4, r"(signed |unsigned )?int|uint|u?int32(_t)?|float"),
)


@contextmanager
def readable_nrrd(path: Path) -> Iterator[Path]:
    """A file with the same content that ITK can read: the file itself, or a raw copy of one with bzip2 inside.

    Files that are no NRRD are handed on as they are. A place that the header leaves open is logged as a warning.

    Raises:
        ValueError: for numbers that are none, and voxels that are not all there or damaged.
    """
    with path.open("rb") as stream:
        is_nrrd = stream.read(4) == b"NRRD"
        fields, data_start = _header(stream.read(_MAX_HEADER_BYTES)) if is_nrrd else ({}, 0)
    if is_nrrd:
        _check_numbers(fields)
        _say_what_is_missing(path, fields)
    encoding = fields.get("encoding", "").lower()
    if encoding in ("gzip", "gz"):
        _check_gzip(path, fields, data_start)
    if encoding not in ("bzip2", "bz2") or _data_file(fields) is not None:
        yield path
        return
    content = path.read_bytes()
    lines = [b"encoding: raw" if line.lower().startswith(b"encoding:") else line for line in content[:data_start].split(b"\n")]
    remove_stale(Path(tempfile.gettempdir()), _COPIES)
    with tempfile.TemporaryDirectory(prefix=f".mednextseg-nrrd-{owner_tag()}-") as folder:
        copy = Path(folder) / "volume.nrrd"
        try:
            copy.write_bytes(b"\n".join(lines) + bz2.decompress(content[data_start:]))
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"its bzip2 data are damaged or cannot be unpacked ({error}); get the file again") from error
        yield copy


def _header(content: bytes) -> tuple[dict[str, str], int]:
    """Fields (names in small letters) of what follows "NRRD", and the byte where an attached file's voxels begin."""
    end = re.search(rb"\r?\n\r?\n", content)
    lines = (content if end is None else content[: end.start()]).decode("latin-1").splitlines()
    pairs = [line.split(":", 1) for line in lines[1:] if ":" in line and ":=" not in line and not line.startswith("#")]
    return {name.strip().lower(): value.strip() for name, value in pairs}, 0 if end is None else 4 + end.end()


def _data_file(fields: Mapping[str, str]) -> str | None:
    return fields.get("data file", fields.get("datafile"))


def _check_numbers(fields: Mapping[str, str]) -> None:
    kinds = fields.get("kinds", "").split()
    for name in (*_COUNTS, *_PLACE_FIELDS):
        entries = re.findall(r"\([^)]*\)|[^\s(]+", fields.get(name, ""))
        for axis, entry in enumerate(entries):
            # An axis that is no direction in space, such as one of layers, has no place.
            if name in _PLACE_FIELDS and len(kinds) == len(entries) and kinds[axis] not in ("domain", "space", "???"):
                continue
            numbers = re.split(r"\s*,\s*", entry.strip("()").strip()) if entry.startswith("(") else [entry]
            if name in _COUNTS:
                is_right = all(number.isascii() and number.isdigit() for number in numbers)
            else:
                is_right = numbers == ["none"] or all(map(is_plain_number, numbers))
            if not is_right:
                raise ValueError(f"its header says {shown(f'{name}: {fields[name]}')}; correct the file")


def _say_what_is_missing(path: Path, fields: Mapping[str, str]) -> None:
    missing = [] if "space origin" in fields else ["space origin"]
    if "space directions" not in fields:
        missing = [*([] if "spacings" in fields else ["spacings"]), "space directions", *missing]
    if missing:
        _LOG.warning("%s: its header has no %s; %s", path, " and no ".join(missing), TAKEN_FOR_PLACE)


def _check_gzip(path: Path, fields: Mapping[str, str], data_start: int) -> None:
    """Of files that skip bytes and of lists of files, only ITK knows the length."""
    element = next((size for size, names in _BYTES_OF_TYPE if re.fullmatch(names, fields.get("type", ""))), None)
    name = _data_file(fields)
    file = path if name is None else path.parent / name
    if element is None or "byte skip" in fields or "line skip" in fields or not file.is_file():
        return
    wanted = math.prod(int(size) for size in fields.get("sizes", "0").split()) * element
    start = data_start if name is None else 0
    with file.open("rb") as stream:
        stream.seek(start)
        check_packed(stream, file.stat().st_size - start, wanted)
