"""The bytes of a file, unpacked where it is gzip; nothing is taken for whole that is not. Standard library only."""

import os
import zlib
from typing import BinaryIO

_BLOCK_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"
_BEST_COMPRESSION = 1032  # of zlib


class UnpackedStream:
    """The bytes of a file, unpacked where it is gzip (of any number of members), whose check sums are compared."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._is_packed = stream.read(2) == _GZIP_MAGIC
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self.most_bytes = size * _BEST_COMPRESSION if self._is_packed else size
        self._member = zlib.decompressobj(31) if self._is_packed else None
        self._packed = b""
        self._head = b""
        self._done = 0

    def read_up_to(self, count: int) -> bytes:
        """The first `count` bytes, or all there are; they are read again by `fill`."""
        while len(self._head) < count and (block := self._block(count - len(self._head))):
            self._head += block
        return self._head[:count]

    def fill(self, target: memoryview, start: int) -> int:
        """Copy the bytes from `start` on into `target`, and read to the end; returns how many there were for it."""
        filled, position, block = 0, 0, self._head or self._block(_BLOCK_BYTES)
        while block:
            useful = block[max(0, start - position) :][: len(target) - filled]
            target[filled : filled + len(useful)] = useful
            filled, position = filled + len(useful), position + len(block)
            if filled == len(target) and not self._is_packed:
                break
            block = self._block(_BLOCK_BYTES)
        return filled

    def _block(self, count: int) -> bytes:
        if not self._is_packed:
            return self._stream.read(count)
        while self._member is not None:
            self._packed = self._packed or self._stream.read(_BLOCK_BYTES)
            if not self._packed:
                raise ValueError("its compressed data end too early: it is truncated; get the file again")
            block = self._member.decompress(self._packed, count)
            self._packed = self._member.unconsumed_tail
            if self._member.eof:
                self._packed = self._member.unused_data or self._stream.read(_BLOCK_BYTES)
                # What follows the last member is padding, which gzip ignores too.
                self._member = zlib.decompressobj(31) if self._packed.startswith(_GZIP_MAGIC) else None
            if block:
                return block
        return b""
