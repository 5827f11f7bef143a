"""Zips of models: packages written whole, and any zip unpacked without trusting a single name or size in it."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from mednextseg.files import replacing
from mednextseg.models.model_card import CARD_FILE

_MAX_ENTRIES = 200
# Weights hardly compress; cards and licenses are small. More than this is a bomb.
_MAX_RATIO, _SMALL_BYTES = 20, 50_000_000
_BLOCK_BYTES = 1 << 20


def write_zip(folder: Path, archive: Path) -> None:
    """Pack a model folder; the archive appears under its name only when it is whole."""
    with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as packed:
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            packed.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")


def unpack_zip(archive: Path, target: Path, report: Callable[[float], None] = lambda fraction: None) -> Path:
    """Unpack a model package into an empty folder; returns the folder in it that holds the card.

    Args:
        archive, target: the zip and the folder.
        report: called between blocks with the done fraction; may raise to stop.
    Raises:
        ValueError: in one sentence, for a truncated archive, names that lead out of it, links, encryption, bombs, or no card.
    """
    extract_zip(archive, target, report=report)
    found = {card.parent for card in target.rglob(CARD_FILE)}
    packages = [folder for folder in found if not found & set(folder.parents)]  # parts of a package lie in its folder
    if len(packages) != 1:
        raise ValueError(
            f"{archive.name} holds {len(packages)} model cards ({CARD_FILE}) where one is expected; it is no model package."
        )
    return packages[0]


def extract_zip(
    archive: Path,
    target: Path,
    suffixes: Sequence[str] | None = None,
    max_entries: int = _MAX_ENTRIES,
    report: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Write the files of a zip into an empty folder.

    Args:
        archive, target: the zip and the folder.
        suffixes: of the files that are wanted; None for all.
        max_entries: files of any kind that the zip may hold.
        report: called between blocks with the done fraction; may raise to stop.
    Raises:
        ValueError: as `unpack_zip`, but for the card.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            _check_entries(entries, archive, max_entries)
            wanted = [entry for entry in entries if _is_wanted(PurePosixPath(entry.filename), suffixes)]
            total = _check_sizes(wanted, archive, target)
            done = 0
            for entry in wanted:
                for written in _extract(packed, entry, target):
                    done += written
                    report(done / total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive.name} is truncated or not a whole zip archive ({error}); get it again.") from error


def holds_package(archive: Path) -> bool:
    """Whether a zip holds a model card; False for a file that is no zip."""
    try:
        with zipfile.ZipFile(archive) as packed:
            return any(PurePosixPath(name).name == CARD_FILE for name in packed.namelist())
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return False


def _is_wanted(path: PurePosixPath, suffixes: Sequence[str] | None) -> bool:
    """Whether a file is of these kinds, and none of those that macOS adds to its zips."""
    return path.parts[0] != "__MACOSX" and (suffixes is None or path.suffix.lower() in suffixes)


def _check_entries(entries: list[zipfile.ZipInfo], archive: Path, max_entries: int) -> None:
    if len(entries) > max_entries:
        raise ValueError(f"{archive.name} holds {len(entries)} files, more than a model package has; it was not unpacked.")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
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


def _check_sizes(entries: list[zipfile.ZipInfo], archive: Path, target: Path) -> int:
    """Bytes of all entries together, at least 1."""
    total, packed = sum(entry.file_size for entry in entries), archive.stat().st_size
    if total > max(_SMALL_BYTES, _MAX_RATIO * packed):
        raise ValueError(
            f"{archive.name} would grow from {packed} to {total} bytes, which no model package does; it was not unpacked."
        )
    if total > shutil.disk_usage(target).free:
        raise ValueError(f"{archive.name} needs {total / 1e6:.0f} MB, more than the disk has free.")
    return max(total, 1)


def _extract(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> Iterator[int]:
    """Write one file, and never more bytes than it declares; yields the bytes of each block."""
    file = target / entry.filename
    file.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with packed.open(entry) as source, file.open("xb") as destination:
        while block := source.read(_BLOCK_BYTES):
            written += len(block)
            if written > entry.file_size:
                raise zipfile.BadZipFile(f"{entry.filename} is larger than it declares")
            destination.write(block)
            yield len(block)
