"""NIfTI-1 and NIfTI-2 files, read with all checks that their headers allow.

ITK's own reader takes a file of the wrong name where A.nii lies beside A.nii.gz, and the voxels that a truncated file lacks for zeros.
Which of the two placements (qform, sform) counts is as in ITK, and so as in Slicer.
"""

import logging
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.unpacked_stream import UnpackedStream

_LOG = logging.getLogger(__name__)
_HEADER_BYTES = {1: 348, 2: 540}
_EXTENDER_BYTES = 4
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_OTHER_TYPES = {
    1: "bits",
    32: "complex numbers",
    128: "RGB colors",
    1536: "long floats",
    1792: "complex numbers",
    2304: "RGBA colors",
}
_MM_OF_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_PLACE_TOLERANCE_MM = 1e-2
_LARGEST_PLACE_CODE = 5  # none, scanner, aligned, Talairach, MNI, other template
_LPS_AXES = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class _Header:
    """The fields that are used, of either version; `affines` are in mm, None where their code is 0."""

    version: int
    shape_ijk: tuple[int, ...]
    dtype: np.dtype
    voxel_offset: int
    slope: float
    intercept: float
    pixdim: np.ndarray
    qform: np.ndarray | None
    sform: np.ndarray | None
    sform_is_scanner: bool
    unit_mm: float
    is_pair: bool


def is_nifti(path: Path) -> bool:
    """Whether a file begins as NIfTI does, compressed or not; a name says nothing. Pairs (.hdr and .img) count by either file."""
    header = _pair(path, ".hdr")
    try:
        with header.open("rb") as stream:
            return _version_of(UnpackedStream(stream).read_up_to(_HEADER_BYTES[2])) is not None
    except (OSError, zlib.error, ValueError):
        return False


def read_nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    """Read a scalar volume of three axes.

    Returns:
        volume_kji in the file's own voxel type (float32 or float64 where the header scales it), and its Geometry.
    Raises:
        ValueError: for a truncated or damaged file, other axes and voxel types, and a header without a valid place.
    """
    with _pair(path, ".hdr").open("rb") as stream:
        unpacked = UnpackedStream(stream)
        header = _parsed(unpacked.read_up_to(_HEADER_BYTES[2]))
        if not header.is_pair:
            voxels = _voxels(unpacked, header, header.voxel_offset)
    if header.is_pair:
        with _pair(path, ".img").open("rb") as stream:
            voxels = _voxels(UnpackedStream(stream), header, header.voxel_offset)
    return _scaled(voxels, header), _placed(path, header)


def sform_geometry(path: Path) -> Geometry | None:
    """Where the sform of a file places its voxels, whichever place counts; None where the header has no sform.

    Raises:
        ValueError: for a damaged header.
    """
    with _pair(path, ".hdr").open("rb") as stream:
        header = _parsed(UnpackedStream(stream).read_up_to(_HEADER_BYTES[2]))
    return None if header.sform is None else Geometry(header.shape_ijk[2::-1], header.sform)


def _version_of(head: bytes) -> int | None:
    for version, size in _HEADER_BYTES.items():
        magic = head[344:348] if version == 1 else head[4:8]
        wanted = (b"n+1\0", b"ni1\0") if version == 1 else (b"n+2\0", b"ni2\0")
        if len(head) >= size and magic in wanted:
            return version
    return None


def _parsed(head: bytes) -> _Header:
    version = _version_of(head)
    if version is None:
        raise ValueError("its header is no NIfTI header")
    order = "<" if int.from_bytes(head[:4], "little") == _HEADER_BYTES[version] else ">"
    fields = np.frombuffer(head[: _HEADER_BYTES[version]], np.dtype(_layout(version)).newbyteorder(order))[0]
    axes = int(fields["dim"][0])
    if not 1 <= axes <= 7 or (fields["dim"][1 : axes + 1] < 1).any():
        raise ValueError(f"its header names impossible axes ({fields['dim'].tolist()})")
    code = int(fields["datatype"])
    if code not in _TYPES:
        raise ValueError(
            f"its voxels are {_OTHER_TYPES.get(code, f'of the unknown type {code}')}; give a volume of plain numbers"
        )
    shape = tuple(int(n) for n in fields["dim"][1 : axes + 1])
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    for name in ("qform_code", "sform_code"):
        if not 0 <= fields[name] <= _LARGEST_PLACE_CODE:
            raise ValueError(f"its header has the unknown {name} {fields[name]}; correct the file")
    unit_mm = _MM_OF_UNIT.get(int(fields["xyzt_units"]) & 7, 1.0)
    is_pair = head[344:347] == b"ni1" or head[4:7] == b"ni2"
    sform = np.vstack([fields["srow"], [0, 0, 0, 1]]).astype(np.float64)
    return _Header(
        version,
        shape,
        np.dtype(_TYPES[code]).newbyteorder(order),
        _voxel_offset(float(fields["vox_offset"]), 0 if is_pair else _HEADER_BYTES[version] + _EXTENDER_BYTES),
        float(fields["scl_slope"]),
        float(fields["scl_inter"]),
        fields["pixdim"].astype(np.float64),
        _in_mm(_qform(fields), unit_mm) if fields["qform_code"] > 0 else None,
        _in_mm(sform, unit_mm) if fields["sform_code"] > 0 else None,
        int(fields["sform_code"]) == 1,
        unit_mm,
        is_pair,
    )


def _voxel_offset(found: float, least: int) -> int:
    """Where the voxels begin, in bytes; some programs leave the field at 0 where they follow the header."""
    if not math.isfinite(found) or found < 0 or 0 < found < least:
        raise ValueError(f"its header places the voxels at byte {found:g}; correct the file")
    return max(int(found), least)


def _layout(version: int) -> dict:
    """Names, types and byte offsets of the fields that are used."""
    if version == 1:
        table = {
            "dim": ("8i2", 40), "datatype": ("i2", 70), "pixdim": ("8f4", 76), "vox_offset": ("f4", 108), "scl_slope": ("f4", 112),
            "scl_inter": ("f4", 116), "xyzt_units": ("u1", 123), "qform_code": ("i2", 252), "sform_code": ("i2", 254),
            "quatern": ("3f4", 256), "qoffset": ("3f4", 268), "srow": ("(3,4)f4", 280),
        }  # fmt: skip
    else:
        table = {
            "dim": ("8i8", 16), "datatype": ("i2", 12), "pixdim": ("8f8", 104), "vox_offset": ("i8", 168), "scl_slope": ("f8", 176),
            "scl_inter": ("f8", 184), "xyzt_units": ("i4", 500), "qform_code": ("i4", 344), "sform_code": ("i4", 348),
            "quatern": ("3f8", 352), "qoffset": ("3f8", 376), "srow": ("(3,4)f8", 400),
        }  # fmt: skip
    kinds, offsets = zip(*table.values(), strict=True)
    return {"names": list(table), "formats": list(kinds), "offsets": list(offsets), "itemsize": _HEADER_BYTES[version]}


def _voxels(unpacked: UnpackedStream, header: _Header, offset: int) -> np.ndarray:
    if len(header.shape_ijk) != 3:
        size = " x ".join(str(n) for n in header.shape_ijk)
        raise ValueError(f"it has {len(header.shape_ijk)} axes ({size}); give a volume with three")
    wanted = int(np.prod(header.shape_ijk, dtype=object)) * header.dtype.itemsize
    if wanted > unpacked.most_bytes:
        raise ValueError(f"it is truncated (its voxels take {wanted} bytes, and it has fewer); get the file again")
    voxels = np.empty(header.shape_ijk[::-1], header.dtype)
    found = unpacked.fill(memoryview(voxels.reshape(-1).view(np.uint8)), offset)
    if found < wanted:
        raise ValueError(f"it is truncated ({found} of {wanted} bytes of voxels are there); get the file again")
    return voxels


def _scaled(voxels_kji: np.ndarray, header: _Header) -> np.ndarray:
    voxels_kji = voxels_kji.astype(header.dtype.newbyteorder("="), copy=False)
    slope, intercept = header.slope, 0.0 if np.isnan(header.intercept) else header.intercept
    if np.isinf(slope) or np.isinf(intercept):
        raise ValueError(f"its header scales the voxels by {slope:g} and adds {intercept:g}; correct the file")
    if np.isnan(slope) or slope == 0 or (slope, intercept) == (1.0, 0.0):
        return voxels_kji
    scaled = np.empty(voxels_kji.shape, np.float32 if _fits_float32(voxels_kji.dtype, slope, intercept) else np.float64)
    for k, plane in enumerate(voxels_kji):
        scaled[k] = plane * np.float64(slope) + intercept
    return scaled


def _fits_float32(dtype: np.dtype, slope: float, intercept: float) -> bool:
    """Whether neighboring values stay apart and none is beyond what single precision holds."""
    if dtype.itemsize >= 4:
        return False
    limits, reach = np.finfo(np.float32), abs(slope) * 2.0 ** (8 * dtype.itemsize) + abs(intercept)
    return reach < float(limits.max) and reach * float(limits.eps) < 0.1 * abs(slope)


def _placed(path: Path, header: _Header) -> Geometry:
    """Where the volume lies; what two statements of the header contradict is said."""
    shape_kji, spacing = header.shape_ijk[::-1], header.pixdim[1:4] * header.unit_mm
    if not np.isfinite(spacing).all() or (spacing == 0).any():
        raise ValueError(f"its voxel spacing (pixdim) is {spacing.tolist()} mm; correct it in the file")
    if (spacing < 0).any():
        _LOG.warning("%s: its voxel spacing (pixdim) is negative, which was taken as positive.", path)
    if header.unit_mm != 1.0:
        _LOG.warning("%s: its lengths are in %s, by its header; they were read so.", path, "m" if header.unit_mm > 1 else "um")
    if header.qform is None and header.sform is None:
        _LOG.warning(
            "%s: its header does not say where the patient lies; the axes were taken as left, posterior, superior.", path
        )
        return Geometry(shape_kji, _LPS_AXES * np.append(np.abs(spacing), 1.0))
    takes_sform = header.sform is not None and (header.qform is None or header.sform_is_scanner)
    taken = Geometry(shape_kji, header.sform if takes_sform else header.qform)
    if header.qform is not None and header.sform is not None:
        _say_difference(path, taken, Geometry(shape_kji, header.qform if takes_sform else header.sform), takes_sform)
    return taken


def _say_difference(path: Path, taken: Geometry, other: Geometry, takes_sform: bool) -> None:
    distance_mm = float(np.linalg.norm(taken.corners_ras() - other.corners_ras(), axis=1).max())
    if distance_mm > max(_PLACE_TOLERANCE_MM, 1e-5 * np.abs(taken.corners_ras()).max()):
        names = ("sform", "qform") if takes_sform else ("qform", "sform")
        _LOG.warning(
            "%s: its qform and sform differ by up to %.3g mm; the %s was taken and not the %s.", path, distance_mm, *names
        )


def _qform(fields: np.void) -> np.ndarray:
    b, c, d = fields["quatern"].astype(np.float64)
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    norm = np.sqrt(a * a + b * b + c * c + d * d)
    a, b, c, d = np.array([a, b, c, d]) / norm
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.eye(4)
    handedness = -1.0 if fields["pixdim"][0] < 0 else 1.0
    matrix[:3, :3] = rotation * np.abs(fields["pixdim"][1:4].astype(np.float64)) * [1, 1, handedness]
    matrix[:3, 3] = fields["qoffset"]
    return matrix


def _in_mm(matrix: np.ndarray, unit_mm: float) -> np.ndarray:
    scaled = matrix.copy()
    scaled[:3] *= unit_mm
    return scaled


def _pair(path: Path, suffix: str) -> Path:
    """The other file of an .hdr and .img pair, where the path is one of them."""
    return path.with_suffix(suffix) if path.suffix.lower() in (".hdr", ".img") else path
