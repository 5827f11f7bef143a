"""Cases over many processes and machines at once: actors of Ray, each of which keeps what its cases need, such as a loaded model.

Only names and reports travel: images are read, and results written, by the actors themselves, from folders that every machine sees under
the same name. Without an address Ray runs on this machine alone and hears nobody else.
"""

import os
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mednextseg.cases.folders import CASE_ERRORS
from mednextseg.errors import sentence_of

LOCAL = "local"
_MOST_TRIES, _MOST_FAILED_STARTS = 3, 3
# What Ray raises where an actor has ended, was ended for want of memory, or went with its machine, with or without an answer it had given.
_ENDED = ("RayActorError", "OutOfMemoryError", "NodeDiedError", "ObjectLostError")
_CORES = 4  # of an actor that has no graphics card; more do not speed a network up in proportion
_MOST_LETTERS = 35  # of the folder for Ray's sockets: it adds some 70, and a socket's whole path may have 107
_OBJECT_STORE_BYTES = 80 << 20  # nothing large goes through it; Ray refuses less than 75 MB


@dataclass(frozen=True)
class CaseAnswer:
    """What came of a case.

    Attributes:
        value: of the work; None where it failed.
        failure: in one sentence; empty where it did not.
        seconds: that it took, in the actor.
        actor: "host, process N" of it.
    """

    value: Any
    failure: str
    seconds: float
    actor: str


# What has work done as `run_on_actors` has it, by a caller that shows its progress: open_work, cases, uses_gpu -> what came of each case.
Spread = Callable[[Callable[[], Callable[[Any], Any]], Mapping[str, Any], bool], Mapping[str, CaseAnswer]]


@dataclass(frozen=True)
class _Reply:
    """What an actor says; `is_final`: another actor would fail alike."""

    answer: CaseAnswer
    is_final: bool


class CaseActor:
    """One process that works on one case at a time.

    Args:
        open_work: gives the function that is called with each case; called here, once.
        threads: for each network.
    """

    def __init__(self, open_work: Callable[[], Callable[[Any], Any]], threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._name, self._refusal = f"{socket.gethostname()}, process {os.getpid()}", ""
        try:
            self._work = open_work()
        except ValueError as error:
            self._refusal = sentence_of(error)

    def ready(self) -> str:
        """Answered once the actor has started: why it cannot work, such as for want of a model; empty where it can."""
        return self._refusal

    def run(self, case: Any) -> _Reply:
        """Work on a case; what may go wrong with a case is an answer, too."""
        started, value, failure, is_final = time.monotonic(), None, "", True
        try:
            value = self._work(case)
        except CASE_ERRORS as error:
            # An image that cannot be used stays so; memory, disks and networks are other ones elsewhere.
            failure, is_final = sentence_of(error), isinstance(error, ValueError)
        return _Reply(CaseAnswer(value, failure, time.monotonic() - started, self._name), is_final)


def run_on_actors(
    open_work: Callable[[], Callable[[Any], Any]],
    cases: Mapping[str, Any],
    told: Callable[[str, CaseAnswer], None],
    address: str = LOCAL,
    actors: int | None = None,
    uses_gpu: bool = True,
) -> None:
    """Work on all cases; each actor has one at a time, so nothing piles up.

    A case whose actor ends, or that fails for want of memory or a file, is tried by others, three times in all.

    Args:
        open_work: see CaseActor; it and the cases must be picklable.
        cases: name -> what the work is called with.
        told: called in this thread with every case once, when nothing more will come of it.
        address: of a running Ray cluster; "local" for this machine.
        actors: how many; None for one a graphics card, or one for every four cores.
        uses_gpu: whether an actor takes a graphics card where there are any.
    Raises:
        ModuleNotFoundError: where Ray is not installed.
        ConnectionError: where no cluster answers at the address.
        RuntimeError: where Ray or no actor can be started.
    """
    with connected(address) as ray:
        _Crew(ray, open_work, *_shares(ray, actors, uses_gpu)).work_on(cases, told)


class _Crew:
    """The actors of a run, and who works on what.

    Args:
        count: of actors.
        cpus, gpus: of each.
    """

    def __init__(self, ray: ModuleType, open_work: Callable, count: int, cpus: float, gpus: int) -> None:
        self._ray = ray
        # Put once for all actors, not pickled for each.
        self._make = lambda: (
            ray.remote(CaseActor).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0).remote(open_work, max(1, int(cpus)))
        )
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, str | None]] = {}  # no name: starting
        self._tries: Counter[str] = Counter()
        self._failed_on: dict[str, set[Any]] = {}
        self._failed_starts = 0
        for _ in range(count):
            self._start()

    def work_on(self, cases: Mapping[str, Any], told: Callable[[str, CaseAnswer], None]) -> None:
        """See `run_on_actors`."""
        waiting = deque(cases)
        while waiting or any(name is not None for _, name in self._busy.values()):
            while waiting and self._idle:
                name = waiting.popleft()
                actor = self._choose(name)
                self._busy[actor.run.remote(cases[name])] = actor, name
            for reference in self._ray.wait(list(self._busy), num_returns=1)[0]:
                actor, name = self._busy.pop(reference)
                reply = self._reply(reference, actor, name)
                if reply is None:
                    continue
                if reply.answer.failure and not reply.is_final and self._tries[name] < _MOST_TRIES:
                    self._failed_on.setdefault(name, set()).add(actor)
                    waiting.append(name)
                else:
                    told(name, reply.answer)

    def _reply(self, reference: Any, actor: Any, name: str | None) -> _Reply | None:
        """Of an actor whose task has ended, which is idle again or replaced; None where it only started, or failed to."""
        try:
            reply = self._ray.get(reference)
        except tuple(getattr(self._ray.exceptions, kind) for kind in _ENDED) as error:
            if name is None:
                self._failed_starts += 1
            if self._failed_starts < _MOST_FAILED_STARTS:
                self._start()
            self._check_that_some_are_left(_last_line(error))
            if name is None:
                return None
            self._tries[name] += 1
            sentence = f"its process ended {self._tries[name]} times while it ran, probably for want of memory."
            return _Reply(CaseAnswer(None, sentence, 0.0, ""), is_final=False)
        if name is None and reply:  # another one on that machine would say the same, so it is not replaced
            self._check_that_some_are_left(reply)
            return None
        self._idle.append(actor)
        if name is None:
            return None
        self._tries[name] += 1
        return reply

    def _check_that_some_are_left(self, why_not: str) -> None:
        if not self._busy and not self._idle:
            raise RuntimeError(f"no worker could be started ({why_not.removesuffix('.')}).")

    def _choose(self, name: str) -> Any:
        """An idle actor, by preference one where the case has not failed."""
        failed_on = self._failed_on.get(name, set())
        actor = next((actor for actor in self._idle if actor not in failed_on), self._idle[0])
        self._idle.remove(actor)
        return actor

    def _start(self) -> None:
        actor = self._make()
        self._busy[actor.ready.remote()] = actor, None


def _shares(ray: ModuleType, actors: int | None, uses_gpu: bool) -> tuple[int, float, int]:
    """How many actors, and the cores and graphics cards of each."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores, cards = ([node.get(kind, 0.0) for node in nodes] for kind in ("CPU", "GPU"))
    if uses_gpu and sum(cards) > 0:
        count = min(actors or int(sum(cards)), int(sum(cards)))
        return count, float(max(1, min(_CORES, int(sum(cores) // count)))), 1
    each = float(min([_CORES, *(int(n) for n in cores if n >= 1)]))
    if actors is None:
        return max(1, sum(int(n // each) for n in cores)), each, 0
    share = sum(cores) / actors
    return actors, float(int(min(share, _CORES))) if share >= 1 else round(share, 3), 0


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Ray, joined to a cluster or started here, and left afterwards; a program that has joined one itself stays in it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    if address == LOCAL:
        # Not what its name says: without clusters Ray listens on 127.0.0.1 only, as it does on macOS and Windows by itself.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray  # noqa: PLC0415

    if ray.is_initialized():
        yield ray
        return
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    _start_ray(ray, address)
    if is_main:
        signal.signal(signal.SIGTERM, before)  # Ray puts its own there
    try:
        yield ray
    finally:
        ray.shutdown()


def _start_ray(ray: ModuleType, address: str) -> None:
    """Join a cluster, or start Ray here: twice, since it gives itself half a minute, which a busy machine may not have."""
    own = {
        "num_cpus": os.cpu_count(),
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_temp_dir": _folder_for_sockets(),
    }
    for tries_left in (1, 0) if address == LOCAL else (0,):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **(own if address == LOCAL else {}))
            return
        except OSError:
            raise
        except Exception as error:  # what Ray raises where its processes do not come up is no more than that
            ray.shutdown()
            if not tries_left:
                raise RuntimeError(f"Ray did not start ({_last_line(error)}).") from error


def _folder_for_sockets() -> str | None:
    """/tmp where the temporary folder's name is too long for sockets; None for Ray's own choice."""
    is_long = os.name == "posix" and len(tempfile.gettempdir()) > _MOST_LETTERS
    return "/tmp/ray" if is_long else None


def _last_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
