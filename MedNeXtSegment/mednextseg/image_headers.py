"""What the readers of NRRD and MetaImage files share: numbers that everybody reads alike, and compressed voxels checked to their end.

Readers that stop at the last voxel never see the check sum. Standard library only.
"""

import re
import zlib
from typing import BinaryIO

# The end of the warning for headers that leave the place open.
TAKEN_FOR_PLACE = "for what is missing, 1 mm, the axes left, posterior, superior and the origin were taken."
_BLOCK_BYTES = 1 << 20
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


def check_packed(stream: BinaryIO, packed_bytes: int, wanted_bytes: int) -> None:
    """Inflate zlib or gzip data from where the stream stands, and compare length and check sum; nothing is kept.

    Args:
        stream: at the first byte of the data.
        packed_bytes: how many bytes at the most they are.
        wanted_bytes: how many they must become.
    Raises:
        ValueError, zlib.error: where they are damaged, end too early or are of another length.
    """
    member, found = zlib.decompressobj(32 + zlib.MAX_WBITS), 0
    while not member.eof:
        block = member.unconsumed_tail or stream.read(min(_BLOCK_BYTES, packed_bytes))
        if not member.unconsumed_tail:
            packed_bytes -= len(block)
        if not block:
            raise ValueError("its compressed data end too early: it is truncated; get the file again")
        found += len(member.decompress(block, _BLOCK_BYTES))
        if found > wanted_bytes:
            break
    if found != wanted_bytes:
        size = "more" if found > wanted_bytes else f"only {found}"
        raise ValueError(f"its voxels take {wanted_bytes} bytes, and its compressed data hold {size}; get the file again")


def is_plain_number(text: str) -> bool:
    """Whether every reader takes a text for the same finite number; of "1_0" or "1.5x" some read a part, in silence."""
    return _PLAIN_NUMBER.fullmatch(text) is not None and abs(float(text)) < float("inf")
