"""Model packages as one zip: written whole, and unpacked without trusting a single name or size in it."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mednextseg.models.model_card import CARD_FILE

_MAX_ENTRIES = 200
# Weights hardly compress; cards and licences are small. More than this is a bomb.
_MAX_RATIO, _SMALL_BYTES = 20, 50_000_000
_BLOCK_BYTES = 1 << 20


def write_zip(folder: Path, archive: Path) -> None:
    """Pack a model folder; the archive appears under its name only when it is whole."""
    part = archive.with_name(f"{archive.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as packed:
            for file in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
                packed.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
        part.replace(archive)
    finally:
        part.unlink(missing_ok=True)


def unpack_zip(archive: Path, target: Path) -> Path:
    """Unpack into an empty folder; returns the folder in it that holds the card.

    Raises:
        ValueError: in one sentence, for a truncated archive, names that lead out of it, links, encryption, bombs, or no card.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            _check_entries(entries, archive, target)
            for entry in entries:
                _extract(packed, entry, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive.name} is truncated or not a whole zip archive ({error}); get it again.") from error
    cards = sorted(target.rglob(CARD_FILE))
    if len(cards) != 1:
        raise ValueError(
            f"{archive.name} holds {len(cards)} model cards ({CARD_FILE}) where one is expected; it is no model package."
        )
    return cards[0].parent


def _check_entries(entries: list[zipfile.ZipInfo], archive: Path, target: Path) -> None:
    if len(entries) > _MAX_ENTRIES:
        raise ValueError(f"{archive.name} holds {len(entries)} files, more than a model package has; it was not unpacked.")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
            raise ValueError(
                f"{archive.name} holds the path {entry.filename!r}, which leads out of its folder; it was not unpacked."
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{archive.name} holds the link {entry.filename!r}; it was not unpacked.")
        if entry.flag_bits & 1:
            raise ValueError(f"{archive.name} is encrypted; unpack it yourself and install the folder.")
    names = [entry.filename.casefold() for entry in entries]
    if len(set(names)) != len(names):
        raise ValueError(f"{archive.name} holds two files of the same name; it was not unpacked.")
    total, packed = sum(entry.file_size for entry in entries), archive.stat().st_size
    if total > max(_SMALL_BYTES, _MAX_RATIO * packed):
        raise ValueError(
            f"{archive.name} would grow from {packed} to {total} bytes, which no model package does; it was not unpacked."
        )
    if total > shutil.disk_usage(target).free:
        raise ValueError(f"{archive.name} needs {total / 1e6:.0f} MB, more than the disk has free.")


def _extract(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one file, and never more bytes than it declares."""
    file = target / entry.filename
    file.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with packed.open(entry) as source, file.open("xb") as destination:
        while block := source.read(_BLOCK_BYTES):
            written += len(block)
            if written > entry.file_size:
                raise zipfile.BadZipFile(f"{entry.filename} is larger than it declares")
            destination.write(block)
