"""The two lines to the client: standard input and output, kept for the protocol only."""

import logging
import os
import sys
import threading
from typing import BinaryIO

from mednextseg.worker.protocol import ProtocolError, encode

_LONGEST_LOG_TEXT = 20_000


class AnswerChannel:
    """Writes whole lines from any thread.

    Args:
        stream: to the client.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, request_id: int | None, event: str, **fields: object) -> None:
        """Send one message. A client that is gone is noticed by the reader of standard input, so it is no error here.

        Raises:
            ValueError, TypeError: for fields that cannot be sent (see protocol.encode); nothing was written then.
        """
        line = encode({"id": request_id, "event": event, **fields})
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError:
                return

    def send_error(self, request_id: int | None, error: ProtocolError) -> None:
        """Answer with an error."""
        self.send(request_id, "error", code=error.code, message=error.message, hint=error.hint)


def take_over_standard_streams() -> tuple[BinaryIO, AnswerChannel]:
    """Keep the real standard input and output for the protocol.

    What anybody prints afterwards, C libraries included, goes to standard error, and who reads standard input finds it empty. The
    copies are not inherited by child processes, so the client notices the end of this one whatever it started.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, AnswerChannel(answers)


class LogForwarder(logging.Handler):
    """Sends records of Python's logging as `log` messages that name the request being worked on.

    Args:
        channel: to the client.
    """

    def __init__(self, channel: AnswerChannel) -> None:
        super().__init__()
        self._channel = channel
        self.request_id: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        self._channel.send(self.request_id, "log", level=record.levelname, text=self.format(record)[:_LONGEST_LOG_TEXT])
