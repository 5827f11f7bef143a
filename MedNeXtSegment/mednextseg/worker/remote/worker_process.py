"""A worker of its own for a session of the server: started, spoken to in lines, and ended with all that belongs to it."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

from mednextseg.worker.protocol import MAX_LINE_BYTES

WORKER = (sys.executable, "-u", "-m", "mednextseg.worker")
_ENGINE_FOLDER = Path(__file__).resolve().parents[3]
_POLITE_S = 5.0
_LOG_BYTES = 4096


class WorkerProcess:
    """Made by `start`.

    Args:
        process: that was started.
        folder: of its arrays, and its working directory: a name in a request never means a file of the server's own.
    """

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self.folder = process, folder

    @classmethod
    async def start(cls, command: Sequence[str], folder: Path) -> "WorkerProcess":
        """Start a worker in a new folder, which only this user may enter.

        Raises:
            OSError: where there is no room for the folder or the process.
        """
        folder.mkdir(mode=0o700)
        paths = [str(_ENGINE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = await asyncio.create_subprocess_exec(
            *command,
            "--folder",
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2 * MAX_LINE_BYTES,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        return cls(process, folder)

    async def write(self, line: bytes) -> None:
        """Send a line; one to a worker that is gone goes nowhere."""
        with suppress(ConnectionError):
            self._process.stdin.write(line)
            await self._process.stdin.drain()

    async def lines(self) -> AsyncIterator[bytes]:
        """What it says, until its end."""
        while line := await self._process.stdout.readline():
            yield line

    async def printed(self) -> AsyncIterator[str]:
        """What libraries in it print, in pieces."""
        while text := await self._process.stderr.read(_LOG_BYTES):
            yield text.decode("utf-8", errors="replace")

    async def end(self) -> str:
        """End it, its children and its folder; returns how it ended."""
        self._process.stdin.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), _POLITE_S)
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):  # it leads no group, or nobody is left in it
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        code = self._process.returncode
        return f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
