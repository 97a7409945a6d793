"""Connections that take too long, and those of one client that take the places of all others."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from task_queue.api.server.patience import Connection, Patience, Seen, Stage, TooSlowError
from task_queue.config.layers import load
from tests.api.answers import complaints, connection, problem, read_answer
from tests.harness import DEADLINE_SECONDS, ServerProcess

TASK = b'{"action": "uppercase", "data": {"text": "x"}}'
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(TASK)
BUSY_SECONDS = 5.0
"""What a loaded machine may add to a limit of a second."""


class Fake:
    """A connection that only notes how it is given up."""

    def __init__(self, stage: Stage, client: str = "one", work: object = None) -> None:
        self.seen: Seen | None = None
        self.addr = (client, 1)
        self.stage, self.work = stage, work
        self.reason: str | None = None

    def at(self) -> tuple[Stage, object]:
        return self.stage, self.work

    def refuse(self, error: TooSlowError) -> None:
        self.reason = error.body

    def drop(self) -> None:
        self.reason = "dropped"


def patience(**http: int) -> Patience:
    settings = load(overrides=[f"http.{key}={value}" for key, value in http.items()], environ={})
    return Patience(settings.settings.http)


def looked_at(*fakes: Fake, places: int, moments: tuple[float, ...] = (0.0, 1.0)) -> list[Fake]:
    """Those that were given up."""
    looking = patience(max_connections=places)
    connections: list[Connection] = [*fakes]
    for now in moments:
        looking.look(connections, now)
    return [each for each in fakes if each.reason]


@pytest.mark.parametrize(
    ("stage", "key", "reason"),
    [
        (Stage.IDLE, "idle_timeout_seconds", "dropped"),
        (Stage.HEAD, "head_timeout_seconds", "the head of the request took over 3 s"),
        (Stage.BODY, "body_timeout_seconds", "the body of the request took over 3 s"),
        (Stage.SENDING, "send_timeout_seconds", "dropped"),
    ],
)
def test_each_stage_has_its_limit_which_begins_anew_with_the_next_request(
    stage: Stage, key: str, reason: str
) -> None:
    looking, fake = patience(**{key: 3}), Fake(stage, work=1)
    for now in (0.0, 1.0, 2.9):
        looking.look([fake], now)
    fake.work = 2
    for now in (3.0, 5.9):
        looking.look([fake], now)
    assert fake.reason is None
    looking.look([fake], 6.0)
    assert fake.reason == reason


def test_a_request_that_is_being_answered_has_no_limit_here() -> None:
    assert looked_at(Fake(Stage.WORKING), places=1, moments=(0.0, 1e6)) == []


def test_with_places_left_nobody_is_disturbed() -> None:
    assert looked_at(*(Fake(Stage.IDLE) for _ in range(19)), places=20) == []


def test_idle_connections_make_room_before_slow_ones_and_working_ones_never() -> None:
    gone = looked_at(*(Fake(stage) for stage in (*Stage, *Stage)), places=8)
    first = [Stage.CLOSING, Stage.CLOSING, Stage.IDLE, Stage.IDLE, Stage.HEAD]
    assert sorted(fake.stage for fake in gone) == first


def test_a_connection_that_has_got_on_since_the_last_look_keeps_its_place() -> None:
    assert looked_at(Fake(Stage.IDLE), Fake(Stage.IDLE), places=2, moments=(0.0,)) == []


def test_the_client_with_most_connections_gives_way_first() -> None:
    few = [Fake(Stage.IDLE, "few") for _ in range(2)]
    many = [Fake(Stage.IDLE, "many") for _ in range(5)]
    assert looked_at(*few, *many, places=5) == many[:3]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that waits for two seconds, with two threads and few places."""
    server = ServerProcess(
        tmp_path_factory.mktemp("impatient"),
        "http.threads=2",
        "http.max_connections=40",
        *(f"http.{each}_timeout_seconds=2" for each in ("idle", "head", "body", "send")),
    )
    yield server.start()
    assert complaints(server) == []
    server.close()


def rest(client: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    parts = iter(lambda: client.recv(65_536), b"")
    return b"".join(parts)


@pytest.mark.system
@pytest.mark.parametrize("before", [b"", GET, b"\r\n\r\n"], ids=["new", "used", "blank lines"])
def test_a_connection_is_closed_within_a_second_after_its_idle_time(
    impatient: ServerProcess, before: bytes
) -> None:
    began = time.monotonic()  # before the server can have seen anything of it
    with connection(impatient) as client:
        client.sendall(before)
        if before == GET:
            assert read_answer(client).status_code == 200
        assert rest(client) == b""
        assert 2 <= time.monotonic() - began < 2 + BUSY_SECONDS


@pytest.mark.system
@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (b"P", "the head of the request took over 2 s"),
        (POST, "the head of the request took over 2 s"),
        (POST + LENGTH, "the body of the request took over 2 s"),
        (POST + LENGTH + TASK[:10], "the body of the request took over 2 s"),
        (
            POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + TASK[:5],
            "the body of the request took over 2 s",
        ),
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_answered_and_closed(
    impatient: ServerProcess, part: bytes, sentence: str
) -> None:
    with connection(impatient) as client:
        client.sendall(part)
        answer = read_answer(client)
        assert problem(answer, 408, "request timeout") == sentence
        assert answer.headers["Connection"] == "close"
        assert rest(client) == b""


@pytest.mark.system
@pytest.mark.parametrize("beginning", [b"GET /", POST + b"Content-Length: 100000\r\n\r\n"])
def test_a_client_that_sends_a_byte_now_and_then_does_not_stay(
    impatient: ServerProcess, beginning: bytes
) -> None:
    with connection(impatient) as client:
        client.sendall(beginning)
        answered = threading.Event()

        def drip() -> None:
            with suppress(OSError):  # the server may give up on us before we have read
                while not answered.wait(0.2):
                    client.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert read_answer(client).status_code == 408
        finally:
            answered.set()
            dripping.join()


@pytest.mark.system
def test_a_client_that_sends_nothing_but_blank_lines_is_idle(impatient: ServerProcess) -> None:
    began = time.monotonic()
    with connection(impatient) as client, suppress(ConnectionError):
        client.settimeout(0.3)
        while True:
            assert time.monotonic() - began < 2 + BUSY_SECONDS
            client.sendall(b"\r\n")
            with suppress(TimeoutError):
                assert client.recv(1) == b""
                break


@pytest.mark.system
def test_clients_that_do_not_read_their_answers_occupy_no_thread_and_are_given_up(
    impatient: ServerProcess,
) -> None:
    for _ in range(50):
        impatient.publish("keep", text="x" * 300_000)
    with ExitStack() as stack:
        clients = [stack.enter_context(connection(impatient)) for _ in range(4)]
        for client in clients:  # each asks for some 300 MB
            client.sendall(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        assert impatient.client.get("/healthz", timeout=DEADLINE_SECONDS).status_code == 200
        for client in clients:
            broken_off = select.poll()
            broken_off.register(client, 0)  # errors alone: what there is to read is not looked at
            assert broken_off.poll(DEADLINE_SECONDS * 1_000)
            with pytest.raises(ConnectionResetError):
                rest(client)


@pytest.mark.system
@pytest.mark.parametrize("beginning", [b"", b"G", POST + LENGTH], ids=["idle", "head", "body"])
def test_a_client_that_holds_all_places_makes_nobody_wait(
    serve: Callable[..., ServerProcess], beginning: bytes
) -> None:
    server = serve("http.max_connections=100").start()
    with ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(connection(server)).sendall(beginning)
        for _ in range(10):  # each over a connection of its own
            began = time.monotonic()
            assert httpx.get(f"{server.client.base_url}/healthz").status_code == 200
            assert time.monotonic() - began < BUSY_SECONDS
    assert complaints(server) == []


@pytest.mark.system
def test_without_descriptors_nobody_is_lost_and_the_log_stays_short(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve()
    server.wrapper = ("sh", "-c", 'ulimit -n 60; exec "$@"', "sh")
    server.start()
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connection(server))
        server.wait_for_log("connection not accepted")
        assert httpx.get(f"{server.client.base_url}/healthz").status_code == 200
    assert len([line for line in server.log if line["event"] == "connection not accepted"]) < 20
