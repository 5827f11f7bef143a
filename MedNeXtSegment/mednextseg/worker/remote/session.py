"""One connection of the server: its requests go to a worker of its own, in order and in turn with other clients; its answers come back."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from mednextseg.json_values import shown
from mednextseg.worker import protocol
from mednextseg.worker.arrays import ArrayFolder, is_description
from mednextseg.worker.protocol import ProtocolError, Request
from mednextseg.worker.remote import allowed
from mednextseg.worker.remote.fair_turns import FairTurns
from mednextseg.worker.remote.frames import checked_sha256, chunks_of, decoded_chunk, encoded_chunk
from mednextseg.worker.remote.training_files import TrainingFiles
from mednextseg.worker.remote.uploads import Uploads
from mednextseg.worker.remote.worker_process import WorkerProcess

_MOST_WAITING = 256
_SECONDS_BETWEEN_FILES = 5.0
_PRIVATE = ("folder", "pid", "leads_process_group", "package")


class Session:
    """Lives as long as its connection; what it leaves behind are the client's uploads.

    Args:
        connection: to the client, which has shown the token.
        client: stands for the client in the order of turns.
        uploads: of the client.
        turns: of all clients.
        training_turns: of those that train.
        trainings: folder of the client's trainings.
    """

    def __init__(
        self,
        connection: ServerConnection,
        client: str,
        uploads: Uploads,
        turns: FairTurns,
        training_turns: FairTurns,
        trainings: Path,
    ) -> None:
        self._connection, self._client, self._uploads = connection, client, uploads
        self._turns, self._training_turns, self._trainings = turns, training_turns, trainings
        self._worker: WorkerProcess
        self._arrays: ArrayFolder
        self._lent = self._sent = 0
        self._waiting: deque[Request] = deque()
        self._put = asyncio.Event()
        self._turn: tuple[int | None, asyncio.Future[None]] | None = None
        self._is_turn_cancelled = False
        self._training: tuple[int | None, TrainingFiles] | None = None
        self._unanswered: dict[int, asyncio.Event] = {}

    async def run(self, command: Sequence[str], folder: Path) -> None:
        """Serve the connection until it or the worker ends.

        Args:
            command: that starts a worker.
            folder: of this session, to be made.
        """
        self._worker = await WorkerProcess.start(command, folder)
        self._arrays = ArrayFolder(folder, writer="server")
        from_worker = asyncio.create_task(self._from_worker())
        tasks = [from_worker, *map(asyncio.create_task, (self._from_client(), self._in_order(), self._from_stderr()))]
        how = ""
        try:
            await asyncio.wait([tasks[0], tasks[1], tasks[2]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            how = await self._worker.end()
        if from_worker.done() and not from_worker.cancelled():
            text = f"The worker on the server ended unexpectedly: {how}. Your scene is untouched."
            hint = "Try again: a new worker is started by itself."
            await self._send(None, "failure", code=protocol.WORKER_CRASHED, message=text, hint=hint)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ConnectionClosed):
                raise result

    async def _from_client(self) -> None:
        async for message in self._connection:
            try:
                if isinstance(message, bytes):
                    sha256, offset, content = decoded_chunk(message)
                    await asyncio.to_thread(self._uploads.append, checked_sha256(sha256), offset, content)
                else:
                    await self._receive(protocol.decode_request(message.encode("utf-8", errors="replace")))
            except ProtocolError as error:
                await self._send_error(error.request_id, error)

    async def _receive(self, request: Request) -> None:
        if request.operation == "offer":
            await self._answer_offer(request)
        elif request.operation == "cancel":
            await self._cancel(request)
        else:
            allowed.check(request)
            if request.operation in allowed.SHORT:
                await self._forward(request)
            elif len(self._waiting) >= _MOST_WAITING:
                text = f"{_MOST_WAITING} requests of yours wait already; wait for their answers."
                raise ProtocolError(protocol.INVALID_INPUT, text, request_id=request.id)
            else:
                self._waiting.append(request)
                self._put.set()

    async def _answer_offer(self, request: Request) -> None:
        sha256, size = checked_sha256(request.parameters.get("sha256")), request.parameters.get("bytes")
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise ProtocolError(protocol.BAD_REQUEST, f"an upload's bytes must be a number, got {shown(size)}.")
        try:
            offset = await asyncio.to_thread(self._uploads.offset, sha256, size)
        except ProtocolError as error:
            refusal = {"code": error.code, "message": error.message, "hint": error.hint}
            await self._send(None, "offer", sha256=sha256, offset=None, refusal=refusal)
            return
        await self._send(None, "offer", sha256=sha256, offset=offset, refusal=None)

    async def _cancel(self, request: Request) -> None:
        target = request.parameters.get("target")
        waiting = [other for other in self._waiting if other.id == target]
        for other in waiting:
            self._waiting.remove(other)
            await self._send_cancelled(other.id)
        if self._turn is not None and self._turn[0] == target:
            self._is_turn_cancelled = True
            self._turn[1].cancel()
        elif not waiting:
            await self._worker.write(protocol.encode({"operation": "cancel", "parameters": {"target": target}}))

    async def _in_order(self) -> None:
        """Hand requests on to the worker in their order; a long one waits for its turn, and is answered before the next one goes."""
        while True:
            while not self._waiting:
                self._put.clear()
                await self._put.wait()
            request = self._waiting.popleft()
            try:
                if request.operation in allowed.LONG:
                    await self._in_turn(request, self._turns)
                elif request.operation == allowed.TRAINING:
                    await self._in_turn(request, self._training_turns)
                else:
                    await self._forward(request)
            except ProtocolError as error:
                await self._send_error(request.id, error)

    async def _in_turn(self, request: Request, turns: FairTurns) -> None:
        turn = turns.ask(self._client)
        self._turn, self._is_turn_cancelled = (request.id, turn), False
        try:
            if not turn.done():
                await self._send(request.id, "progress", phase="waiting for others", fraction=0.0, seconds_left=None)
                await asyncio.wait([turn])
            self._turn = None
            if self._is_turn_cancelled:
                await self._send_cancelled(request.id)
                return
            answered = self._unanswered[request.id] = asyncio.Event()
            await self._forward(request)
            if request.operation == allowed.TRAINING:
                await self._show_training(request, answered)
            else:
                await answered.wait()
        finally:
            self._turn = None
            self._unanswered.pop(request.id, None)
            if not turn.cancel() and not turn.cancelled():  # it was ours, even where the session ended before we noticed
                turns.give_back()

    async def _show_training(self, request: Request, answered: asyncio.Event) -> None:
        """Send what the panel reads of a training, now and then until it is over."""
        files = TrainingFiles(self._trainings / request.parameters["target"])
        self._training = request.id, files
        while not answered.is_set():
            await self._send_files(request.id, files, with_package=False)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(answered.wait(), _SECONDS_BETWEEN_FILES)

    async def _send_files(self, request_id: int | None, files: TrainingFiles, with_package: bool) -> None:
        for name in await asyncio.to_thread(files.changed, with_package):
            self._sent += 1
            file = f"server{self._sent}.raw"
            for offset, content in chunks_of(files.folder / name):
                await self._connection.send(await asyncio.to_thread(encoded_chunk, file, offset, content))
            await self._send(request_id, "file", name=name, file=file)

    async def _forward(self, request: Request) -> None:
        """To the worker, with the arrays that were sent before it."""
        parameters, lent = dict(request.parameters), []
        try:
            for name, value in parameters.items():
                if is_description(value):
                    self._lent += 1
                    file = f"client{self._lent}.raw"
                    sha256 = checked_sha256(str(value["file"]).removesuffix(".raw"))
                    self._uploads.lend(sha256, self._worker.folder / file)
                    lent.append(file)
                    parameters[name] = {**value, "file": file}
        except (ProtocolError, OSError) as error:
            for file in lent:
                (self._worker.folder / file).unlink(missing_ok=True)
            raise ProtocolError(protocol.INVALID_INPUT, str(error), request_id=request.id) from error
        if request.operation == allowed.TRAINING:
            parameters["target"] = str(self._trainings / str(parameters.get("target")))
        message = {"id": request.id, "operation": request.operation, "parameters": parameters}
        await self._worker.write(protocol.encode(message))

    async def _from_worker(self) -> None:
        async for line in self._worker.lines():
            message = protocol.decode_answer(line)
            if message["event"] == "hello":
                message = _without_paths(message)
            elif message["event"] == "result":
                message["value"] = _without_paths(message["value"])
                await self._send_arrays(message["value"])
                if self._training is not None and message["id"] == self._training[0]:
                    await self._send_files(*self._training, with_package=True)
            await self._connection.send(json.dumps(message))
            if message["event"] in ("result", "error") and message["id"] in self._unanswered:
                self._unanswered[message["id"]].set()

    async def _send_arrays(self, value: dict) -> None:
        for description in filter(is_description, value.values()):
            path = self._arrays.path(description["file"])
            for offset, content in chunks_of(path):
                await self._connection.send(await asyncio.to_thread(encoded_chunk, path.name, offset, content))
            path.unlink()

    async def _from_stderr(self) -> None:
        async for text in self._worker.printed():
            await self._send(None, "log", level="INFO", text=text.rstrip())

    async def _send(self, request_id: int | None, event: str, **fields: object) -> None:
        """One message; a client that is gone is noticed by the reader."""
        try:
            await self._connection.send(json.dumps({"id": request_id, "event": event, **fields}))
        except ConnectionClosed:
            return

    async def _send_error(self, request_id: int | None, error: ProtocolError) -> None:
        await self._send(request_id, "error", code=error.code, message=error.message, hint=error.hint)

    async def _send_cancelled(self, request_id: int | None) -> None:
        await self._send_error(request_id, ProtocolError(protocol.CANCELLED, "The request was cancelled before it began."))


def _without_paths(values: dict) -> dict:
    """What the worker says, without the places of its process and of the models it lists."""
    kept = {name: value for name, value in values.items() if name not in _PRIVATE}
    if isinstance(kept.get("models"), list):
        kept["models"] = [_without_paths(model) for model in kept["models"]]
    return kept
