"""A worker process driven by hand: lines in, messages out."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from mednextseg.worker import protocol
from mednextseg.worker.arrays import ArrayFolder

_ROOT = Path(__file__).resolve().parents[2]
WORKER = ("-m", "mednextseg.worker")
WORKER_WITH_TEST_OPERATIONS = (str(Path(__file__).with_name("worker_with_test_operations.py")),)
PATIENCE_S = 120  # on a busy machine importing torch alone can take minutes


class WorkerByHand:
    """A worker and every message that it sent."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str] | None = None, first_line: bytes = b"") -> None:
        variables = {**os.environ, "PYTHONPATH": str(_ROOT / "MedNeXtSegment"), "OMP_NUM_THREADS": "1", **(environment or {})}
        command = [sys.executable, "-u", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables, cwd=_ROOT
        )
        self.messages: list[dict] = []
        self.printed = b""
        self._news = threading.Condition()
        self._last_id = 0
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read_messages, self._read_printed)]
        for thread in self._threads:
            thread.start()
        self.send_line(first_line)
        self.hello = self.wait_for(lambda m: m["event"] == "hello")
        self.arrays = ArrayFolder(self.hello["folder"], writer="client")

    def send(self, operation: str, **parameters: object) -> int:
        self._last_id += 1
        self.send_line(protocol.encode({"id": self._last_id, "operation": operation, "parameters": parameters}))
        return self._last_id

    def send_line(self, line: bytes) -> None:
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def cancel(self, request_id: int) -> None:
        self.send_line(protocol.encode({"operation": "cancel", "parameters": {"target": request_id}}))

    def answer(self, request_id: int | None) -> dict:
        """The result or error of a request."""
        return self.wait_for(lambda m: m["id"] == request_id and m["event"] in ("result", "error"))

    def ask(self, operation: str, **parameters: object) -> dict:
        return self.answer(self.send(operation, **parameters))

    def wait_for(self, condition) -> dict:
        """The first message, of those sent so far or of those to come, for which condition(message) holds."""
        end = time.monotonic() + PATIENCE_S
        with self._news:
            while True:
                for message in self.messages:
                    if condition(message):
                        return message
                if not self._news.wait(end - time.monotonic()):
                    raise TimeoutError(f"no such message; printed: {self.printed.decode(errors='replace')[-2000:]}")

    def close(self) -> int:
        """Close its input; returns the exit code."""
        self.process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return code

    def _read_messages(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.messages.append(protocol.decode_answer(line))
                self._news.notify_all()

    def _read_printed(self) -> None:
        while block := os.read(self.process.stderr.fileno(), 65536):
            self.printed += block


def is_alive(process_id: int) -> bool:
    """Whether a process runs; one that ended but was not waited for by its parent does not count."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
