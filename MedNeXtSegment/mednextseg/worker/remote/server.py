"""`mednextseg serve`: listens, lets in who shows the token over TLS, and gives each connection a session. Needs the package websockets."""

import asyncio
import hashlib
import http
import logging
import re
import shutil
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from mednextseg.worker.remote.fair_turns import FairTurns
from mednextseg.worker.remote.frames import MAX_FRAME_BYTES
from mednextseg.worker.remote.pinning import CLIENT_HEADER, is_same
from mednextseg.worker.remote.session import Session
from mednextseg.worker.remote.uploads import Uploads
from mednextseg.worker.remote.worker_process import WORKER

_QUEUED_FRAMES = 4
_SECONDS_BETWEEN_CLEANING = 60.0
_TRAININGS_KEPT_S = 7 * 86400.0
_CLIENT = re.compile(r"[\x21-\x7e]{16,128}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What the server grants.

    Attributes:
        sessions: connections at a time; each has a worker, which holds its models in memory.
        client_bytes: of the arrays that are kept for one client.
        handshake_s: in which a connection has to be encrypted, and then to show its token.
        alive_s: how long a client may be silent before it is asked, and then before its connection ends.
    """

    sessions: int = 8
    client_bytes: int = 8 << 30
    handshake_s: float = 10.0
    alive_s: float = 20.0


class WorkerServer:
    """Sessions and what they share: the order of turns, and each client's uploads.

    Args:
        folder: of the server alone; what an earlier one left in it is removed, except trainings, which can be gone on with for a week.
        token: that clients must show.
        limits: what is granted.
        command: that starts a worker; it gets the option --folder.
    """

    def __init__(self, folder: Path, token: str, limits: Limits, command: Sequence[str] = WORKER) -> None:
        self._trainings_folder = folder / "trainings"
        self._sessions_folder, self._clients_folder = folder / "sessions", folder / "clients"
        for leftover in (self._sessions_folder, self._clients_folder):
            shutil.rmtree(leftover, ignore_errors=True)
            leftover.mkdir(parents=True, mode=0o700)
        self._token, self._limits, self._command = token, limits, command
        self._turns, self._training_turns = FairTurns(), FairTurns()
        self._uploads: dict[str, Uploads] = {}
        self._open = self._opened = 0

    async def serve(self, host: str, port: int, context: ssl.SSLContext, ready: Callable[[int], None]) -> None:
        """Serve until the task is cancelled; every session then ends.

        Args:
            host, port: to listen on; port 0 takes a free one.
            context: of TLS.
            ready: called with the port once connections are taken.
        Raises:
            OSError: where the address cannot be listened on.
        """
        quiet = logging.getLogger(f"{__name__}.frames")
        quiet.setLevel(logging.CRITICAL)  # at finer levels the library would log headers, the token among them
        async with serve(
            self._serve_connection,
            host,
            port,
            ssl=context,
            process_request=self._refusal,
            compression=None,
            open_timeout=self._limits.handshake_s,
            ssl_handshake_timeout=self._limits.handshake_s,
            ping_interval=self._limits.alive_s,
            ping_timeout=self._limits.alive_s,
            close_timeout=1,
            max_size=MAX_FRAME_BYTES,
            max_queue=_QUEUED_FRAMES,
            server_header=None,
            logger=quiet,
        ) as server:
            ready(server.sockets[0].getsockname()[1])
            while True:
                await asyncio.to_thread(_remove_old_trainings, self._trainings_folder)
                await asyncio.sleep(_SECONDS_BETWEEN_CLEANING)
                for uploads in self._uploads.values():
                    uploads.remove_old()

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        """Why a connection is not let in; None for one that is."""
        given = request.headers.get_all("Authorization")
        if not is_same(given[0] if len(given) == 1 else "", f"Bearer {self._token}"):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "The server does not know this token.\n")
        client = request.headers.get_all(CLIENT_HEADER)
        if len(client) != 1 or not _CLIENT.fullmatch(client[0]):
            return connection.respond(http.HTTPStatus.BAD_REQUEST, "The client does not say which it is; update it.\n")
        if self._open >= self._limits.sessions:
            text = f"The server has {self._limits.sessions} sessions already; try again when one has ended.\n"
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, text)
        return None

    async def _serve_connection(self, connection: ServerConnection) -> None:
        if self._open >= self._limits.sessions:  # several came in at the same time
            await connection.close(1013, "too many sessions")
            return
        client = hashlib.sha256(connection.request.headers[CLIENT_HEADER].encode("ascii")).hexdigest()[:32]
        self._opened += 1
        self._open += 1
        name = f"session {self._opened}"
        _log.info("%s: client %s from %s", name, client[:8], connection.remote_address[0])
        try:
            if client not in self._uploads:
                self._uploads[client] = Uploads(self._clients_folder / client, self._limits.client_bytes)
            own = self._uploads[client], self._turns, self._training_turns, self._trainings_folder / client
            session = Session(connection, client, *own)
            await session.run(self._command, self._sessions_folder / f"{self._opened}")
        except OSError as error:
            _log.error("%s: %s", name, error)
            await connection.close(1011, "the server cannot start a worker")
        finally:
            self._open -= 1
            _log.info("%s: over", name)


def _remove_old_trainings(folder: Path) -> None:
    """Delete what nobody has gone on with for a week."""
    for training in folder.glob("*/*"):
        newest = max(path.stat().st_mtime for path in (training, *training.rglob("*")) if path.exists())
        if time.time() - newest > _TRAININGS_KEPT_S:
            shutil.rmtree(training, ignore_errors=True)
