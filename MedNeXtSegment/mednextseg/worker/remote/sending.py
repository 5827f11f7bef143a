"""The relay's way out: requests in their order with their arrays before them; prompts, cancels and signs of life pass those that wait."""

import asyncio
import hashlib
import json
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.client import ClientConnection

from mednextseg.worker import protocol
from mednextseg.worker.arrays import ArrayFolder, is_description
from mednextseg.worker.protocol import ProtocolError, Request
from mednextseg.worker.remote.allowed import SHORT, TRAINING
from mednextseg.worker.remote.frames import CHUNK_BYTES, chunks_of, encoded_chunk
from mednextseg.worker.transports.pipes import AnswerChannel


class Sender:
    """Two lanes to the server, one for what a user waits for and one for the rest.

    Args:
        connection: to the server.
        arrays: of the panel.
        channel: to the panel, for what needs no server: progress of uploads, and cancels before they are over.

    Attributes:
        trainings: request -> the panel's folder for it.
    """

    def __init__(self, connection: ClientConnection, arrays: ArrayFolder, channel: AnswerChannel) -> None:
        self._connection, self._arrays, self._channel = connection, arrays, channel
        self._short: asyncio.Queue[Request] = asyncio.Queue()
        self._long: asyncio.Queue[Request] = asyncio.Queue()
        self._here: dict[int | None, bool] = {}  # requests that have not gone yet -> whether they are cancelled
        self.trainings: dict[int | None, Path] = {}
        self._offers: dict[str, asyncio.Future[dict]] = {}

    async def run(self) -> None:
        """Send until the connection ends."""
        await asyncio.gather(self._send_all(self._short), self._send_all(self._long))

    async def put(self, line: bytes) -> None:
        """Take a line of the panel."""
        try:
            request = protocol.decode_request(line)
        except ProtocolError as error:
            self._channel.send_error(error.request_id, error)
            return
        target = request.parameters.get("target")
        if request.operation == "cancel" and target in self._here:
            self._here[target] = True
        elif request.operation in ("cancel", "ping"):
            await self._connection.send(line.decode("ascii"))
        else:
            self._here[request.id] = False
            (self._short if request.operation in SHORT else self._long).put_nowait(request)

    def on_offer(self, answer: dict) -> None:
        """The server has said how much it has of an array."""
        waiting = self._offers.pop(answer["sha256"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def _send_all(self, lane: "asyncio.Queue[Request]") -> None:
        while True:
            request = await lane.get()
            try:
                await self._send(request)
                if self._here[request.id]:  # cancelled while the last of it went
                    await self._connection.send(_cancel(request.id))
            except ProtocolError as error:
                self._channel.send_error(request.id, error)
            except OSError as error:
                self._channel.send_error(request.id, ProtocolError(protocol.INVALID_INPUT, str(error)))
            finally:
                self._here.pop(request.id, None)

    async def _send(self, request: Request) -> None:
        parameters = dict(request.parameters)
        arrays = {name: value for name, value in parameters.items() if is_description(value)}
        try:
            for name, value in arrays.items():
                sha256 = await self._upload(self._arrays.path(value["file"]), request.id)
                parameters[name] = {**value, "file": f"{sha256}.raw"}
            self._check(request.id)
        except ProtocolError:
            raise
        except ValueError as error:
            raise ProtocolError(protocol.INVALID_INPUT, str(error)) from error
        finally:
            with suppress(ValueError):  # not a name of our folder: refused above
                for value in arrays.values():
                    self._arrays.remove(value)
        if request.operation == TRAINING and isinstance(parameters.get("target"), str):
            self.trainings[request.id] = Path(parameters["target"])
            parameters["target"] = hashlib.sha256(parameters["target"].encode()).hexdigest()[:32]
        message = {"id": request.id, "operation": request.operation, "parameters": parameters}
        await self._connection.send(json.dumps(message))

    async def _upload(self, path: Path, request_id: int | None) -> str:
        """Send what the server lacks of a file; returns its SHA-256, which names it there."""
        size = path.stat().st_size
        sha256 = await asyncio.to_thread(_sha256_of, path)
        begin = 0 if size <= CHUNK_BYTES else await self._offered(sha256, size)
        if size <= CHUNK_BYTES:
            await self._connection.send(_offer(sha256, size))  # its answer need not be waited for
        for offset, content in chunks_of(path, begin):
            self._check(request_id)
            await self._connection.send(await asyncio.to_thread(encoded_chunk, sha256, offset, content))
            if size > CHUNK_BYTES:
                self._tell((offset + len(content)) / size)
        return sha256

    async def _offered(self, sha256: str, size: int) -> int:
        """Where to begin."""
        answered = self._offers.setdefault(sha256, asyncio.get_running_loop().create_future())
        await self._connection.send(_offer(sha256, size))
        answer = await answered
        if answer["refusal"] is not None:
            raise ProtocolError(**answer["refusal"])
        return answer["offset"]

    def _check(self, request_id: int | None) -> None:
        if self._here.get(request_id):
            raise ProtocolError(protocol.CANCELLED, "The request was cancelled.")

    def _tell(self, fraction: float) -> None:
        """All that wait here wait for this upload."""
        for request_id in self._here:
            phase = f"sending to the server: {fraction:.0%}"
            self._channel.send(request_id, "progress", phase=phase, fraction=0.0, seconds_left=None)


def _cancel(request_id: int | None) -> str:
    return json.dumps({"operation": "cancel", "parameters": {"target": request_id}})


def _offer(sha256: str, size: int) -> str:
    return json.dumps({"id": 0, "operation": "offer", "parameters": {"sha256": sha256, "bytes": size}})


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while content := stream.read(CHUNK_BYTES):
            digest.update(content)
    return digest.hexdigest()
