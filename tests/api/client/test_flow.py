"""What is sent again, when, and what is raised in the end."""

import pickle
from typing import Any

import pytest

from task_queue.api.client.errors import (
    ClientError,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from task_queue.api.client.flow import MAX_PAUSE_SECONDS, asked
from task_queue.api.client.request import Answer, NoAnswer, Request, get
from tests.api.client.flows import LOST, NOT_REACHED, Played, answer, problem

OK = answer(200, {"id": "1"})
AWAY = problem(503, "not-queued", retry_after="1")
BUSY = problem(429, "over-limit", retry_after="1")


def look() -> Request[Any]:
    return get("/tasks", lambda document: document)


def change(*, repeatable: bool, key: str | None = None) -> Request[Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    return Request(
        method="POST",
        path="/tasks?queue=mail",
        read=lambda document: document,
        repeatable=repeatable,
        headers=headers,
    )


def raised(played: Played, request: Request[Any], *answers: Answer | NoAnswer) -> ClientError:
    with pytest.raises(ClientError) as caught:
        played.run(asked(request, played.patience), answers)
    return caught.value


def test_an_answer_is_read_and_nothing_is_sent_twice() -> None:
    played = Played()
    assert played.run(asked(look(), played.patience), [OK]) == {"id": "1"}
    assert len(played.sent) == 1
    assert played.pauses == []


@pytest.mark.parametrize("failed", [LOST, NOT_REACHED, AWAY, BUSY, answer(502), answer(504)])
@pytest.mark.parametrize("request_", [look(), change(repeatable=True, key="k")])
def test_what_may_be_sent_again_is_until_it_is_answered(
    failed: Answer | NoAnswer, request_: Request[Any]
) -> None:
    played = Played()
    flow = asked(request_, played.patience)
    assert played.run(flow, [failed, failed, OK]) == {"id": "1"}
    assert [each.request for each in played.sent] == [request_] * 3


def test_a_repetition_of_a_publish_waits_for_the_answer_to_the_first() -> None:
    played = Played()
    still = problem(409, "still-answered", retry_after="1")
    flow = asked(change(repeatable=True, key="k"), played.patience)
    assert played.run(flow, [LOST, still, OK]) == {"id": "1"}


@pytest.mark.parametrize("failed", [NOT_REACHED, BUSY, problem(408, "request-timeout")])
def test_a_change_that_must_not_happen_twice_is_sent_again_if_it_did_not(
    failed: Answer | NoAnswer,
) -> None:
    played = Played()
    flow = asked(change(repeatable=False), played.patience)
    assert played.run(flow, [failed, failed, OK]) == {"id": "1"}


@pytest.mark.parametrize("failed", [LOST, AWAY, answer(502), problem(500, "internal-error")])
def test_a_change_that_has_perhaps_happened_is_not_sent_again(failed: Answer | NoAnswer) -> None:
    played = Played()
    error = raised(played, change(repeatable=False), NOT_REACHED, failed)
    assert isinstance(error, OutcomeUnknownError)
    assert error.idempotency_key is None
    assert "not known" in str(error)
    assert len(played.sent) == 2


def test_a_publish_of_unknown_outcome_says_with_which_key_it_can_be_sent_again() -> None:
    played = Played(deadline_seconds=5)
    error = raised(played, change(repeatable=True, key="order-17"), LOST, NOT_REACHED)
    assert isinstance(error, OutcomeUnknownError)
    assert error.idempotency_key == "order-17"
    assert played.now < 6


def test_what_was_never_sent_is_known_not_to_have_happened() -> None:
    error = raised(Played(deadline_seconds=5), change(repeatable=True, key="k"), NOT_REACHED)
    assert type(error) is UnavailableError
    assert str(error) == "nobody listens"


@pytest.mark.parametrize("failed", [LOST, AWAY])
def test_a_look_has_no_outcome_that_could_be_unknown(failed: Answer | NoAnswer) -> None:
    assert type(raised(Played(deadline_seconds=5), look(), failed)) is UnavailableError


def test_a_queue_that_stays_full_refuses_in_its_own_words() -> None:
    full = problem(429, "over-limit", "the queue 'mail' would hold 4", retry_after="1")
    error = raised(Played(deadline_seconds=5), change(repeatable=True, key="k"), full)
    assert type(error) is RefusedError
    assert (error.status, error.problem) == (429, "over-limit")
    assert str(error) == "the queue 'mail' would hold 4"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, RefusedError),
        (301, RefusedError),
    ],
)
def test_what_the_server_refuses_is_not_sent_again(status: int, kind: type[ClientError]) -> None:
    played = Played()
    refusal = problem(status, "some-kind", "it is so", x_request_id="r-1")
    error = raised(played, look(), refusal)
    assert type(error) is kind
    assert isinstance(error, RefusedError)
    assert (error.status, error.problem, error.error) == (status, "some-kind", "short")
    assert (error.request_id, str(error), len(played.sent)) == ("r-1", "it is so", 1)


def test_a_refusal_of_a_database_is_no_unknown_outcome() -> None:
    error = raised(Played(), change(repeatable=False), problem(500, "publish-refused"))
    assert type(error) is RefusedError


@pytest.mark.parametrize("content", [b"", b"<html>", b'"text"', b'{"type": 1, "detail": null}'])
def test_an_error_without_a_problem_says_its_status(content: bytes) -> None:
    error = raised(Played(), look(), Answer(status=418, headers={}, content=content))
    assert str(error) == "the server answered 418, and not why"


@pytest.mark.parametrize("content", [b"<html>", b"{}", b"[]", b"null", b""])
def test_an_answer_of_something_else_is_said_to_be_one(content: bytes) -> None:
    request = get("/tasks?limit=1", lambda document: document["tasks"])
    error = raised(Played(), request, Answer(status=200, headers={}, content=content))
    assert type(error) is UnexpectedAnswerError
    assert str(error) == "the answer to GET /tasks is not what a task queue answers"


def test_pauses_grow_up_to_a_bound_and_are_at_random() -> None:
    longest, shortest = Played(deadline_seconds=60), Played(chance=0.25, deadline_seconds=60)
    for played in (longest, shortest):
        raised(played, look(), NOT_REACHED)
    assert longest.pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(longest.pauses) == MAX_PAUSE_SECONDS
    assert shortest.pauses[:4] == [0.025, 0.05, 0.1, 0.2]


def test_a_server_that_says_when_to_come_again_is_not_asked_before() -> None:
    played = Played(chance=0.5)
    played.run(asked(look(), played.patience), [problem(503, "x", retry_after="7"), OK])
    assert played.pauses == [7.05]


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", "²", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_what_cannot_be_read_of_when_to_come_again_counts_for_nothing(text: str) -> None:
    played = Played()
    played.run(asked(look(), played.patience), [problem(503, "x", retry_after=text), OK])
    assert played.pauses == [0.1]


def test_nothing_is_sent_after_the_deadline() -> None:
    played = Played(deadline_seconds=10)
    error = raised(played, look(), problem(503, "x", retry_after="11"))
    assert isinstance(error, UnavailableError)
    assert (len(played.sent), played.pauses) == (1, [])


def test_an_attempt_waits_no_longer_than_the_deadline_and_as_long_as_the_server() -> None:
    played = Played(deadline_seconds=12, answer_seconds=10, seconds=7)
    raised(played, look(), LOST)
    assert [each.timeout_seconds for each in played.sent] == [10, pytest.approx(12 - 7.1)]
    waits = Request(method="GET", path="/", read=str, wait_seconds=20)
    played = Played(deadline_seconds=12, answer_seconds=10)
    played.run(asked(waits, played.patience), [OK])
    assert played.sent[0].timeout_seconds == 30


def test_an_answer_that_comes_at_the_end_of_a_wait_is_not_given_up_just_before() -> None:
    played = Played()
    waits = Request(method="GET", path="/", read=str, wait_seconds=20)
    played.run(asked(waits, played.patience, until=20), [OK])
    assert played.sent[0].timeout_seconds == 22


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("gone", status=404, problem="not-found", error="task not found"),
        OutcomeUnknownError("lost", status=None, idempotency_key="k"),
    ],
)
def test_errors_can_be_pickled_with_all_they_say(error: ClientError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
