"""NRRD and MHA files, written and read strictly by a few lines of their own: what the product reads is compared with that."""

import re
import zlib

import numpy as np

_NRRD_TYPES = {
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "float": "f4",
    "int": "i4",
}
_MHA_TYPES = {"MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_FLOAT": "f4", "MET_INT": "i4"}
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SPACES = {
    "left-posterior-superior": _LPS,
    "right-anterior-superior": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1, 1, 1]),
}
Read = tuple[np.ndarray, np.ndarray]


def nrrd_bytes(volume_kji: np.ndarray, matrix: np.ndarray, is_packed: bool) -> tuple[bytes, int]:
    """A file, and where its voxels begin."""
    lps = _LPS @ matrix
    kind = next(name for name, code in _NRRD_TYPES.items() if code == volume_kji.dtype.str[1:])
    vectors = " ".join("(" + ",".join(repr(float(x)) for x in lps[:3, axis]) + ")" for axis in range(3))
    origin = "(" + ",".join(repr(float(x)) for x in lps[:3, 3]) + ")"
    head = (
        f"NRRD0004\n# a volume\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(str(n) for n in volume_kji.shape[::-1])}\nspace directions: {vectors}\nkinds: domain domain domain\n"
        f"endian: little\nencoding: {'gzip' if is_packed else 'raw'}\nspace origin: {origin}\nnote:=none\n\n"
    ).encode()
    body = volume_kji.tobytes()
    if is_packed:
        packer = zlib.compressobj(wbits=31)
        body = packer.compress(body) + packer.flush()
    return head + body, len(head)


def read_nrrd(content: bytes) -> Read | None:
    """Voxels (K, J, I) and the RAS matrix; None for whatever is not exactly a file of the kind above."""
    head, separator, body = content.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        entries = [line.split(": ") for line in lines[1:] if not line.startswith("#") and ":=" not in line]
        fields = dict(entries)
        if not re.fullmatch("NRRD000[45]", lines[0]) or not separator or len(fields) != len(entries):
            return None
        if set(fields) != {
            "type",
            "dimension",
            "space",
            "sizes",
            "space directions",
            "kinds",
            "endian",
            "encoding",
            "space origin",
        }:
            return None
        if fields["dimension"] != "3" or fields["kinds"] != "domain domain domain":
            return None
        order = {"little": "<", "big": ">"}[fields["endian"]]
        dtype = np.dtype(order + _NRRD_TYPES[fields["type"]])
        body = {"raw": bytes, "gzip": lambda packed: zlib.decompress(packed, wbits=31)}[fields["encoding"]](body)
        shape = [int(n) for n in fields["sizes"].split(" ")]
        vectors = [_numbers(vector.strip("()"), ",") for vector in fields["space directions"].split(" ")]
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = np.array(vectors).T, _numbers(fields["space origin"].strip("()"), ",")
        return _voxels(body, dtype, shape), _SPACES[fields["space"]] @ matrix
    except (ValueError, KeyError, zlib.error):
        return None


def mha_bytes(volume_kji: np.ndarray, matrix: np.ndarray, is_packed: bool) -> tuple[bytes, int]:
    """A file, and where its voxels begin."""
    lps, body = _LPS @ matrix, volume_kji.tobytes()
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    body = zlib.compress(body) if is_packed else body
    kind = next(name for name, code in _MHA_TYPES.items() if code == volume_kji.dtype.str[1:])
    packed = f"CompressedDataSize = {len(body)}\n" if is_packed else ""
    head = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = {is_packed}\n{packed}"
        f"TransformMatrix = {_joined((lps[:3, :3] / spacing).T.ravel())}\nOffset = {_joined(lps[:3, 3])}\n"
        f"CenterOfRotation = 0 0 0\nElementSpacing = {_joined(spacing)}\nDimSize = {_joined(volume_kji.shape[::-1])}\n"
        f"ElementType = {kind}\nElementDataFile = LOCAL\n"
    ).encode()
    return head + body, len(head)


def read_mha(content: bytes) -> Read | None:
    """As read_nrrd."""
    head, separator, body = content.partition(b"ElementDataFile = LOCAL\n")
    try:
        entries = [line.split(" = ") for line in head.decode("ascii").split("\n")[:-1]]
        fields = dict(entries)
        wanted = {"ObjectType", "NDims", "BinaryData", "BinaryDataByteOrderMSB", "CompressedData", "TransformMatrix", "Offset"}
        wanted |= {"CenterOfRotation", "ElementSpacing", "DimSize", "ElementType"}
        if not separator or len(fields) != len(entries) or set(fields) - {"CompressedDataSize"} != wanted:
            return None
        if (fields["ObjectType"], fields["NDims"], fields["BinaryData"]) != ("Image", "3", "True"):
            return None
        order = {"False": "<", "True": ">"}[fields["BinaryDataByteOrderMSB"]]
        dtype = np.dtype(order + _MHA_TYPES[fields["ElementType"]])
        if fields["CompressedData"] == "True":
            if int(fields.get("CompressedDataSize", "-1")) != len(body):
                return None
            body = zlib.decompress(body)
        elif fields["CompressedData"] != "False":
            return None
        matrix = np.eye(4)
        directions = np.array(_numbers(fields["TransformMatrix"], " ")).reshape(3, 3).T
        matrix[:3, :3] = directions * _numbers(fields["ElementSpacing"], " ")
        matrix[:3, 3] = _numbers(fields["Offset"], " ")
        return _voxels(body, dtype, [int(n) for n in fields["DimSize"].split(" ")]), _LPS @ matrix
    except (ValueError, KeyError, zlib.error):
        return None


def _voxels(body: bytes, dtype: np.dtype, shape: list[int]) -> np.ndarray:
    count = int(np.prod(shape))
    if len(shape) != 3 or min(shape) < 1 or len(body) < count * dtype.itemsize:
        raise ValueError("too few bytes")
    return np.frombuffer(body[: count * dtype.itemsize], dtype).reshape(shape[::-1]).astype(dtype.newbyteorder("="))


def _numbers(text: str, separator: str) -> list[float]:
    parts = text.split(separator)
    if any(not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", part) for part in parts):
        raise ValueError(text)
    return [float(part) for part in parts]


def _joined(numbers: object) -> str:
    return " ".join(repr(n.item() if isinstance(n, np.generic) else n) for n in numbers)
