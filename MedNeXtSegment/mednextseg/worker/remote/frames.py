"""Binary frames between relay and server: pieces of array files, each compressed by itself. Standard library only.

frame     name length (1 byte), name (ASCII), offset in the file (8 bytes, big-endian), zlib stream of at most CHUNK_BYTES
upload    named by the SHA-256 of the whole file in hex; a description in a request then says {"file": "<that>.raw", ...}
download  named as in the description of the result that follows it
"""

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from mednextseg.worker.protocol import BAD_REQUEST, MAX_LINE_BYTES, ProtocolError

CHUNK_BYTES = 1 << 20
# The longest line, or a chunk that did not get smaller, with room for the heads of both.
MAX_FRAME_BYTES = max(CHUNK_BYTES, MAX_LINE_BYTES) + (1 << 12)
# More would cost more time than a hospital's network saves by it (docs/server.md has the figures).
_LEVEL = 1
_OFFSET = struct.Struct(">Q")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def encoded_chunk(name: str, offset: int, content: bytes) -> bytes:
    """A frame with a piece of a file (at most CHUNK_BYTES) that begins at `offset`."""
    ascii_name = name.encode("ascii")
    return bytes([len(ascii_name)]) + ascii_name + _OFFSET.pack(offset) + zlib.compress(content, _LEVEL)


def decoded_chunk(frame: bytes) -> tuple[str, int, bytes]:
    """Name, offset and content of a frame; memory stays bounded whatever the frame claims.

    Raises:
        ProtocolError: BAD_REQUEST, for anything else.
    """
    head = 1 + (frame[0] if frame else 0) + _OFFSET.size
    if len(frame) <= head:
        raise _malformed("it ends within its head")
    name = frame[1 : head - _OFFSET.size].decode("ascii", errors="replace")
    (offset,) = _OFFSET.unpack(frame[head - _OFFSET.size : head])
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(frame[head:], CHUNK_BYTES)
    except zlib.error as error:
        raise _malformed(f"its content cannot be inflated: {error}") from error
    if not inflater.eof or inflater.unconsumed_tail or inflater.unused_data:
        raise _malformed(f"its content is not one whole stream of at most {CHUNK_BYTES} bytes")
    return name, offset, content


def chunks_of(path: Path, begin: int = 0) -> Iterator[tuple[int, bytes]]:
    """Offset and content of the pieces of a file, from `begin` on."""
    with path.open("rb") as stream:
        stream.seek(begin)
        while content := stream.read(CHUNK_BYTES):
            yield begin, content
            begin += len(content)


def checked_sha256(text: object) -> str:
    """A SHA-256 in hex, as it names an upload.

    Raises:
        ProtocolError: BAD_REQUEST, for anything else.
    """
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise ProtocolError(BAD_REQUEST, "an upload is named by its SHA-256 in 64 hex digits; send the array again.")
    return text


def _malformed(why: str) -> ProtocolError:
    return ProtocolError(BAD_REQUEST, f"a binary frame must be a piece of an array ({why}); send the array again.")
