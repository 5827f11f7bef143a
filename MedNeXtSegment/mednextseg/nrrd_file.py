"""What ITK's reader of NRRD files leaves out: bzip2, and a place that is not a number, which it replaces in silence."""

import bz2
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mednextseg.leftovers import OWNER_PATTERN, owner_tag, remove_stale

_PLACE_FIELDS = ("spacings", "space directions", "space origin", "axis mins")
_COPIES = re.compile(rf"^\.mednextseg-nrrd-{OWNER_PATTERN}-")
_MAX_HEADER_BYTES = 1 << 22


@contextmanager
def readable_nrrd(path: Path) -> Iterator[Path]:
    """A file with the same content that ITK can read: the file itself, or a raw copy of one with bzip2 inside.

    Files that are no NRRD are handed on as they are.

    Raises:
        ValueError: for a place that is not finite, and damaged bzip2 data.
    """
    with path.open("rb") as stream:
        content = stream.read(_MAX_HEADER_BYTES) if stream.read(4) == b"NRRD" else b""
    head, _, _ = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\n") if ": " in line and ":=" not in line)
    _check_place(fields)
    if fields.get("encoding", "").strip().lower() not in ("bzip2", "bz2") or "data file" in fields or "datafile" in fields:
        yield path
        return
    raw_head, separator, packed = path.read_bytes().partition(b"\n\n")
    lines = [b"encoding: raw" if line.startswith(b"encoding:") else line for line in raw_head.split(b"\n")]
    remove_stale(Path(tempfile.gettempdir()), _COPIES)
    with tempfile.TemporaryDirectory(prefix=f".mednextseg-nrrd-{owner_tag()}-") as folder:
        copy = Path(folder) / "volume.nrrd"
        try:
            copy.write_bytes(b"\n".join(lines) + separator + bz2.decompress(packed))
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"its bzip2 data are damaged or cannot be unpacked ({error}); get the file again") from error
        yield copy


def _check_place(fields: dict[str, str]) -> None:
    kinds = fields.get("kinds", "").split()
    for name in _PLACE_FIELDS:
        entries = fields.get(name, "").split()
        for axis, entry in enumerate(entries):
            # An axis that is no direction in space, such as one of layers, has no place.
            if len(kinds) == len(entries) and kinds[axis] not in ("domain", "space", "???"):
                continue
            numbers = [part for part in entry.strip("()").split(",") if part and part != "none"]
            if any(_is_odd(number) for number in numbers):
                raise ValueError(f'its header says "{name}: {fields[name]}"; correct the file')


def _is_odd(number: str) -> bool:
    try:
        return not np.isfinite(float(number))
    except ValueError:
        return False  # ITK's reader says what is wrong with it
