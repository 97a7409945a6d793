"""A request with an `Idempotency-Key` is done once, however often it is sent."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import product
from typing import Any
from uuid import uuid4

import falcon
import httpx
import orjson
import pytest
from falcon.testing import create_environ

from task_queue.actors.errors import AnswerTimeoutError
from task_queue.actors.messages.reply import Reply
from task_queue.actors.store.database import Database
from task_queue.actors.tasks.conditions import REMEMBERED_SECONDS
from task_queue.api.auth.caller import Caller
from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.requests.idempotency import InFlight, asked_for
from task_queue.api.responses.errors import InvalidRequestError
from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.databases import execute, held
from tests.fakes import NOW
from tests.harness import DEADLINE_SECONDS, ServerProcess

system = pytest.mark.system

TASK = {"action": "sum", "data": {"numbers": [1, 2]}}
REUSED = "this Idempotency-Key was sent before with another request"
IN_FLIGHT = "a request with this Idempotency-Key is still being answered"
NO_KEY = (
    "Idempotency-Key must have 1 to 255 visible ASCII characters,"
    " as they are or as a string in double quotes"
)
NO_KEYS = (
    "",
    '""',
    '"',
    '"a',
    '"a"b',
    '"a";b=1',
    r'"a\b"',
    "a b",
    '"a b"',
    "a, b",
    "k" * 256,
    f'"{"k" * 256}"',
    "ü",
    "\x7f",
)
WRONG = 'priority must be a whole number from -100 to 100, not "high"'
LATE = AnswerTimeoutError("late")
SETTINGS = (
    "queues.quick.driver=memory",
    "queues.small.max_length=1",
    "queues.tasks.concurrency=1",
)


@pytest.fixture(scope="module", params=DATABASES)
def remembering(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database, with a queue for one task and one in memory."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server
        assert complaints(server) == []


@pytest.fixture
def key() -> str:
    return uuid4().hex


def asked(
    header: str | None,
    value: object = TASK,
    path: str = "/tasks",
    queues: frozenset[str] | None = None,
) -> Any:  # noqa: ANN401
    headers = {} if header is None else {"Idempotency-Key": header}
    req = falcon.Request(create_environ(path, headers=headers))
    req.context.caller = Caller("mine", None, frozenset(Scope), queues)
    return asked_for(req, value, NOW)


def send(
    server: ServerProcess, key: str, body: object = TASK, path: str = "/tasks"
) -> httpx.Response:
    return server.client.post(path, content=orjson.dumps(body), headers={"Idempotency-Key": key})


def is_replay(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("Idempotency-Replayed") == "true")


def count(server: ServerProcess) -> int:
    return len(server.all_tasks())


def test_keys_of_callers_who_see_other_queues_never_meet() -> None:
    sets = [None, *map(frozenset, ((), ("mail",), ("mail", "sms"), ("mai", "l"), ("mail,sms",)))]
    keys = [asked("k", queues=queues).key for queues in sets]
    assert len(set(keys)) == len(sets)
    assert keys[0] == "k", "who sees all queues has the key as it is"
    # Nor can anybody send what another's key is stored as.
    for key in keys[1:]:
        with pytest.raises(InvalidRequestError):
            asked(key)
    same = asked("k", queues=frozenset(["sms", "mail"]))
    assert same == asked("k", queues=frozenset(["mail", "sms"]))


def test_without_the_header_nothing_is_remembered() -> None:
    assert asked(None) is None


@pytest.mark.parametrize(
    ("header", "known_as"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("  k ", "k"),
        ("!~", "!~"),
        ("k" * 255, "k" * 255),
        (f'"{"k" * 255}"', "k" * 255),
        (r'"a\"b\\c"', r'a"b\c'),
        ('a"b', 'a"b'),
    ],
)
def test_a_key_is_bare_or_a_string_of_a_structured_field(header: str, known_as: str) -> None:
    assert asked(header).key == known_as
    assert asked(header).expires_at == NOW + REMEMBERED_SECONDS


@pytest.mark.parametrize("header", NO_KEYS)
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequestError, match=NO_KEY):
        asked(header)


def test_the_description_takes_what_the_server_takes() -> None:
    pattern = headers.IDEMPOTENCY_KEY.schema["pattern"]
    for header in (*NO_KEYS, *map("".join, product('"\\a! ', repeat=5))):
        try:
            asked(header)
        except InvalidRequestError:
            assert not re.search(pattern, header.strip()), header
        else:
            assert re.search(pattern, header.strip()), header


def test_the_same_request_is_known_by_its_content_and_not_by_how_it_is_written() -> None:
    fingerprint = asked("k").fingerprint
    assert asked("k", dict(reversed(TASK.items()))).fingerprint == fingerprint
    assert asked("k", {**TASK, "priority": 1}).fingerprint != fingerprint
    assert asked("k", {**TASK, "data": {"numbers": [2, 1]}}).fingerprint != fingerprint
    assert asked("k", TASK, "/tasks/batch").fingerprint != fingerprint


@pytest.mark.parametrize("ends", [lambda reply: reply.answer(None), lambda reply: reply.fail(LATE)])
def test_a_key_is_free_again_when_the_reply_is_there_whatever_it_is(
    ends: Callable[[Reply[None]], None],
) -> None:
    keys, reply = InFlight(), Reply[None]()
    keys.enter("k")
    keys.leave_with(reply, "k")
    with pytest.raises(InvalidRequestError, match=IN_FLIGHT) as caught:
        keys.enter("k")
    error = caught.value
    assert (error.problem.status, error.retry_after_seconds) == (409, 1)
    keys.enter("other")
    ends(reply)
    keys.enter("k")


@system
@pytest.mark.parametrize(
    "special", [{}, {"delay_seconds": 1000}, {"unique_key": "first of its kind"}]
)
def test_the_first_answer_is_given_again(
    remembering: ServerProcess, key: str, special: dict[str, Any]
) -> None:
    body = {**TASK, **special}
    first = send(remembering, key, body)
    assert first.status_code == 202
    assert not is_replay(first)
    before = count(remembering)
    for again in (key, f'"{key}"'):
        answer = send(remembering, again, dict(reversed(body.items())))
        assert is_replay(answer)
        assert (answer.status_code, answer.json()) == (202, first.json())
        assert answer.headers["Location"] == first.headers["Location"]
        assert answer.headers["Content-Type"] == "application/json"
    assert count(remembering) == before


@system
def test_an_answer_that_told_of_a_duplicate_is_given_again(
    remembering: ServerProcess, key: str
) -> None:
    body = {**TASK, "unique_key": key, "delay_seconds": 1000}
    task_id = send(remembering, "other" + key, body).json()["id"]
    first, again = send(remembering, key, body), send(remembering, key, body)
    assert not is_replay(first)
    assert is_replay(again)
    expected = {"id": task_id, "status": "scheduled", "duplicate": True}
    assert first.json() == again.json() == expected
    assert first.status_code == again.status_code == 200


@system
def test_a_batch_is_published_once(remembering: ServerProcess, key: str) -> None:
    body = {"tasks": [TASK, {**TASK, "unique_key": key}, {**TASK, "unique_key": key}]}
    first = send(remembering, key, body, "/tasks/batch")
    assert first.json()["duplicates"] == 1
    before = count(remembering)
    again = send(remembering, key, body, "/tasks/batch")
    assert is_replay(again)
    assert (again.status_code, again.json()) == (202, first.json())
    assert count(remembering) == before


@system
def test_a_key_with_another_request_is_refused(remembering: ServerProcess, key: str) -> None:
    send(remembering, key)
    before = count(remembering)
    problem(send(remembering, key, {**TASK, "priority": 1}), 422, REUSED)
    problem(send(remembering, key, {"tasks": [TASK]}, "/tasks/batch"), 422, REUSED)
    assert count(remembering) == before
    assert is_replay(send(remembering, key))


@system
def test_what_is_no_key_is_a_bad_request(remembering: ServerProcess) -> None:
    before = count(remembering)
    for no_key in ("", "a b", "k" * 256):
        problem(send(remembering, no_key), 400, NO_KEY)
    assert count(remembering) == before


@system
def test_a_request_that_was_refused_may_come_again_with_its_key(
    remembering: ServerProcess, key: str
) -> None:
    problem(send(remembering, key, {**TASK, "priority": "high"}), 400, WRONG)
    assert not is_replay(send(remembering, key))

    other, small = f"other-{key}", {**TASK, "queue": "small", "delay_seconds": 1000}
    occupant = send(remembering, "occupant" + key, small).json()["id"]
    assert send(remembering, other, small).status_code == 429
    assert remembering.client.post(f"/tasks/{occupant}/cancel").status_code == 200
    answer = send(remembering, other, small)
    assert (answer.status_code, is_replay(answer)) == (202, False)


@system
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tasks", {**TASK, "queue": "quick"}),
        ("/tasks/batch", {"tasks": [{**TASK, "queue": "quick"}]}),
    ],
)
def test_a_queue_in_memory_remembers_no_keys_and_says_so(
    remembering: ServerProcess, key: str, path: str, body: object
) -> None:
    error = (
        "Idempotency-Key needs a queue on a database; 'quick' is in memory and takes only action,"
        " data, queue, delay_seconds, run_at, max_attempts"
    )
    problem(send(remembering, key, body, path), 400, error)


@system
def test_while_the_first_is_being_answered_the_second_is_told_to_wait(
    serve: Callable[..., ServerProcess], empty_database: Database, key: str
) -> None:
    server = serve(
        f"database.url={empty_database.url}",
        "database.statement_timeout_seconds=20",
        "http.answer_timeout_seconds=20",
    ).start()
    with ThreadPoolExecutor(2) as threads:
        with held(empty_database):
            both = [threads.submit(send, server, key) for _ in range(2)]
            second = next(as_completed(both, timeout=DEADLINE_SECONDS)).result()
            problem(second, 409, IN_FLIGHT)
            assert second.headers["Retry-After"] == "1"
        statuses = sorted(each.result().status_code for each in both)
    assert statuses == [202, 409]
    assert is_replay(send(server, key))
    assert count(server) == 1


@system
def test_a_key_outlives_the_process_and_ends_with_its_time(
    serve: Callable[..., ServerProcess], empty_database: Database, key: str
) -> None:
    server = serve(f"database.url={empty_database.url}").start()
    first = send(server, key)
    server.kill()
    server.start()
    assert send(server, key).json() == first.json()
    server.terminate()
    execute(empty_database, "UPDATE idempotency_keys SET expires_at = 1")
    server.start()
    answer = send(server, key, {**TASK, "priority": 1})
    assert (answer.status_code, is_replay(answer)) == (202, False)
    assert count(server) == 2


@system
def test_of_many_requests_with_the_same_key_at_once_one_is_done(
    remembering: ServerProcess, key: str
) -> None:
    before = count(remembering)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: send(remembering, key), range(64)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert [is_replay(answer) for answer in accepted].count(False) == 1
    assert len({answer.json()["id"] for answer in accepted}) == 1
    assert count(remembering) == before + 1
