"""NIfTI, NRRD and MHA files with damaged headers and bodies: what the file says now, as another reader has it, or a refusal."""

import gzip
import io
import zlib
from pathlib import Path

import nibabel
import numpy as np

from fuzz import text_headers
from fuzz.inputs import damaged, random_matrix, random_shape, shared_package, step_volume, steps_of, write_nifti
from fuzz.outcomes import WRONG, Fault, Refusal, must, refusing, run_command, warned

_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
_NIFTI_FIELDS = {
    "dim": (40, "8i2"), "datatype": (70, "i2"), "bitpix": (72, "i2"), "pixdim": (76, "8f4"), "vox_offset": (108, "f4"),
    "scl_slope": (112, "f4"), "scl_inter": (116, "f4"), "xyzt_units": (123, "u1"), "qform_code": (252, "i2"), "sform_code": (254, "i2"),
    "quatern": (256, "3f4"), "qoffset": (268, "3f4"), "srow": (280, "12f4"), "magic": (344, "4u1"), "sizeof_hdr": (0, "i4"),
}  # fmt: skip
_ODD = (0, 1, -1, 2, 3, 4, 5, 8, 16, 64, 255, 348, 352, 1e-3, 0.5, -2.5, 1e10, -1e10, 3e38, float("nan"), float("inf"))
_MM_OF_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# Axes may be turned to right angles by as much.
_SNAP_DEG, _PLACE_MM = 0.5, 0.02
_NO_PLACE = "for what is missing"


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """Write a volume, damage the file, and read it."""
    suffix = str(rng.choice(_SUFFIXES))
    dtype = str(rng.choice(["uint8", "int16", "uint16", "float32", "int32"]))
    volume = step_volume(rng, random_shape(rng), dtype)
    matrix = random_matrix(rng)
    content, reference = _file(rng, folder, suffix, volume, matrix)
    is_whole = rng.random() < 0.08
    content = content if is_whole else _damage(rng, content, suffix, reference[1])
    path = folder / f"volume{suffix}"
    path.write_bytes(content)
    wanted = _meaning(content, suffix)
    must(not is_whole or wanted is not None, WRONG, "the reader of these tests refuses a whole file")
    from mednextseg.volume_io import read_volume

    with warned() as said:
        try:
            found_kji, geometry = refusing(lambda: read_volume(path))
        except Refusal as refusal:
            if is_whole:
                raise Fault(WRONG, f"a whole file is refused: {refusal}") from refusal
            raise
    # A header that lacks a place is read with a warning.
    is_open = wanted is None and any(_NO_PLACE in line for line in said)
    _compare(found_kji, None if is_open else geometry, wanted or (volume, matrix), f"{suffix} {dtype}")
    if rng.random() < 0.04:
        _segment(path, folder, session, found_kji, geometry)
    return suffix


def _file(
    rng: np.random.Generator, folder: Path, suffix: str, volume: np.ndarray, matrix: np.ndarray
) -> tuple[bytes, tuple[str, int]]:
    """Content, and the suffix with the place where the voxels begin."""
    if suffix.startswith(".nii"):
        if rng.random() < 0.2:
            image = nibabel.Nifti2Image(volume.T, matrix)
            image.set_qform(matrix, 1)
            image.set_sform(matrix, 1)
            nibabel.save(image, folder / "whole.nii")
            begin = 544
        else:
            write_nifti(folder / "whole.nii", volume, matrix)
            begin = 352
        content = (folder / "whole.nii").read_bytes()
        (folder / "whole.nii").unlink()
        return content, (suffix, begin)
    writer = text_headers.nrrd_bytes if suffix == ".nrrd" else text_headers.mha_bytes
    content, begin = writer(volume, matrix, bool(rng.integers(2)))
    return content, (suffix, begin)


def _damage(rng: np.random.Generator, content: bytes, suffix: str, begin: int) -> bytes:
    if not suffix.startswith(".nii"):
        in_header = rng.random() < 0.6
        return damaged(rng, content, 0 if in_header else begin, begin if in_header else None)
    choice = rng.random()
    if choice < 0.45 and begin == 352:
        content = _changed_field(rng, content)
    elif choice < 0.6:
        content = damaged(rng, content, 0, begin)
    elif choice < 0.85 or suffix == ".nii":
        content = damaged(rng, content, begin)
    if suffix == ".nii.gz":
        content = gzip.compress(content, int(rng.integers(1, 10)), mtime=0)
        content = damaged(rng, content) if choice >= 0.85 else content
    return content


def _changed_field(rng: np.random.Generator, content: bytes) -> bytes:
    """One number of a NIfTI header made another: an odd one, or its own with the other sign or size."""
    start, form = _NIFTI_FIELDS[str(rng.choice(list(_NIFTI_FIELDS)))]
    values = np.frombuffer(content[start : start + np.dtype(form).itemsize], np.dtype(form).base).copy()
    place = int(rng.integers(values.size))
    own = float(values[place])
    new = float(rng.choice([*_ODD, -own, own + 1, own * 2, own * 0.5, own * 1.0001]))
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        new = int(np.clip(np.nan_to_num(new, posinf=1e9, neginf=-1e9), limits.min, limits.max))
    with np.errstate(over="ignore"):
        values[place] = new
    return content[:start] + values.tobytes() + content[start + values.nbytes :]


def _meaning(content: bytes, suffix: str) -> tuple[np.ndarray, np.ndarray] | None:
    """What another reader takes the file for: voxels and RAS matrix; None where it refuses."""
    if suffix == ".nrrd":
        return text_headers.read_nrrd(content)
    if suffix == ".mha":
        return text_headers.read_mha(content)
    try:
        raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        kind = nibabel.Nifti2Image if raw[4:8] == b"n+2\0" else nibabel.Nifti1Image
        if (raw[4:8] if kind is nibabel.Nifti2Image else raw[344:348]) not in (b"n+1\0", b"n+2\0"):
            return None
        if not any(raw[168:176] if kind is nibabel.Nifti2Image else raw[108:112]):
            return None  # vox_offset was left empty, for which nibabel reads the header as voxels
        image = kind.from_stream(io.BytesIO(raw))
        with np.errstate(all="ignore"):
            voxels = np.asanyarray(image.dataobj)
        while voxels.ndim > 3 and voxels.shape[-1] == 1:
            voxels = voxels[..., 0]
        return (voxels.T, _nifti_matrix(image.header)) if voxels.ndim == 3 else None
    except (nibabel.spatialimages.HeaderDataError, ValueError, OSError, EOFError, KeyError, TypeError, zlib.error, MemoryError):
        return None
    except (nibabel.filebasedimages.ImageFileError, nibabel.wrapstruct.WrapStructError, OverflowError):
        return None


def _nifti_matrix(header: nibabel.Nifti1Header) -> np.ndarray:
    """As ITK: the sform where it is alone or of the scanner, else the qform; without either the axes are left, posterior, superior."""
    unit = _MM_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    qform, sform = header.get_qform(coded=True), header.get_sform(coded=True)
    if qform[1] <= 0 and sform[1] <= 0:
        matrix = np.diag([*np.abs(header["pixdim"][1:4]), 1.0]) @ np.diag([1.0, 1, 1, 1])
        matrix = np.diag([-1.0, -1, 1, 1]) @ matrix
    elif sform[1] > 0 and (qform[1] <= 0 or sform[1] == 1):
        matrix = sform[0].astype(float)
    else:
        matrix = qform[0].astype(float)
    return np.diag([unit, unit, unit, 1.0]) @ matrix


def _compare(found_kji: np.ndarray, geometry: object | None, wanted: tuple[np.ndarray, np.ndarray], what: str) -> None:
    """Voxels, and their place where there is one."""
    voxels, matrix = wanted
    must(found_kji.shape == voxels.shape, WRONG, f"{what}: shape {found_kji.shape} instead of {voxels.shape}")
    with np.errstate(all="ignore"):
        same = np.isclose(found_kji.astype(float), voxels.astype(float), rtol=1e-5, atol=1e-6, equal_nan=True)
    must(same.all(), WRONG, f"{what}: {int((~same).sum())} of {same.size} voxels differ")
    if geometry is None:
        return
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in voxels.shape[::-1]], indexing="ij")).reshape(3, -1).T
    places = corners @ matrix[:3, :3].T + matrix[:3, 3]
    away = np.linalg.norm(geometry.corners_ras() - places, axis=1).max()
    size = np.linalg.norm(places - places.mean(axis=0), axis=1).max()
    allowed = _PLACE_MM + 2e-5 * np.abs(places).max() + size * np.radians(_SNAP_DEG)
    must(away <= allowed, WRONG, f"{what}: the place is {away:.3g} mm off")


def _segment(path: Path, folder: Path, session: Path, volume_kji: np.ndarray, geometry: object) -> None:
    """Through the whole command; labels are known where the voxels need no resampling."""
    import SimpleITK as sitk

    out = folder / "labels.nii.gz"
    run_command("segment", path, "-o", out, "--model", shared_package(session), "--device", "cpu")
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(out)))
    must(found.shape == volume_kji.shape, WRONG, f"labels of shape {found.shape} for a volume of {volume_kji.shape}")
    if np.allclose(geometry.spacing_ijk_mm, 1.0) and geometry.obliquity_deg < 45:
        must((found == steps_of(volume_kji)).all(), WRONG, "labels differ")
