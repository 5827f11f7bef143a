"""Who is not let in by the server, and what is not taken from those who are. Everything on the loopback device."""

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_by_hand import TOKEN, ServerByHand
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from mednextseg.worker import protocol
from mednextseg.worker.protocol import MAX_LINE_BYTES, ProtocolError, Request
from mednextseg.worker.remote import allowed
from mednextseg.worker.remote.certificate import server_context
from mednextseg.worker.remote.frames import CHUNK_BYTES, MAX_FRAME_BYTES, decoded_chunk, encoded_chunk
from mednextseg.worker.remote.pinning import (
    checked_address,
    checked_fingerprint,
    checked_token,
    fingerprint_of,
    kept_secret,
)
from mednextseg.worker.remote.training_files import keep_file

# A thousand connections of which none says a word that counts; what they may take together.
CONNECTIONS, THEIR_SECONDS = 1000, 60
SHORT_S = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerByHand]:
    running = ServerByHand(tmp_path_factory.mktemp("server"), sessions=1, handshake_s=SHORT_S)
    yield running
    assert TOKEN not in running.close()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerByHand]:
    """For tests that end connections."""
    running = ServerByHand(tmp_path_factory.mktemp("own"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def connection(server: ServerByHand) -> Iterator[ClientConnection]:
    """Has shown the token, for frames sent by hand."""
    with server.let_in() as opened:
        yield opened


@pytest.mark.parametrize("token", ["not-the-token-of-the-server", TOKEN + "x", TOKEN[:-1], TOKEN.upper()])
def test_another_token_is_refused_in_one_sentence(server: ServerByHand, token: str) -> None:
    said = protocol.decode_answer(server.relay(token).stdout)
    assert said["event"] == "failure" and said["code"] == "worker_not_started"
    assert said["message"] == "The server does not know this token."


def test_another_certificate_is_refused_before_anything_is_sent(server: ServerByHand, tmp_path: Path) -> None:
    context, fingerprint = server_context(tmp_path)
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def impostor() -> None:
            with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                heard.append(connection.recv(4096))

        thread = threading.Thread(target=impostor)
        thread.start()
        port, server.port = server.port, listening.getsockname()[1]
        try:
            said = protocol.decode_answer(server.relay().stdout)
        finally:
            server.port = port
        thread.join(20)
    assert said["code"] == "worker_not_started" and fingerprint in said["message"]
    assert heard == [b""]


def test_a_server_that_is_not_there_is_one_sentence(server: ServerByHand) -> None:
    port, server.port = server.port, 1
    try:
        said = protocol.decode_answer(server.relay().stdout)
    finally:
        server.port = port
    assert "could not be made" in said["message"] and "127.0.0.1:1" in said["message"] and "Set-up" in said["hint"]


@pytest.mark.parametrize(
    "request_head", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nA: "], ids=["silent", "line", "header"]
)
def test_who_says_his_request_slowly_is_left(server: ServerByHand, request_head: bytes) -> None:
    started = time.monotonic()
    with server.connection() as connection:
        connection.sendall(request_head)
        rest = b"x" * 1000
        try:
            while not connection.pending() and time.monotonic() - started < 20:  # a byte now and then, for ever
                if request_head:
                    connection.sendall(rest[:1])
                connection.settimeout(0.05)
                try:
                    if connection.recv(4096) == b"":
                        break
                except TimeoutError:
                    continue
        except OSError:
            pass  # it was cut off
    assert time.monotonic() - started < 10 * SHORT_S


def test_who_does_not_even_encrypt_is_left(server: ServerByHand) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01")
        assert connection.recv(100) == b""


def test_a_thousand_connections_in_a_minute_leave_the_server_as_it_was(server: ServerByHand) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    head += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer guess\r\n\r\n"
    started, session, answers = time.monotonic(), None, set()
    for number in range(CONNECTIONS):
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        if number % 10:  # comes and goes
            plain.close()
            continue
        with context.wrap_socket(plain, session=session) as connection:
            session = connection.session
            connection.sendall(head)
            answers.add(connection.recv(4096).split(b"\r\n")[0])
    assert time.monotonic() - started < THEIR_SECONDS
    assert answers == {b"HTTP/1.1 401 Unauthorized"}
    assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < 100
    assert "does not know" in protocol.decode_answer(server.relay("x" * 20).stdout)["message"]


def test_one_session_too_many_is_one_sentence(server: ServerByHand, connection: ClientConnection) -> None:
    assert "has 1 sessions already" in protocol.decode_answer(server.relay().stdout)["message"]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("nonsense", "one JSON object"),
        ("\u00e9", "one JSON object"),
        ('{"id": 1, "operation": 3}', "the text `operation`"),
        ("[" * 9000, "one JSON object"),
        ('{"id": 1, "operation": "offer", "parameters": {"sha256": "../x", "bytes": 3}}', "SHA-256"),
        ('{"id": 1, "operation": "offer", "parameters": {"sha256": "%s", "bytes": -3}}' % ("0" * 64), "bytes must be"),
        ('{"id": 1, "operation": "import_model", "parameters": {"path": "/etc"}}', "does not do 'import_model'"),
        (
            '{"id": 1, "operation": "shape_priors", "parameters": {"model": "/etc"}}',
            "shape priors are read on one's own computer",
        ),
        ('{"id": 1, "operation": "suggest_networks", "parameters": {"memory_gb": 8}}', "choose this computer in Set-up first."),
        ('{"id": 1, "operation": "segment", "parameters": {"model": "/etc"}}', "takes a model by its name"),
        (b"", "ends within its head"),
        (b"\x40" + b"0" * 20, "ends within its head"),
        (encoded_chunk("../../x", 0, b"content"), "SHA-256"),
        (encoded_chunk("0" * 64, 0, b"content"), "does not follow"),
        (encoded_chunk("0" * 64, 0, b"content")[:-2], "not one whole stream"),
        (b"\x01x" + bytes(8) + zlib.compress(bytes(CHUNK_BYTES + 1)), "at most"),
    ],
    ids=lambda value: "",
)
def test_what_cannot_be_understood_is_answered_and_survived(connection: ClientConnection, frame, text: str) -> None:
    connection.send(frame)
    connection.send('{"id": 7, "operation": "ping"}')
    said = [protocol.decode_answer(connection.recv(timeout=20).encode()) for _ in range(2)]
    errors = [answer for answer in said if answer["event"] == "error"]
    assert len(errors) == 1 and text in errors[0]["message"]
    assert any(answer["id"] == 7 and answer["event"] == "result" for answer in said)


@pytest.mark.parametrize("frame", ["x" * (MAX_FRAME_BYTES + 1), bytes(MAX_FRAME_BYTES + 1)], ids=["text", "binary"])
def test_a_frame_that_is_too_large_ends_the_connection_unread(own_server: ServerByHand, frame) -> None:
    with own_server.let_in() as connection, pytest.raises(ConnectionClosed) as caught:
        connection.send(frame)
        connection.recv(timeout=20)
    assert caught.value.rcvd is None or caught.value.rcvd.code == 1009  # none where the end came in the middle of sending
    with own_server.let_in() as connection:
        connection.send('{"id": 7, "operation": "ping"}')
        assert protocol.decode_answer(connection.recv(timeout=20).encode())["event"] == "result"


@given(st.binary(max_size=200))
def test_no_bytes_make_more_than_one_piece_or_another_error(frame: bytes) -> None:
    try:
        name, offset, content = decoded_chunk(frame)
    except ProtocolError as error:
        assert error.code == protocol.BAD_REQUEST
    else:
        assert decoded_chunk(encoded_chunk(name, offset, content)) == (name, offset, content)


@given(st.text("az09._-", max_size=64), st.integers(0, 2**64 - 1), st.binary(max_size=2000))
def test_a_piece_comes_back_as_it_was(name: str, offset: int, content: bytes) -> None:
    assert decoded_chunk(encoded_chunk(name, offset, content)) == (name, offset, content)


def test_a_line_as_long_as_the_protocol_allows_fits_into_a_frame() -> None:
    assert MAX_FRAME_BYTES > MAX_LINE_BYTES


@pytest.mark.parametrize("name", ["/etc", "a/b", "..", ".hidden", "a\\b", "", 3, ["x"], "x@", "x@../y", "x\n"])
@pytest.mark.parametrize("parameter", ["model", "prompter", "target"])
def test_no_name_is_a_path(parameter: str, name: object) -> None:
    with pytest.raises(ProtocolError, match=f"takes a {parameter} by its name"):
        allowed.check(Request(1, "segment", {parameter: name}))


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", "a//b", ".hidden", "a\\b", None, "a/b/c/d/e/f/g/h/i"])
def test_no_file_of_a_training_is_put_elsewhere(tmp_path: Path, name: object) -> None:
    (tmp_path / "arrived").write_text("content")
    with pytest.raises(ProtocolError, match="lies elsewhere"):
        keep_file(tmp_path / "training", name, tmp_path / "arrived")
    assert list(tmp_path.iterdir()) == []


def test_a_training_takes_no_folder_of_the_servers_disk() -> None:
    for cases in ({"dataset": "/data"}, {"collected": ["0" * 16]}):
        with pytest.raises(ProtocolError, match="lies on your disk"):
            allowed.check(Request(1, "adapt", {"target": "0" * 32, **cases}))
    with pytest.raises(ProtocolError, match="needs a target"):
        allowed.check(Request(1, "adapt", {}))


def test_names_and_addresses_as_people_write_them(tmp_path: Path) -> None:
    assert checked_address(" gpu.example.org:8765\n") == ("gpu.example.org", 8765)
    assert checked_address("[::1]:1") == ("::1", 1)
    for wrong in ("gpu", ":1", "gpu:", "gpu:x", "gpu:70000", "gpu:²"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            checked_address(wrong)
    fingerprint = fingerprint_of(b"certificate")
    assert checked_fingerprint(fingerprint.lower().replace(":", " ")) == fingerprint
    with pytest.raises(ValueError, match="64 hex digits"):
        checked_fingerprint(fingerprint[:-1])
    for short in ("", "x" * 15, "with spaces in the middle", "x" * 20 + "é"):
        with pytest.raises(ValueError, match="at least 16"):
            checked_token(short)
    secret = kept_secret(tmp_path / "new" / "secret")
    assert kept_secret(tmp_path / "new" / "secret") == secret and len(secret) == 64
    assert (tmp_path / "new" / "secret").stat().st_mode & 0o077 == 0
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["secret"]


def test_the_certificate_is_made_once_and_its_key_is_nobody_elses(tmp_path: Path) -> None:
    assert server_context(tmp_path)[1] == server_context(tmp_path)[1]
    assert (tmp_path / "certificate.pem").stat().st_mode & 0o077 == 0
