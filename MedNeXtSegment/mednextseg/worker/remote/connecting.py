"""Reaching the server: TLS whose certificate has the fingerprint that was agreed on, then the token. Needs the package websockets."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from mednextseg.errors import sentence_of
from mednextseg.worker.protocol import WORKER_CRASHED, WORKER_NOT_STARTED, ProtocolError
from mednextseg.worker.remote.frames import MAX_FRAME_BYTES
from mednextseg.worker.remote.pinning import CLIENT_HEADER, fingerprint_of

_CONNECT_S = 15.0
_ALIVE_S = 20.0
_HINT = "Check the server in the Set-up section."


class _OtherCertificateError(Exception):
    """The server is another one than was agreed on; its fingerprint is the argument."""


@asynccontextmanager
async def connected(host: str, port: int, fingerprint: str, token: str, client: str) -> AsyncIterator[ClientConnection]:
    """A connection to the server. Nothing is sent to one whose certificate has another fingerprint, not even the token.

    Args:
        host, port: of the server.
        fingerprint: in the form of pinning.fingerprint_of.
        token: that lets us in.
        client: a secret that this computer keeps, by which the server knows its uploads again.
    Raises:
        ProtocolError: WORKER_NOT_STARTED, in one sentence.
    """

    class Pinned(ClientConnection):
        async def handshake(self, *args: Any, **kwargs: Any) -> None:
            shown = fingerprint_of(self.transport.get_extra_info("ssl_object").getpeercert(binary_form=True))
            if shown != fingerprint:
                raise _OtherCertificateError(shown)
            await super().handshake(*args, **kwargs)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Who signed the certificate proves nothing here; that it is the very one is checked above, which is stricter.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        connection = await connect(
            f"wss://{place}/",
            ssl=context,
            additional_headers={"Authorization": f"Bearer {token}", CLIENT_HEADER: client},
            user_agent_header=None,
            compression=None,
            proxy=None,
            open_timeout=_CONNECT_S,
            ping_interval=_ALIVE_S,
            ping_timeout=_ALIVE_S,
            close_timeout=1,
            max_size=MAX_FRAME_BYTES,
            create_connection=Pinned,
        )
    except _OtherCertificateError as error:
        text = f"The server {place} shows another certificate than the one agreed on; its fingerprint is {error}."
        hint = "Ask who runs the server: either its certificate was made anew, or somebody stands between."
        raise ProtocolError(WORKER_NOT_STARTED, text, hint) from error
    except InvalidStatus as error:
        text = bytes(error.response.body or b"").decode("utf-8", errors="replace").strip()[:500]
        raise ProtocolError(WORKER_NOT_STARTED, text or f"The server {place} refuses the connection.", _HINT) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise explained(error, place, "could not be made", WORKER_NOT_STARTED) from error
    async with connection:
        yield connection


def explained(error: BaseException | None, place: str, what: str, code: str = WORKER_CRASHED) -> ProtocolError:
    """Why there is no connection, in a sentence.

    Args:
        error: that ended it; None where the server closed it without one.
        place: of the server.
        what: became of it.
        code: of the failure.
    """
    if isinstance(error, ProtocolError):
        return error
    why = ""
    if isinstance(error, ConnectionClosed):
        why = error.rcvd.reason if error.rcvd is not None else "the server or the network is gone"
    elif error is not None:
        why = "no answer came in time" if isinstance(error, TimeoutError) else sentence_of(error)
    text = f"The connection to the server {place} {what}{f' ({why})' if why else ''}."
    hint = _HINT if code == WORKER_NOT_STARTED else "Try again: what was sent already is not sent twice."
    return ProtocolError(code, text, hint)
