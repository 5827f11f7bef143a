"""How a worker is started."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerLaunch:
    """A program that speaks the worker's protocol over standard input and output.

    Attributes:
        program: Python that has what the worker needs.
        arguments: that start the worker in it; the option --folder is added.
        environment: variables for the process; None for those of this process.
        firstLine: what it is told before any request; nothing where empty.
    """

    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str] | None = None
    firstLine: bytes = b""
