"""Every write where room ends after any number of bytes: the whole output, or a refusal with the old file as it was; then again with room.

Half of the inputs write to a small disk of their own, where this program may mount one; else no file may grow beyond a limit.
"""

import contextlib
import ctypes
import resource
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from little_room import little_room

from fuzz.outcomes import LEFTOVER, WRONG, Fault, Refusal, must, names_in, refusing
from fuzz.writes import OLD, WRITES, Write

_PAGE = 4096
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS: what is mounted is this process's alone, and gone with it
# A refusal is wrong where there is this much more room than all files take: some lie twice for a while.
_SCRATCH = 64 * 1024


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """One write: without a limit to see what it makes, with one, and where that was refused without one again."""
    kind, seed = WRITES[int(rng.integers(len(WRITES)))], int(rng.integers(2**32))
    is_disk = rng.random() < 0.5 and _can_mount()
    name = kind.__name__
    first = _prepared(kind, seed, folder / "first", session, is_disk)
    first.run()
    sizes = _sizes(first.place)
    for file in sizes:
        first.check(first.place / file)
    needed = sum(_pages(size) for size in sizes.values()) * _PAGE if is_disk else max(sizes.values())
    room = _room(rng, needed, _PAGE if is_disk else 1)
    is_roomy = room >= 2 * needed + _SCRATCH
    disk = _small_disk(folder / "second" / "out", room) if is_disk else contextlib.nullcontext()
    with disk:
        second = _prepared(kind, seed, folder / "second", session, is_disk)
        try:
            with little_room(resource.RLIM_INFINITY if is_disk else room):
                refusing(second.run)
        except Refusal as refusal:
            must(not is_roomy, WRONG, f"{name}: refused though there is room: {refusal}")
            _check_refused(second, sizes, name)
            _again(second, sizes, name, folder / "second" / "out" if is_disk else None)
            raise Refusal(f"{name}: {refusal}") from refusal
        _check_whole(second, sizes, name)
    return f"{name} fits"


def _room(rng: np.random.Generator, needed: int, unit: int) -> int:
    """Bytes: anywhere below what is needed, around it, or plenty."""
    choice = rng.random()
    if choice < 0.4:
        return max(int(rng.integers(0, needed // unit + 1)), 1) * unit
    if choice < 0.7:
        return max(needed // unit + int(rng.integers(-3, 4)), 1) * unit
    return (2 * needed + _SCRATCH) // unit * unit + unit


def _prepared(kind: Callable, seed: int, folder: Path, session: Path, is_large: bool) -> Write:
    (folder / "inputs").mkdir(parents=True)
    (folder / "out").mkdir(exist_ok=True)
    shape = (20, 24, 28) if is_large else (9, 10, 11)
    return kind(np.random.default_rng(seed), folder / "inputs", folder / "out", session, shape)


def _check_whole(write: Write, sizes: dict[str, int], name: str) -> None:
    found = _sizes(write.place)
    must(set(found) == set(sizes), WRONG, f"{name}: said to be written, but {sorted(set(sizes) ^ set(found))[:3]}")
    for file in found:
        write.check(write.place / file)


def _check_refused(write: Write, sizes: dict[str, int], name: str) -> None:
    """Old files are as they were, and of the new ones those that lie there are whole."""
    found = _sizes(write.place)
    hidden = [file for file in found if Path(file).name.startswith(".")]
    must(not hidden, LEFTOVER, f"{name}: unfinished files stay: {hidden[:3]}")
    must(set(found) <= set(sizes), LEFTOVER, f"{name}: {sorted(set(found) - set(sizes))[:3]} stay though it was refused")
    for file in found:
        if write.had_old and (write.place / file).read_bytes() == OLD:
            continue
        try:
            write.check(write.place / file)
        except Fault as fault:
            raise Fault(fault.kind, f"{name}, refused: {fault.text}") from fault


def _again(write: Write, sizes: dict[str, int], name: str, disk: Path | None) -> None:
    """The same into the same place, with room."""
    if disk is not None:
        _mount("-o", "remount,size=64m", disk)
    try:
        refusing(write.run)
    except Refusal as refusal:
        raise Fault(WRONG, f"{name}: refused again although room was made: {refusal}") from refusal
    _check_whole(write, sizes, f"{name} again")


def _sizes(place: Path) -> dict[str, int]:
    return {name: (place / name).stat().st_size for name in names_in(place) if (place / name).is_file()}


def _pages(size: int) -> int:
    return -(-size // _PAGE)


@contextlib.contextmanager
def _small_disk(place: Path, size: int) -> Iterator[None]:
    place.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)  # also where a file of it is still mapped into memory


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


@cache
def _can_mount() -> bool:
    """Whether this process may have disks of its own; no other process sees them."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "unshare") or library.unshare(_NEW_MOUNTS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0
