"""numpy values inside pickles, rebuilt from plain numbers only.

numpy's own functions trust what a pickle says: the flags of a dtype, for instance, decide whether bytes are taken for addresses of
objects. So dtypes are described by their code alone, and arrays and scalars are made from bytes of a size that fits.
"""

import re
from typing import Any

import numpy as np

# Booleans, integers, floats, complex numbers, byte strings and text of a fixed width; and lists of objects.
_PLAIN_CODE = re.compile(r"^([?]|[biufc][0-9]{1,2}|[SU][0-9]{1,6})$")
_OBJECT_CODES = ("O", "O8", "O4")
_BYTE_ORDERS = ("<", ">", "|", "=")


class PickledDtype:
    """A numpy.dtype as its pickle describes it: `code` such as "f8", `byte_order` such as "<"."""

    def __init__(self, code: str = "", align: bool = False, copy: bool = False) -> None:
        self.code, self.byte_order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.byte_order = state[1]

    def resolve(self) -> np.dtype:
        """The numpy dtype.

        Raises:
            ValueError: for records and other dtypes that training programs do not write.
        """
        if self.byte_order not in _BYTE_ORDERS:
            raise ValueError(f"the byte order {self.byte_order!r} does not exist")
        if self.code in _OBJECT_CODES:
            return np.dtype(object)
        if not isinstance(self.code, str) or not _PLAIN_CODE.match(self.code):
            raise ValueError(f"arrays of type {self.code!r} are not read")
        return np.dtype(self.code).newbyteorder(self.byte_order)


class PickledArray(np.ndarray):
    """An array that is filled by its pickled state; a plain array in every other respect."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, is_fortran, values = state
        resolved = dtype.resolve()
        if resolved == np.dtype(object) and not isinstance(values, list):
            raise ValueError("an array of objects must be pickled as a list")
        super().__setstate__((version, shape, resolved, is_fortran, values))


class _ArrayType:
    """What numpy.ndarray becomes: only `_reconstruct` takes it, and nothing can call it."""


_NDARRAY = _ArrayType()


def _reconstruct(kind: object, shape: tuple, code: object) -> PickledArray:
    if kind is not _NDARRAY:
        raise ValueError("only plain arrays are read")
    return PickledArray((0,), dtype=np.uint8)


def _scalar(dtype: PickledDtype, data: bytes) -> Any:
    resolved = dtype.resolve()
    if resolved == np.dtype(object) or len(data) != resolved.itemsize:
        raise ValueError("a number must be pickled as its own bytes")
    return np.frombuffer(data, resolved)[0] if data else resolved.type()


# numpy 2 writes numpy._core, older ones numpy.core.
STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): PickledDtype,
    ("numpy", "ndarray"): _NDARRAY,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
}
