"""Turns go round between clients, and uploads are whole or not there; without a server."""

import asyncio
import hashlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.worker.protocol import ProtocolError
from mednextseg.worker.remote.fair_turns import FairTurns
from mednextseg.worker.remote.uploads import Uploads


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_turns_go_round_whatever_the_order_of_asking(asked: list[str]) -> None:
    async def in_order() -> list[str]:
        turns, order = FairTurns(), []
        first = turns.ask("first")
        waiting = [(client, turns.ask(client)) for client in asked]
        assert first.done() and not any(turn.done() for _, turn in waiting)
        for _ in asked:
            turns.give_back()
            order += [client for client, turn in waiting if turn.done()]
            waiting = [(client, turn) for client, turn in waiting if not turn.done()]
        return order

    order = asyncio.run(in_order())
    assert sorted(order) == sorted(asked)
    for client in set(asked):  # between two turns of one client nobody who waits has two
        places = [n for n, other in enumerate(order) if other == client]
        for begin, end in itertools.pairwise(places):
            between = order[begin + 1 : end]
            assert len(between) == len(set(between))


def test_a_turn_that_nobody_waits_for_any_more_is_left_out() -> None:
    async def ask() -> bool:
        turns = FairTurns()
        turns.ask("a")
        gone, here = turns.ask("b"), turns.ask("c")
        gone.cancel()
        turns.give_back()
        return here.done()

    assert asyncio.run(ask())


@given(st.binary(min_size=1, max_size=300), st.lists(st.integers(1, 60), max_size=20))
def test_an_upload_in_any_pieces_is_whole_in_the_end(tmp_path: Path, content: bytes, sizes: list[int]) -> None:
    uploads, sha256 = Uploads(tmp_path / "client", 1000), hashlib.sha256(content).hexdigest()
    begin = uploads.offset(sha256, len(content))
    for size in [*sizes, len(content)]:
        piece = content[begin : begin + size]
        if piece:
            uploads.append(sha256, begin, piece)
            uploads.append(sha256, begin, piece)  # again, as after a connection that broke off
        begin = uploads.offset(sha256, len(content))
    target = tmp_path / "lent"
    target.unlink(missing_ok=True)
    uploads.lend(sha256, target)
    assert target.read_bytes() == content


def test_an_upload_of_other_content_is_thrown_away(tmp_path: Path) -> None:
    uploads, sha256 = Uploads(tmp_path / "client", 1000), hashlib.sha256(b"right").hexdigest()
    uploads.offset(sha256, 5)
    with pytest.raises(ProtocolError, match="another SHA-256"):
        uploads.append(sha256, 0, b"wrong")
    with pytest.raises(ProtocolError, match="does not have the array"):
        uploads.lend(sha256, tmp_path / "x")
    assert list((tmp_path / "client").iterdir()) == []


def test_room_is_made_by_what_was_used_longest_ago_and_time_does_the_rest(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "client", 25)
    names = [hashlib.sha256(content).hexdigest() for content in (b"a" * 10, b"b" * 10, b"c" * 10)]
    for name, letter in zip(names, b"abc", strict=True):
        uploads.append(name, uploads.offset(name, 10), bytes([letter]) * 10)
        if letter == ord("b"):
            uploads.lend(names[0], tmp_path / "lent")  # now it is the newer one
    assert sorted(p.name for p in (tmp_path / "client").iterdir()) == sorted([names[0], names[2]])
    with pytest.raises(ProtocolError, match="room for 25"):
        uploads.offset("0" * 64, 26)
    uploads.remove_old(kept_s=0)
    assert list((tmp_path / "client").iterdir()) == [] and (tmp_path / "lent").read_bytes() == b"a" * 10
