"""How the two sides know each other: the SHA-256 fingerprint of the server's certificate, and a token. Standard library only."""

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

# Carries a secret of the client's own, by which the server knows its uploads again.
CLIENT_HEADER = "MedNeXtSegment-Client"
_MINIMUM_LENGTH = 16
_TOKEN = re.compile(r"[\x21-\x7e]+")


def fingerprint_of(certificate_der: bytes) -> str:
    """The SHA-256 of a certificate as people compare it: AB:CD:..., 32 pairs of hex digits."""
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(certificate_der).digest())


def checked_fingerprint(text: str) -> str:
    """A fingerprint as somebody typed or pasted it, in the form of `fingerprint_of`.

    Raises:
        ValueError: for anything but 64 hex digits, with or without colons or spaces.
    """
    digits = re.sub(r"[:\s]", "", text).upper()
    if not re.fullmatch(r"[0-9A-F]{64}", digits):
        raise ValueError(
            f"a fingerprint is 64 hex digits, got {len(digits)} characters; copy it from the server's first lines."
        )
    return ":".join(digits[n : n + 2] for n in range(0, 64, 2))


def checked_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        ValueError: for anything else.
    """
    host, colon, port = text.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"an address is HOST:PORT, such as gpu.example.org:8765, got {text[:100]!r}.")
    return host, int(port)


def checked_token(text: str) -> str:
    """A token without the white space around it.

    Raises:
        ValueError: for one that is short, or has characters that no header can carry. The token is not part of the sentence.
    """
    token = text.strip()
    if not _TOKEN.fullmatch(token) or len(token) < _MINIMUM_LENGTH:
        raise ValueError(f"a token has at least {_MINIMUM_LENGTH} letters, digits or signs and no spaces; make a longer one.")
    return token


def kept_secret(file: Path) -> str:
    """The secret in a file, which is made with a random one, for this user alone, where it does not exist.

    Raises:
        OSError: where it cannot be made or read.
        ValueError: as `checked_token`.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        with suppress(FileExistsError):  # another process was faster: its secret counts
            os.link(temporary, file)
        temporary.unlink()
    return checked_token(file.read_text(encoding="utf-8", errors="replace"))


def is_same(given: str, expected: str) -> bool:
    """Whether two secrets are equal; the time it takes does not tell how far they agree."""
    return hmac.compare_digest(given.encode("utf-8", errors="replace"), expected.encode("utf-8"))
