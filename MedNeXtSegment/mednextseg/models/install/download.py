"""Fetching one file over the network: only when asked to, resumable, checked by its SHA-256 before anyone sees it.

urllib honors the proxy settings of the system and of HTTP_PROXY, HTTPS_PROXY and NO_PROXY; SSL_CERT_FILE names certificates of an
institution's own. Standard library only.
"""

import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from mednextseg.errors import Cancelled
from mednextseg.models.library import sha256_of

_BLOCK_BYTES = 1 << 18
_TIMEOUT_S = 30


def download(
    url: str,
    target: Path,
    sha256: str,
    progress: Callable[[int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Fetch a file; a part left by an interrupted try is continued, and a whole one is not fetched again.

    Args:
        url: http or https address.
        target: where the whole file goes; the part lies beside it as NAME.part.
        sha256: hex digest the file must have.
        progress: called with the bytes so far and the bytes in all (None where the server does not say).
        cancelled: asked between blocks; returns True to stop, keeping the part.
    Returns:
        `target`.
    Raises:
        ValueError: for another kind of address, or a file with another hash (which is deleted).
        ConnectionError: where the server cannot be reached or answers with an error.
        Cancelled: where the caller stopped.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"models are downloaded over http or https only, got {url!r}; install a local file by its path.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    if target.is_file() and sha256_of(target) == sha256.lower():
        return target
    try:
        _fetch(url, part, progress, cancelled)
    except urllib.error.HTTPError as error:
        raise ConnectionError(f"{urlsplit(url).netloc} answered {error.code} ({error.reason}) for {url}.") from error
    except (urllib.error.URLError, ssl.SSLError, TimeoutError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(
            f"{urlsplit(url).netloc} cannot be reached ({reason}); check network, proxy and certificate settings (HTTPS_PROXY, "
            "SSL_CERT_FILE), or download the file elsewhere and install it from disk."
        ) from error
    if sha256_of(part) != sha256.lower():
        part.unlink()
        raise ValueError(f"{target.name} is not the expected file (its SHA-256 differs), so it was deleted; try again.")
    part.replace(target)
    return target


def _fetch(
    url: str, part: Path, progress: Callable[[int, int | None], None] | None, cancelled: Callable[[], bool] | None
) -> None:
    done = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        # An opener of its own: urlopen keeps the proxy settings of its first call for the life of the process.
        answer = urllib.request.build_opener().open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if done and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the part is whole already (or wrong, which its hash will show)
        raise
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            done = 0  # the server sends the file from its start
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        if total is not None and shutil.disk_usage(part.parent).free < total - done:
            raise ConnectionError(f"{url} has {total / 1e6:.0f} MB, more than the disk has free.")
        with part.open("ab" if done else "wb") as stream:
            while block := answer.read(_BLOCK_BYTES):
                if cancelled is not None and cancelled():
                    raise Cancelled("The download was stopped; it can be continued later.")
                stream.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes; try again to continue.")
