"""`python -m mednextseg.worker.remote.relay`: stands for a worker that runs on a server. The panel starts it as it starts a worker.

What the panel writes goes to the server and back, arrays included; the first line is {"token": ...}, so that no other user of this
computer can see it among the arguments. Needs the package websockets, and no torch.
"""

import argparse
import asyncio
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO

from mednextseg.machine import home_folder
from mednextseg.worker import protocol
from mednextseg.worker.arrays import ArrayFolder
from mednextseg.worker.protocol import MAX_LINE_BYTES, ProtocolError
from mednextseg.worker.remote.connecting import connected, explained
from mednextseg.worker.remote.frames import decoded_chunk
from mednextseg.worker.remote.pinning import checked_address, checked_fingerprint, checked_token, kept_secret
from mednextseg.worker.remote.sending import Sender
from mednextseg.worker.remote.training_files import PACKAGE, keep_file
from mednextseg.worker.transports.pipes import AnswerChannel, take_over_standard_streams


def main() -> None:
    """Read the options and relay until either side ends."""
    parser = argparse.ArgumentParser(prog="python -m mednextseg.worker.remote.relay", description=__doc__)
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--fingerprint", required=True, help="SHA-256 of the server's certificate, as the server shows it")
    parser.add_argument("--folder", help="existing private folder for arrays (default: a new one)")
    options = parser.parse_args()
    requests, channel = take_over_standard_streams()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="mednextseg-"))
    try:
        token = checked_token(str(json.loads(requests.readline(MAX_LINE_BYTES)).get("token", "")))
        relay = Relay(options.server, checked_fingerprint(options.fingerprint), token, ArrayFolder(folder, writer="server"))
        asyncio.run(relay.run(requests, channel))
    except ProtocolError as error:
        _fail(channel, error)
    except (ValueError, OSError) as error:
        _fail(channel, ProtocolError(protocol.WORKER_NOT_STARTED, str(error), "Check the server in the Set-up section."))
    os._exit(0)  # the thread that reads standard input may still wait for a line


class Relay:
    """Between the pipes of the panel and the connection to the server.

    Args:
        server: HOST:PORT.
        fingerprint, token: as the server's administrator gave them.
        arrays: of the panel.
    """

    def __init__(self, server: str, fingerprint: str, token: str, arrays: ArrayFolder) -> None:
        self._server, self._fingerprint, self._token, self._arrays = server, fingerprint, token, arrays

    async def run(self, requests: BinaryIO, channel: AnswerChannel) -> None:
        """Relay until the panel closes its end.

        Raises:
            ProtocolError: where the server cannot be reached or does not let us in, and where the connection is lost.
        """
        client = kept_secret(home_folder() / "client")
        async with connected(*checked_address(self._server), self._fingerprint, self._token, client) as connection:
            sender = Sender(connection, self._arrays, channel)
            lines: asyncio.Queue[bytes] = asyncio.Queue()
            _start_reading(requests, lines, asyncio.get_running_loop())
            tasks = [asyncio.create_task(self._from_panel(lines, sender)), asyncio.create_task(sender.run())]
            tasks.append(asyncio.create_task(self._from_server(connection, sender, channel)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            if task is tasks[2] or task.exception() is not None:
                raise explained(task.exception(), self._server, "was lost")

    async def _from_panel(self, lines: "asyncio.Queue[bytes]", sender: Sender) -> None:
        while line := await lines.get():
            if line.strip():
                await sender.put(line)

    async def _from_server(self, connection: object, sender: Sender, channel: AnswerChannel) -> None:
        async for message in connection:
            if isinstance(message, bytes):
                self._keep(*decoded_chunk(message))
                continue
            answer = protocol.decode_answer(message.encode("ascii"))
            event, request_id = answer.pop("event"), answer.pop("id", None)
            if event == "offer":
                sender.on_offer(answer)
            elif event == "file":
                self._place(answer, sender.trainings.get(request_id))
            elif event == "failure":
                raise ProtocolError(answer["code"], answer["message"], answer["hint"])
            else:
                if event == "hello":
                    here = {"pid": os.getpid(), "folder": str(self._arrays.folder), "leads_process_group": False}
                    answer |= {**here, "server": self._server}
                elif event == "result" and request_id in sender.trainings:
                    answer["value"]["package"] = str(sender.trainings.pop(request_id) / PACKAGE)
                channel.send(request_id, event, **answer)

    def _place(self, told: dict, folder: Path | None) -> None:
        """A file of a training has arrived."""
        arrived = self._arrays.path(told["file"])
        arrived.touch()  # nothing was sent of an empty one
        if folder is not None:
            keep_file(folder, told["name"], arrived)

    def _keep(self, name: str, offset: int, content: bytes) -> None:
        path = self._arrays.path(name)
        with path.open("ab") as stream:
            if stream.tell() != offset:
                raise ProtocolError(protocol.WORKER_CRASHED, "The server sent a piece of an array twice or left one out.")
            stream.write(content)


def _start_reading(requests: BinaryIO, lines: "asyncio.Queue[bytes]", loop: asyncio.AbstractEventLoop) -> None:
    """Hand lines on from a thread of its own; the last one is empty."""

    def read() -> None:
        line = b" "
        while line:
            line = requests.readline()
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, name="requests", daemon=True).start()


def _fail(channel: AnswerChannel, error: ProtocolError) -> None:
    """Say in the last line why there is no worker."""
    channel.send(None, "failure", code=error.code, message=error.message, hint=error.hint)
    os._exit(1)


if __name__ == "__main__":
    main()
