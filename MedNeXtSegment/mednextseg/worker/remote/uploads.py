"""What a client has sent: files named by their SHA-256, resumed where they broke off, and not sent again while they are kept."""

import hashlib
import os
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mednextseg.worker.protocol import INVALID_INPUT, ProtocolError

# Long enough for another run on the same volume after a pause, short enough for data of patients.
KEPT_S = 3600.0


@dataclass
class _Upload:
    """A file on its way, or whole."""

    path: Path
    size: int
    received: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    used_s: float = field(default_factory=time.monotonic)

    @property
    def is_whole(self) -> bool:
        return self.received == self.size


class Uploads:
    """The uploads of one client, whatever connection they came by; called from any thread.

    Args:
        folder: of this client alone; made here and emptied, since nobody knows any more what a server that was killed left in it.
        quota_bytes: of all its files.
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        self._folder, self._quota = folder, quota_bytes
        self._files: dict[str, _Upload] = {}
        self._lock = threading.RLock()

    def offset(self, sha256: str, size: int) -> int:
        """How many bytes of a file are here, from its beginning on: the next piece begins there.

        Raises:
            ProtocolError: INVALID_INPUT, where the quota or the disk has no room for it.
        """
        with self._lock:
            upload = self._files.get(sha256)
            if upload is None:
                self._make_room(size)
                upload = self._files[sha256] = _Upload(self._folder / sha256, size)
                upload.path.touch(mode=0o600)
            if upload.size != size:
                raise ProtocolError(INVALID_INPUT, f"the upload has {upload.size} bytes and not {size}; send the array again.")
            upload.used_s = time.monotonic()
            return upload.received

    def append(self, sha256: str, offset: int, content: bytes) -> None:
        """Take the next piece; one that is here already is left out.

        Raises:
            ProtocolError: INVALID_INPUT, for a piece that does not follow, or a whole with another SHA-256; the upload is gone then.
        """
        with self._lock:
            upload = self._files.get(sha256)
            if upload is None or offset > upload.received or offset + len(content) > upload.size:
                self._forget(sha256)
                raise ProtocolError(INVALID_INPUT, "a piece of an array does not follow the one before; send the array again.")
            content = content[upload.received - offset :]
            try:
                with upload.path.open("ab") as stream:
                    stream.write(content)
            except OSError as error:
                self._forget(sha256)
                raise ProtocolError(INVALID_INPUT, "the server's disk has no room for the array; make room there.") from error
            upload.digest.update(content)
            upload.received += len(content)
            upload.used_s = time.monotonic()
            if upload.is_whole and upload.digest.hexdigest() != sha256:
                self._forget(sha256)
                raise ProtocolError(INVALID_INPUT, "an array arrived with another SHA-256 than it was sent; send it again.")

    def lend(self, sha256: str, target: Path) -> None:
        """Put a whole file at another place of the same disk, without copying it.

        Raises:
            ProtocolError: INVALID_INPUT, where it is not here, or not whole.
        """
        with self._lock:
            upload = self._files.get(sha256)
            if upload is None or not upload.is_whole:
                raise ProtocolError(INVALID_INPUT, "the server does not have the array of this request; send it again.")
            upload.used_s = time.monotonic()
            os.link(upload.path, target)

    def remove_old(self, kept_s: float = KEPT_S) -> None:
        """Delete what was not used for so long."""
        with self._lock:
            limit = time.monotonic() - kept_s
            for sha256 in [sha256 for sha256, upload in self._files.items() if upload.used_s <= limit]:
                self._forget(sha256)

    def _make_room(self, size: int) -> None:
        """Delete what was used longest ago until the quota has room."""
        free = shutil.disk_usage(self._folder).free
        if size > self._quota or size > free:
            most = min(self._quota, free)
            text = f"an array of {size} bytes is too large for this server, which has room for {most}; choose a smaller volume."
            raise ProtocolError(INVALID_INPUT, text)
        by_age = sorted(self._files, key=lambda sha256: self._files[sha256].used_s)
        while sum(upload.size for upload in self._files.values()) + size > self._quota:
            self._forget(by_age.pop(0))

    def _forget(self, sha256: str) -> None:
        upload = self._files.pop(sha256, None)
        if upload is not None:
            upload.path.unlink(missing_ok=True)
