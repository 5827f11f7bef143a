"""Windows at once: the same values whatever the number of runners, in the order of the plan, stopped and failing like one at a time."""

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_mednext

from mednextseg.kernels import accelerate
from mednextseg.segment.windows.memory_plan import calls_at_once
from mednextseg.segment.windows.mirrored_views import mirror_views
from mednextseg.segment.windows.runners import WindowRunners
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount, predict_slabs

ENGINES = [accelerate(tiny_mednext(seed=seed)) for seed in (0, 1)]
PATCH = (16, 16, 32)


@pytest.fixture(autouse=True)
def threads_as_before() -> None:
    """Whatever a test does, the next one finds the threads as they were."""
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before
    torch.set_num_threads(before)


def values_of(image: np.ndarray, sliding: SlidingWindow, members: int) -> tuple[torch.Tensor, WindowCount]:
    count = WindowCount()
    networks = [lambda n=n: n for n in ENGINES[:members]]
    slabs = [values for _, values in predict_slabs(image, networks, 3, sliding, count)]
    return torch.cat(slabs, dim=1), count


@settings(max_examples=12)
@given(
    shape=st.tuples(st.integers(10, 40), st.integers(10, 30), st.integers(20, 60)),
    overlap=st.sampled_from([0.0, 0.5]),
    batch_size=st.integers(1, 3),
    mirrored=st.sampled_from([(), (2,)]),
    members=st.integers(1, 2),
    runners=st.integers(2, 5),
)
def test_the_number_of_runners_changes_nothing(
    shape: tuple, overlap: float, batch_size: int, mirrored: tuple, members: int, runners: int
) -> None:
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    alone = SlidingWindow(PATCH, overlap, views=mirror_views(mirrored), batch_size=batch_size)
    expected, expected_count = values_of(image, alone, members)
    values, count = values_of(image, replace(alone, runners=runners), members)
    assert torch.allclose(values, expected, atol=1e-5)
    assert torch.equal(values.argmax(0), expected.argmax(0))
    assert replace(count, network_seconds=0) == replace(expected_count, network_seconds=0)


def test_the_same_run_twice_gives_the_same_bits() -> None:
    image = np.random.default_rng(1).normal(size=(1, 40, 30, 60)).astype(np.float32)
    sliding = SlidingWindow(PATCH, runners=2)
    assert torch.equal(values_of(image, sliding, 1)[0], values_of(image, sliding, 1)[0])


@given(count=st.integers(2, 6), jobs=st.integers(0, 20))
@settings(max_examples=20)
def test_results_come_in_order_and_no_more_than_the_runners_compute_at_once(count: int, jobs: int) -> None:
    lock, at_work, most = threading.Lock(), 0, 0

    def job_of(number: int) -> Callable[[], int]:
        def job() -> int:
            nonlocal at_work, most
            with lock:
                at_work += 1
                most = max(most, at_work)
            torch.ones(1000).sum()
            with lock:
                at_work -= 1
            return number

        return job

    with WindowRunners(count, lambda: None) as runners:
        assert list(runners.in_order([job_of(number) for number in range(jobs)])) == list(range(jobs))
    assert most <= count


def test_whole_rounds_get_a_thread_each_and_the_last_window_gets_all() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    with WindowRunners(4, lambda: None) as runners:
        assert list(runners.in_order([torch.get_num_threads] * 9)) == [1] * 8 + [4]
        assert list(runners.in_order([torch.get_num_threads] * 2)) == [2, 2]
        assert torch.get_num_threads() == 1  # the caller's sums run beside the runners
    assert torch.get_num_threads() == 4
    torch.set_num_threads(threads)


def test_a_failure_in_a_window_reaches_the_caller_and_a_stop_ends_the_others() -> None:
    def fails() -> int:
        raise MemoryError("of a window")

    with WindowRunners(2, lambda: None) as runners, pytest.raises(MemoryError, match="of a window"):
        list(runners.in_order([lambda: 1, fails, lambda: 2]))

    started = []

    def stops() -> None:
        if len(started) > 2:
            raise InterruptedError

    with pytest.raises(InterruptedError), WindowRunners(2, stops) as runners:
        list(runners.in_order([lambda number=number: started.append(number) for number in range(100)]))
    assert len(started) < 10


def test_a_caller_is_asked_while_it_waits_for_a_window() -> None:
    """So a click during a long window need not wait for its end."""
    asked = threading.Event()
    waits = threading.Event()

    def report() -> None:
        if waits.is_set():
            asked.set()

    def window() -> bool:
        waits.set()
        return asked.wait(20)

    with WindowRunners(2, report) as runners:
        assert all(runners.in_order([window, window]))


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads can be read on Linux only")
def test_runners_give_way_to_the_caller() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = priority()
    with WindowRunners(2, lambda: None) as runners:
        assert list(runners.in_order([priority, priority])) == [max(own, 10)] * 2
        assert priority() == own
    assert priority() == own


def test_a_run_plans_no_more_calls_at_once_than_it_has() -> None:
    sliding = SlidingWindow(PATCH, runners=8)
    assert calls_at_once(PATCH, sliding) == 1
    assert calls_at_once(PATCH, replace(sliding, views=mirror_views((1, 2)))) == 4
    assert calls_at_once((64, 64, 64), sliding) == 8
