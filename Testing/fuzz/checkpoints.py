"""Damaged and hostile checkpoints: the network that was saved, or a refusal; nothing in them runs."""

import io
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fuzz.inputs import damaged, shared_package, step_volume, steps_of
from fuzz.outcomes import LEFTOVER, WRONG, Refusal, must, must_equal, refusing

_HOSTILE = (
    ("os", "mkdir"), ("posix", "mkdir"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "open"), ("builtins", "getattr"),
    ("shutil", "rmtree"), ("subprocess", "check_call"), ("numpy", "load"), ("numpy.core.multiarray", "fromfile"), ("torch", "load"),
    ("torch.hub", "load"), ("pathlib", "Path"), ("pathlib", "PosixPath"), ("_codecs", "encode"), ("collections", "defaultdict"),
    ("torch._utils", "_rebuild_tensor_v2"), ("numpy", "dtype"), ("builtins", "bytes"), ("builtins", "set"), ("torch", "Size"),
    ("torch", "device"), ("torch.optim.sgd", "SGD"), ("torch.optim", "os.mkdir"), ("torch", "FloatStorage"), ("torch", "float32"),
)  # fmt: skip


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """One damaged or hostile file."""
    choice = rng.random()
    if choice < 0.35:
        return _hostile(rng, folder)
    if choice < 0.5:
        return _package(rng, folder, session)
    return _damaged_weights(rng, folder, session)


def _damaged_weights(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """A state dict of any file format, damaged anywhere: its names and shapes are the network's, or it is refused."""
    from mednextseg.models.importers.plain import tensors_of
    from mednextseg.models.pickles.restricted_unpickler import load_checkpoint
    from mednextseg.models.weights import network_from_state_dict, read_safetensors

    state = read_safetensors(shared_package(session) / "weights.safetensors")
    form = str(rng.choice(["zip", "legacy", "safetensors"]))
    path = folder / ("weights.safetensors" if form == "safetensors" else "weights.pth")
    if form == "safetensors":
        shutil.copy(shared_package(session) / "weights.safetensors", path)
    else:
        content = {"state_dict": state, "epoch": 7, "curve": [np.float64(0.5)], "fold": np.int64(1)}
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    # Most damage where the structure is: the head and the tail.
    length = len(whole)
    start, stop = [(0, 512), (0, length), (length - 4096, length), (0, 6000)][int(rng.integers(4))]
    is_whole = rng.random() < 0.05
    path.write_bytes(whole if is_whole else damaged(rng, whole, max(start, 0), stop))

    def read() -> torch.nn.Module:
        tensors = read_safetensors(path) if form == "safetensors" else tensors_of(load_checkpoint(path), path.name)
        return network_from_state_dict(tensors)

    try:
        found = refusing(read).state_dict()
    except Refusal as refusal:
        must(not is_whole, WRONG, f"a whole {form} file is refused: {refusal}")
        raise
    must(set(found) == set(state), WRONG, f"{form}: other tensors than were saved")
    differing = [name for name in state if not torch.equal(found[name], state[name])]
    # Files without check sums cannot tell a changed number; those that hold them must.
    must(len(differing) <= 2 or form != "zip", WRONG, f"{form}: {len(differing)} tensors differ")
    must(not (is_whole and differing), WRONG, f"{form}: a whole file is read otherwise")
    return form


def _package(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """A model package with a damaged weights file is refused; its card knows the hash."""
    from mednextseg.models.loaded_model import load_model
    from mednextseg.segment.auto_segmenter import segment

    package = folder / "package"
    shutil.copytree(shared_package(session), package)
    file = package / "weights.safetensors"
    whole = file.read_bytes()
    file.write_bytes(damaged(rng, whole))
    model = refusing(lambda: load_model(package))
    must(file.read_bytes() == whole, WRONG, "damaged weights are opened")
    from mednextseg.geometry import Geometry

    volume = step_volume(rng, (6, 7, 8))
    found, _ = refusing(lambda: segment(volume, Geometry(volume.shape, np.eye(4)), model, device="cpu"))
    must_equal(found, steps_of(volume), "labels")
    return "package"


class _Program:
    """A pickle put together by hand."""

    def __init__(self) -> None:
        self.content = b"\x80\x02"

    def call(self, module: str, name: str, arguments: bytes) -> None:
        """Name something and call it with what the given opcodes make."""
        self.content += b"c" + f"{module}\n{name}\n".encode() + arguments + b"R"


def _hostile(rng: np.random.Generator, folder: Path) -> str:
    """A pickle that calls things, by the allow-list or not, with odd arguments: refused, or plain data, and nothing happens."""
    from mednextseg.models.pickles.restricted_unpickler import load_checkpoint, load_pickle

    canary = folder / "canary"
    program = _Program()
    for _ in range(int(rng.integers(1, 4))):
        module, name = _HOSTILE[int(rng.integers(len(_HOSTILE)))]
        program.call(module, name, _arguments(rng, canary))
    program.content += [b".", b"s.", b"b.", b"}b.", b"a.", b"(lb."][int(rng.integers(6))]
    if rng.random() < 0.2:
        program.content = damaged(rng, program.content)
    path = folder / "file.pkl"
    reader: Callable[[Path], object] = load_pickle
    if rng.random() < 0.4:
        reader = load_checkpoint
        path.write_bytes(_in_zip(program.content) if rng.integers(2) else _LEGACY_HEAD + program.content)
    else:
        path.write_bytes(program.content)
    try:
        refusing(lambda: reader(path))
    finally:
        must(not canary.exists(), LEFTOVER, "a pickle ran code")
        must(sorted(f.name for f in folder.iterdir()) == ["file.pkl"], LEFTOVER, "a pickle wrote a file")
    return "harmless"


_LEGACY_HEAD = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


def _arguments(rng: np.random.Generator, canary: Path) -> bytes:
    """Opcodes that leave a tuple on the stack."""
    text = str(canary).encode()
    pieces = [
        b"X" + struct.pack("<I", len(text)) + text,
        b"X" + struct.pack("<I", 2) + b"f8",
        b"X" + struct.pack("<I", 1) + b"O",
        b"X" + struct.pack("<I", 3) + b"zip",
        b"J" + struct.pack("<i", int(rng.integers(-5, 2**31 - 1))),
        b"K\x03",
        b"N",
        b"\x88",
        b"]",
        b"}",
        b"(K\x02K\x03t",
        b"cnumpy\nndarray\n",
        b"cbuiltins\nset\n",
        b"U\x04abcd",
    ]
    picked = [pieces[int(n)] for n in rng.integers(len(pieces), size=int(rng.integers(0, 5)))]
    return b"(" + b"".join(picked) + b"t"


def _in_zip(content: bytes) -> bytes:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", b"little")
    return buffer.getvalue()
