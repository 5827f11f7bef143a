"""DICOM series with slices missing, doubled, moved, cut off or told otherwise: every voxel at its place, or a refusal."""

import struct
from pathlib import Path

import numpy as np

from fuzz.inputs import damaged, step_volume
from fuzz.outcomes import WRONG, Fault, Refusal, must, must_equal, refusing

_UID = "1.2.826.0.1.3680043.2.1125."
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# What is done to a series, and whether the whole volume may still come out of it.
_HARMLESS = ("nothing", "names", "numbers", "copy", "other file", "first missing", "last missing", "comment")
_HARMFUL = (
    "middle missing",
    "moved",
    "turned",
    "cut off",
    "other size",
    "other spacing",
    "second series",
    "time point",
    "uneven",
)


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """One series with one thing wrong, or with something that should not matter."""
    from mednextseg.volume_io import read_volume

    count = int(rng.integers(4, 9))
    volume = step_volume(rng, (count, int(rng.integers(3, 9)), int(rng.integers(3, 9))), str(rng.choice(["int16", "uint16"])))
    directions, spacing, origin = _placed(rng)
    slices = [
        {
            "pixels": volume[k],
            "position": origin + directions[:, 2] * spacing[2] * k,
            "number": k + 1,
            "iop": directions[:, :2].T.ravel(),
        }
        for k in range(count)
    ]
    change = str(rng.choice([*_HARMLESS, *_HARMFUL]))
    series = folder / "series"
    series.mkdir()
    first, last = _write(rng, series, slices, spacing, change)
    try:
        found_kji, geometry = refusing(lambda: read_volume(series))
    except Refusal as refusal:
        if change in ("nothing", "names", "numbers", "first missing", "last missing", "comment"):
            raise Fault(WRONG, f"{change}: a whole series is refused: {refusal}") from refusal
        raise
    must(change in _HARMLESS, WRONG, f"{change}: a series that is not whole gives {found_kji.shape}, {geometry}")
    must_equal(found_kji, volume[first:last], change)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * spacing, slices[first]["position"]
    away = np.abs(geometry.ijk_to_ras - _LPS @ matrix).max()
    must(away < 0.02, WRONG, f"{change}: the place is {away:.3g} mm off")
    return change


def _placed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions of I, J and K in LPS (K at right angles, as slices are sorted), spacing and origin."""
    axes = np.eye(3)[:, rng.permutation(3)] * rng.choice([-1, 1], 3)
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
    return axes, rng.uniform(0.5, 4, 3).round(2), rng.uniform(-200, 200, 3).round(1)


def _write(rng: np.random.Generator, folder: Path, slices: list[dict], spacing: np.ndarray, change: str) -> tuple[int, int]:
    """Write the files; returns which slices are there, as a range."""
    first, last, middle = 0, len(slices), int(rng.integers(1, len(slices) - 1))
    order = rng.permutation(len(slices)) if change == "names" else np.arange(len(slices))
    numbers = rng.permutation(len(slices)) + 1 if change == "numbers" else None
    if change == "first missing":
        first = 1
    elif change == "last missing":
        last -= 1
    for k in range(first, last):
        one = dict(slices[k])
        if numbers is not None:
            one["number"] = int(numbers[k])
        if k == middle:
            _spoil(one, spacing, change)
        if k == middle and change == "middle missing":
            continue
        content = _file(one, spacing * 1.5 if k == middle and change == "other spacing" else spacing)
        if k == middle and change == "cut off":
            content = content[: -int(rng.integers(2, one["pixels"].nbytes))]
        (folder / f"{order[k]:04d}.dcm").write_bytes(content)
    _add(rng, folder, slices, spacing, (change, middle, order[middle]))
    return first, last


def _spoil(one: dict, spacing: np.ndarray, change: str) -> None:
    """Change one slice."""
    if change == "uneven":
        one["position"] = one["position"] + np.cross(one["iop"][:3], one["iop"][3:]) * spacing[2] * 0.4
    elif change == "moved":
        one["position"] = one["position"] + one["iop"][:3] * 7
    elif change == "turned":
        one["iop"] = np.roll(one["iop"], 3)
    elif change == "other size":
        one["pixels"] = one["pixels"][:-1]


def _add(rng: np.random.Generator, folder: Path, slices: list[dict], spacing: np.ndarray, what: tuple[str, int, int]) -> None:
    """Put other files beside the slices."""
    change, middle, number = what
    one = slices[middle]
    if change == "copy":
        (folder / "copy.dcm").write_bytes((folder / f"{number:04d}.dcm").read_bytes())
    elif change == "other file":
        (folder / "readme.txt").write_bytes(damaged(rng, b"no image at all " * 20))
    elif change == "second series":
        (folder / "other.dcm").write_bytes(_file({**one, "series": "2"}, spacing))
    elif change == "time point":
        for k, again in enumerate(slices):
            later = {**again, "pixels": again["pixels"][::-1], "number": len(slices) + k + 1}
            (folder / f"later{k}.dcm").write_bytes(_file(later, spacing))


def _file(one: dict, spacing: np.ndarray) -> bytes:
    """Explicit VR little endian."""
    pixels, uid = one["pixels"], f"{_UID}9.{one.get('series', '1')}"

    def joined(values: object) -> str:
        return "\\".join(f"{float(x):.10g}" for x in values)

    entries = {
        (8, 0x16): ("UI", "1.2.840.10008.5.1.4.1.1.2"), (8, 0x18): ("UI", f"{uid}.{one['number']}"), (8, 0x60): ("CS", "CT"),
        (0x10, 0x10): ("PN", "A^B"), (0x10, 0x20): ("LO", "1"), (0x18, 0x50): ("DS", f"{spacing[2]:g}"), (0x20, 0xD): ("UI", f"{_UID}9"),
        (0x20, 0xE): ("UI", uid), (0x20, 0x11): ("IS", "1"), (0x20, 0x13): ("IS", str(one["number"])),
        (0x20, 0x32): ("DS", joined(one["position"])), (0x20, 0x37): ("DS", joined(one["iop"])), (0x20, 0x52): ("UI", f"{_UID}52"),
        (0x28, 2): ("US", 1), (0x28, 4): ("CS", "MONOCHROME2"), (0x28, 0x10): ("US", pixels.shape[0]),
        (0x28, 0x11): ("US", pixels.shape[1]),
        (0x28, 0x30): ("DS", joined((spacing[1], spacing[0]))), (0x28, 0x100): ("US", 16), (0x28, 0x101): ("US", 16),
        (0x28, 0x102): ("US", 15), (0x28, 0x103): ("US", int(pixels.dtype.kind == "i")), (0x28, 0x1052): ("DS", "0"),
        (0x28, 0x1053): ("DS", "1"), (0x7FE0, 0x10): ("OW", np.ascontiguousarray(pixels).tobytes()),
    }  # fmt: skip
    meta = {
        (2, 1): ("OB", b"\0\1"),
        (2, 2): entries[8, 0x16],
        (2, 3): entries[8, 0x18],
        (2, 0x10): ("UI", "1.2.840.10008.1.2.1"),
    }
    head = _elements({**meta, (2, 0x12): ("UI", f"{_UID}1")})
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(head)) + head + _elements(entries)


def _elements(entries: dict) -> bytes:
    out = b""
    for (group, element), (form, value) in sorted(entries.items()):
        body = struct.pack("<H", value) if form == "US" else value if isinstance(value, bytes) else value.encode()
        body += (b"\0" if form in ("UI", "OB", "OW") else b" ") if len(body) % 2 else b""
        length = struct.pack("<HI", 0, len(body)) if form in ("OB", "OW") else struct.pack("<H", len(body))
        out += struct.pack("<HH", group, element) + form.encode() + length + body
    return out
