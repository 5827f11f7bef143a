"""Reading checkpoints of other programs without running their code.

A pickle is a program: it may name any Python function and call it. Here only the names that training programs leave in their files are
known, each by a stand-in that can do nothing but rebuild data; every other name is refused. PyTorch's own `weights_only=True` is not
enough: it refuses the loss curves of nnU-Net (numpy scalars) and the optimizer object of SAM-Med2D, which are harmless.
"""

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from mednextseg.models.pickles import pickled_numpy

# First bytes of a file written by torch.save before version 1.6: the pickled magic number of torch.serialization.
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# The one function that nnU-Net v2 names in its clean-up; its name is all that is needed of it, and a text cannot be called.
KEEP_LARGEST_OF_NNUNET_V2 = "remove_all_but_largest_component_from_segmentation"
_ZIP_MAGIC = b"PK\x03\x04"
# What the pickle machine and torch raise for data that does not fit together.
_MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


class RefusedPickleError(ValueError):
    """The file names something that could run code."""


class Inert:
    """Stands in for an object that is not needed, such as an optimizer: takes whatever its pickle gives it, and keeps nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Ignore a list item."""


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a file of torch.save (the zip format, or the one before PyTorch 1.6), tensors on the CPU.

    Args:
        path: the checkpoint.
    Returns:
        The dictionary it holds; optimizer objects are replaced by `Inert` ones.
    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for a file that is truncated, of another kind, or names anything outside the allow-list (`RefusedPickleError`).
    """
    path = Path(path)
    with path.open("rb") as stream:
        head = stream.read(len(_LEGACY_MAGIC))
    if head.startswith(_ZIP_MAGIC):
        _check_container(path)
    elif head != _LEGACY_MAGIC:
        raise ValueError(f"{path.name} is not a PyTorch checkpoint; give the file that the training program saved.")
    content = _guarded(path, lambda: torch.load(path, map_location="cpu", pickle_module=_TorchPickle, weights_only=False))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds a {type(content).__name__} where a checkpoint holds a dictionary of tensors.")
    return content


def load_pickle(path: str | Path) -> Any:
    """Read a plain pickle of built-in values and numpy arrays, such as nnU-Net's plans.pkl and *.model.pkl.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for a file that is truncated, or names anything outside the allow-list (`RefusedPickleError`).
    """
    path = Path(path)
    with path.open("rb") as stream:
        return _guarded(path, lambda: RestrictedUnpickler(stream).load())


class RestrictedUnpickler(pickle.Unpickler):
    """Knows the names below and no other."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name.

        Raises:
            RefusedPickleError: for a name that is not on the allow-list.
        """
        known = _ALLOWED.get((module, name))
        if known is None and module == "torch":
            known = _torch_dtype_or_storage(name)
        if known is None and (module == "torch.optim" or module.startswith("torch.optim.")):
            known = Inert
        if known is None:
            raise RefusedPickleError(f"the file asks for {module}.{name}, which could run code, so it was not opened")
        return known


class _TorchPickle:
    """The face of the pickle module that torch.load asks for."""

    Unpickler = RestrictedUnpickler

    @staticmethod
    def load(stream: BinaryIO, **options: Any) -> Any:
        return RestrictedUnpickler(stream, **options).load()


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RefusedPickleError as refusal:
        raise RefusedPickleError(f"{path.name}: {refusal}; use weights from a source you trust.") from None
    except _MALFORMED as error:
        reason = str(error).split("\n", 1)[0].rstrip(".") or type(error).__name__
        raise ValueError(f"{path.name} is truncated or not a whole checkpoint ({reason}); download it again.") from error


def _check_container(path: Path) -> None:
    """Refuse archives that torch.save does not write: compressed entries can be bombs, and TorchScript archives hold programs."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (*_MALFORMED, OSError) as error:  # names that are no text, offsets before the beginning, ...
        raise ValueError(f"{path.name} is truncated or not a whole checkpoint ({error}); download it again.") from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("constants.pkl") for name in names):
        raise ValueError(f"{path.name} is a TorchScript program, not a checkpoint; give the state dict of its network.")
    if not any(name.endswith("data.pkl") for name in names):
        raise ValueError(
            f"{path.name} is a zip archive without a checkpoint's data.pkl; unpack it or give the checkpoint itself."
        )
    size = path.stat().st_size
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(e.file_size for e in entries) > size:
        raise ValueError(f"{path.name} holds compressed or overlapping entries, which PyTorch never writes; it was not opened.")


def _torch_dtype_or_storage(name: str) -> object | None:
    value = getattr(torch, name, None) if name.isidentifier() else None
    is_storage = isinstance(value, type) and name.endswith("Storage") and value.__module__ in ("torch", "torch.storage")
    return value if is_storage or isinstance(value, torch.dtype) else None


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Protocol 2 writes bytes as _codecs.encode(text, "latin1"); other codecs can decompress or worse."""
    if encoding not in ("latin1", "latin-1"):
        raise RefusedPickleError(f"the file asks for _codecs.encode with {encoding!r}, which checkpoints do not use")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Protocol 2 writes empty bytes as a call of bytes(); with an argument it could fill the memory."""
    return b""


def _default_dict(factory: object = None, *items: object) -> dict:
    """A defaultdict without its factory."""
    return dict(*items)


def _path_text(*parts: str) -> str:
    """A pickled path, as text: nothing here may follow it."""
    return "/".join(parts)


_BUILT_IN = {"set": set, "dict": dict, "bytes": _no_bytes}
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _default_dict,
    ("_codecs", "encode"): _encode,
    ("nnunetv2.postprocessing.remove_connected_components", KEEP_LARGEST_OF_NNUNET_V2): KEEP_LARGEST_OF_NNUNET_V2,
    ("torch", "device"): torch.device,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    **{(module, name): known for module in ("builtins", "__builtin__") for name, known in _BUILT_IN.items()},
    **{("pathlib", name): _path_text for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")},
    **pickled_numpy.STAND_INS,
}
