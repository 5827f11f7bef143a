"""A server of workers that start fast, in a process of its own on the loopback device, and clients of it.

Run by tests: python server_by_hand.py FOLDER '{"sessions": 4}'
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from worker_process import PATIENCE_S, WorkerByHand

from mednextseg.worker.remote.frames import MAX_FRAME_BYTES
from mednextseg.worker.remote.pinning import CLIENT_HEADER

TOKEN = "a-token-of-the-tests"
_HERE = Path(__file__)
_WORKER = (sys.executable, "-u", str(_HERE.with_name("worker_to_serve.py")))
RELAY = ("-m", "mednextseg.worker.remote.relay")


def environment(home: Path) -> dict[str, str]:
    """Variables of a process that keeps its things in `home`."""
    paths = [str(_HERE.parents[2] / "MedNeXtSegment"), str(_HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MEDNEXTSEG_HOME": str(home), "OMP_NUM_THREADS": "1"}


class ServerByHand:
    """Started with limits (see mednextseg.worker.remote.server.Limits); its clients keep their things in `folder`/NAME."""

    def __init__(self, folder: Path, **limits: object) -> None:
        self.folder = folder
        command = [sys.executable, "-u", str(_HERE), str(folder / "server"), json.dumps(limits)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(folder))
        said = json.loads(self.process.stdout.readline())
        self.port, self.fingerprint = said["port"], said["fingerprint"]

    def relay(self, token: str = TOKEN, fingerprint: str | None = None, home: str = "client") -> subprocess.CompletedProcess:
        """Start a relay, close its input at once, and return what it said."""
        return subprocess.run(
            [sys.executable, *self._relay(fingerprint)],
            input=json.dumps({"token": token}).encode() + b"\n",
            capture_output=True,
            env=environment(self.folder / home),
            timeout=PATIENCE_S,
            check=False,
        )

    def client(self, home: str = "client") -> WorkerByHand:
        """A client that is let in; clients of another `home` are other people's."""
        first_line = json.dumps({"token": TOKEN}).encode() + b"\n"
        return WorkerByHand(self._relay(None), environment(self.folder / home), first_line)

    def connection(self) -> ssl.SSLSocket:
        """An encrypted connection on which nothing was said yet."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S))

    @contextmanager
    def let_in(self, identity: str = "c" * 16) -> Iterator[ClientConnection]:
        """A connection that has shown the token and whose worker has said hello, for frames sent by hand; waits until there is room."""
        headers = {"Authorization": f"Bearer {TOKEN}", CLIENT_HEADER: identity}
        options = {"additional_headers": headers, "compression": None, "proxy": None, "max_size": MAX_FRAME_BYTES}
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                with connect(f"ws://127.0.0.1:{self.port}/", sock=self.connection(), **options) as opened:
                    while '"hello"' not in opened.recv(timeout=PATIENCE_S):
                        pass
                    yield opened
                    return
            except InvalidStatus:
                assert time.monotonic() < end
                time.sleep(0.05)

    def close(self) -> str:
        """End it; returns what it logged."""
        self.process.terminate()
        logged = self.process.communicate(timeout=PATIENCE_S)[1]
        return logged.decode(errors="replace")

    def _relay(self, fingerprint: str | None) -> tuple[str, ...]:
        server = f"127.0.0.1:{self.port}"
        return (*RELAY, "--server", server, "--fingerprint", fingerprint or self.fingerprint)


def main() -> None:
    import logging

    from mednextseg.worker.remote.certificate import server_context
    from mednextseg.worker.remote.server import Limits, WorkerServer

    logging.basicConfig(level=logging.DEBUG)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    context, fingerprint = server_context(folder)
    server = WorkerServer(folder, TOKEN, Limits(**json.loads(sys.argv[2])), _WORKER)
    ready = lambda port: print(json.dumps({"port": port, "fingerprint": fingerprint}), flush=True)  # noqa: E731
    asyncio.run(server.serve("127.0.0.1", 0, context, ready))


if __name__ == "__main__":
    main()
