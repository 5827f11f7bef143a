"""Windows at once: as many as there are threads, each computed by one thread alone, and handed on in the order of the plan.

Threads that share a window wait for each other in every operator of the network. Where another program takes one of the cores, all of
them wait for that core, thousands of times a window; a thread that has a window for itself waits for nobody. Runners give way to the
caller, which answers clicks meanwhile, and to Slicer, which shows them.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from mednextseg.machine import lower_thread_priority

Result = TypeVar("Result")
_SECONDS_BETWEEN_REPORTS = 0.01  # a click waits no longer for its turn


class WindowRunners:
    """Runners of jobs, which share the threads evenly. While they are at work, the thread that uses them computes on one thread.

    Args:
        count: of runners; one computes every job in the caller, on all of its threads.
        report: called before every job, and again and again while one is waited for; may raise to stop.

    Attributes:
        seconds_waited: how long the caller waited for jobs so far.
    """

    def __init__(self, count: int, report: Callable[[], None]) -> None:
        self.seconds_waited = 0.0
        self._count, self._report = count, report
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(count, "window", lower_thread_priority) if count > 1 else None

    def __enter__(self) -> "WindowRunners":
        if self._pool is not None:
            torch.set_num_threads(1)
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            # Also for threads that start later: PyTorch gives them what was set last, by a runner.
            torch.set_num_threads(self._threads)

    def in_order(self, jobs: Sequence[Callable[[], Result]]) -> Iterator[Result]:
        """The results of the jobs, in their order; the next ones are computed meanwhile."""
        if self._pool is None:
            yield from map(self._in_caller, jobs)
            return
        rest = len(jobs) % self._count
        yield from self._queued(jobs[: len(jobs) - rest], self._count)
        # The last ones, for which there are more runners than jobs, share the threads among fewer.
        yield from self._queued(jobs[len(jobs) - rest :], rest)

    def _queued(self, jobs: Sequence[Callable[[], Result]], at_once: int) -> Iterator[Result]:
        running: deque[Future] = deque()
        for job in jobs:
            if len(running) == at_once:
                finished = self._waited_for(running.popleft())
                running.append(self._pool.submit(_computed, job, self._threads // at_once))
                yield finished
            else:
                running.append(self._pool.submit(_computed, job, self._threads // at_once))
        while running:
            yield self._waited_for(running.popleft())

    def _waited_for(self, job: Future) -> object:
        self._report()
        while not job.done():
            started = time.perf_counter()
            wait([job], _SECONDS_BETWEEN_REPORTS)
            self.seconds_waited += time.perf_counter() - started
            self._report()
        return job.result()

    def _in_caller(self, job: Callable[[], Result]) -> Result:
        self._report()
        started = time.perf_counter()
        result = job()
        self.seconds_waited += time.perf_counter() - started
        return result


def _computed(job: Callable[[], Result], threads: int) -> Result:
    """The result of a job on this many threads of the runner that calls it."""
    torch.set_num_threads(max(1, threads))
    return job()
