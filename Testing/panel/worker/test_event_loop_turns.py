"""However many short waits follow one another, the event loop has its turn."""

import time

from MedNeXtSegmentLib.Worker.EventLoopTurns import _LONGEST_MS, EventLoopTurns


def test_waits_without_the_event_loop_add_up_until_it_has_its_turn(host):
    turns = EventLoopTurns()
    assert turns.remainingMs() == _LONGEST_MS
    time.sleep(0.03)
    assert 0 <= turns.remainingMs() <= _LONGEST_MS - 30
    time.sleep(0.07)
    assert turns.remainingMs() == 0
    host.process_events()
    assert turns.remainingMs() == _LONGEST_MS


def test_time_in_which_nothing_was_waited_for_does_not_count(host):
    turns = EventLoopTurns()
    turns.remainingMs()
    host.process_events()
    time.sleep(0.1)
    assert turns.remainingMs() == _LONGEST_MS
