"""Arrays between the worker and its client: raw files in a private folder, described in JSON, mapped rather than read where large.

A description is {"file": NAME, "shape": [...], "dtype": "int16"}; the file holds the elements in C order. Who reads a file removes it.
Light on purpose (standard library and numpy): Slicer's process imports this file.
"""

import math
import re
from itertools import count
from pathlib import Path

import numpy as np

_NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DTYPES = tuple(np.dtype(name) for name in "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64".split())
_KEYS = {"file", "shape", "dtype"}


class ArrayFolder:
    """The folder that holds the arrays of one worker.

    Args:
        folder: an existing folder that only this user may enter.
        writer: prefix of the names this side writes, so that the two sides never choose the same one.
    """

    def __init__(self, folder: str | Path, writer: str) -> None:
        self.folder = Path(folder).resolve()
        self._writer = writer
        self._numbers = count()

    def write(self, array: np.ndarray) -> dict:
        """Write an array (any shape; a dtype of the list above) to a new file; returns its description.

        Raises:
            ValueError: for another dtype.
            OSError: where the disk is full.
        """
        dtype = _allowed_dtype(array.dtype.name)
        path = self.folder / f"{self._writer}{next(self._numbers)}.raw"
        try:
            np.ascontiguousarray(array, dtype=dtype).tofile(path)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OSError(f"an array of {array.nbytes} bytes did not fit into {self.folder}; make room there.") from error
        return {"file": path.name, "shape": list(array.shape), "dtype": dtype.name}

    def map(self, description: dict) -> np.ndarray:
        """The array, read-only, without reading it into memory; the file stays."""
        path, shape, dtype = self._checked(description)
        return np.memmap(path, dtype=dtype, mode="r", shape=shape)

    def take(self, description: dict) -> np.ndarray:
        """The array in memory; the file is removed."""
        path, shape, dtype = self._checked(description)
        array = np.fromfile(path, dtype=dtype).reshape(shape)
        path.unlink()
        return array

    def remove(self, description: dict) -> None:
        """Remove the array's file; a file that is still mapped on Windows goes with the folder instead."""
        try:
            self.path(description["file"]).unlink(missing_ok=True)
        except PermissionError:
            return

    def path(self, name: str) -> Path:
        """The path of a file of this folder.

        Raises:
            ValueError: for anything but a plain name of a file that lies here, so that no request can reach beyond.
        """
        if not isinstance(name, str) or not _NAME_PATTERN.fullmatch(name):
            raise ValueError(f"an array's file must be a plain file name (letters, digits, . _ -), got {name!r}.")
        path = self.folder / name
        if path.is_symlink():
            raise ValueError(f"the array's file {name!r} is a link; only plain files are read.")
        return path

    def _checked(self, description: dict) -> tuple[Path, tuple[int, ...], np.dtype]:
        if not is_description(description):
            raise ValueError(f"an array is described by file, shape and dtype, got {description!r}.")
        path, dtype = self.path(description["file"]), _allowed_dtype(description["dtype"])
        shape = description["shape"]
        if not isinstance(shape, list) or not shape or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"an array's shape must be a list of positive integers, got {shape!r}.")
        if not path.is_file():
            raise ValueError(f"there is no array file {path.name!r}; send the array again.")
        expected, found = math.prod(shape) * dtype.itemsize, path.stat().st_size
        if found != expected:
            raise ValueError(f"the array file {path.name!r} has {found} bytes instead of {expected}; send the array again.")
        return path, tuple(shape), dtype


def is_description(value: object) -> bool:
    """Whether a JSON value describes an array."""
    return isinstance(value, dict) and set(value) == _KEYS


def _allowed_dtype(name: str) -> np.dtype:
    for dtype in _DTYPES:
        if dtype.name == name:
            return dtype
    raise ValueError(f"arrays may be {', '.join(d.name for d in _DTYPES)}, got {name!r}; convert the array first.")
