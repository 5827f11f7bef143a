"""What the kinds of inputs share: volumes whose labels are known, a network that gives them, odd values, and damage to bytes and JSON."""

import copy
import json
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
from scipy.spatial.transform import Rotation
from tiny_models import step_network, write_package

LEVELS, THRESHOLDS = (0, 50, 100), (25.5, 75.5)
LABELS = ("middle", "bright")
_ODD_NUMBERS = (
    0,
    -1,
    1,
    2,
    3,
    7,
    255,
    256,
    -32768,
    32768,
    65536,
    2**31,
    2**63,
    -(2**63),
    10**30,
    0.5,
    -0.5,
    1e-30,
    1e30,
    1e308,
)
ODD_VALUES = (
    *_ODD_NUMBERS, None, True, False, "", "x", "0", "1.5", "no", "nan", "\u00e9\u4e2d", "../../x", "a,b", "x" * 500,
    [], [0], [1, 2, 3], [None], ["x"], [[]], [1e308, 1e308, 1e308], [-1, -1, -1], {}, {"x": 1}, {"": None}, {"value": 1},
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip


def step_volume(rng: np.random.Generator, shape_kji: tuple[int, ...], dtype: str = "int16") -> np.ndarray:
    """Voxels of three levels, different everywhere, so that any flip or shift shows."""
    return rng.choice(LEVELS, shape_kji).astype(dtype)


def steps_of(volume: np.ndarray) -> np.ndarray:
    """The labels that the step network gives."""
    return np.digitize(volume, THRESHOLDS).astype(np.uint8)


def random_shape(rng: np.random.Generator, low: int = 2, high: int = 12) -> tuple[int, int, int]:
    return tuple(int(n) for n in rng.integers(low, high + 1, 3))


def random_matrix(rng: np.random.Generator, spacing: np.ndarray | None = None) -> np.ndarray:
    """IJK to RAS: any order and sign of the axes, sometimes oblique, mirrored or far away."""
    spacing = rng.uniform(0.4, 4.0, 3).round(3) if spacing is None else spacing
    axes = np.eye(3)[:, rng.permutation(3)] * rng.choice([-1, 1], 3)
    if rng.random() < 0.4:
        axes = Rotation.from_euler("xyz", rng.uniform(-30, 30, 3), degrees=True).as_matrix() @ axes
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = rng.uniform(-300, 300, 3).round(2)
    return matrix


def write_nifti(path: Path, volume_kji: np.ndarray, matrix: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(volume_kji.T, matrix)
    image.set_qform(matrix, 1)
    image.set_sform(matrix, 1)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def step_package(folder: Path, **card: object) -> Path:
    """A model package whose network labels a voxel by its intensity alone, see `steps_of`."""
    channel = {"name": "MR", "modality": "other", "normalization": {"scheme": "none"}}
    usual = {"channels": [channel], "patch_size_kji": [16, 16, 16], "overlap": 0.0}
    return write_package(folder, _network(), LABELS, **{**usual, **card})


@cache
def _network() -> object:
    return step_network(THRESHOLDS)


def shared_package(session: Path) -> Path:
    """The step network at a spacing of 1 mm, made once a session."""
    folder = session / "models" / "steps"
    return folder if folder.is_dir() else step_package(folder)


def damaged(rng: np.random.Generator, content: bytes, start: int = 0, stop: int | None = None) -> bytes:
    """Content with one damage between two bytes: cut off, bits turned, bytes replaced, a piece missing, doubled or put in."""
    stop = len(content) if stop is None else min(stop, len(content))
    if stop <= start:
        return content
    place, data = int(rng.integers(start, stop)), bytearray(content)
    length = int(rng.integers(1, 9))
    damage = int(rng.integers(6))
    if damage == 0:
        return bytes(data[:place])
    if damage == 1:
        data[place] ^= 1 << int(rng.integers(8))
    elif damage == 2:
        data[place : place + length] = rng.integers(0, 256, min(length, len(data) - place), dtype=np.uint8).tobytes()
    elif damage == 3:
        del data[place : place + length]
    elif damage == 4:
        data[place:place] = data[place : place + length]
    else:
        data[place:place] = rng.choice([b"\0", b"\xff", b"\n", b"-", b"9", b" "]) * length
    return bytes(data)


def changed_json(rng: np.random.Generator, value: object, odd: tuple = ODD_VALUES) -> tuple[object, tuple]:
    """A copy of a JSON value with one entry replaced, removed, doubled or added; and the path to it."""
    result = copy.deepcopy(value)
    places = list(_places(result))
    holder, key, path = places[int(rng.integers(len(places)))]
    choice, new = rng.random(), odd[int(rng.integers(len(odd)))]
    if choice < 0.6:
        holder[key] = new
    elif choice < 0.75:
        del holder[key]
    elif choice < 0.9 and isinstance(holder, list):
        holder.insert(int(rng.integers(len(holder) + 1)), copy.deepcopy(holder[key]))
    elif isinstance(holder, dict):
        name = str(rng.choice(["x", "", "id", "value", "name", "version"]))
        holder[name], path = new, (*path[:-1], name)
    else:
        holder.append(new)
    return result, path


def json_text(rng: np.random.Generator, value: object) -> bytes:
    """As JSON; now and then with damage to the text itself."""
    content = json.dumps(value).encode()
    return damaged(rng, content) if rng.random() < 0.2 else content


def _places(value: object, path: tuple = ()) -> object:
    """(holder, key, path) of every entry, at any depth."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(pairs):
        yield value, key, (*path, key)
        yield from _places(entry, (*path, key))
