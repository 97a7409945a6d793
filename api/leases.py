"""`/queues/{name}/lease` and `/leases`: workers in any language lease tasks, and settle them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import falcon
import orjson
from orjson import dumps

from task_queue.actors.errors import (
    AnswerTimeoutError,
    LeaseLostError,
    NotFoundError,
    TaskQueueError,
)
from task_queue.actors.messages.lessor import GiveBack, LeaseTasks, SettleLeases
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.claim import Lease, LeasedTask
from task_queue.actors.tasks.text import cut
from task_queue.actors.tasks.verdict import Refusal, Said, Taken
from task_queue.api.auth.caller import caller_of
from task_queue.api.edge import Edge
from task_queue.api.json_codec import refuse_members
from task_queue.api.requests import prefer
from task_queue.api.requests.leases import (
    UNNAMED,
    AckBody,
    AnyVerdict,
    ExtendBody,
    LeaseBody,
    NackBody,
    ReleaseBody,
    SettleBody,
    lease_in,
    said_of,
    token_of,
)
from task_queue.api.requests.validation import checked_body
from task_queue.api.responses import errors, problems
from task_queue.api.responses.answer import JSON, Answer, Headers
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.late import Late, Wait, leave_after

_REFUSED = {
    Refusal.LAPSED: "the lease is not held any more; nothing was recorded",
    Refusal.SETTLED: "the lease has been ended by something else; nothing was recorded",
}


class LeaseResource:
    """`POST /queues/{name}/lease` leases tasks of external actions to a worker."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Lease what is ready, with `Prefer: wait=N` as soon as anything is."""
        body = checked_body(req, LeaseBody)
        if not caller_of(req).sees(name):
            raise NotFoundError("queue not found")
        settings = self._edge.queue_settings(name)
        self._edge.check_has_rows(name)
        seconds = prefer.wait_seconds(req, self._edge.max_wait_seconds)
        asked = LeaseTasks(
            queue=name,
            actions=self._actions(body),
            limit=body.max or 1,
            lease_seconds=body.lease_seconds or settings.lease_seconds,
            worker=body.worker or UNNAMED,
            waits=seconds is not None,
        )
        reply = self._edge.system.lessor.ask_later(asked)
        headers: Headers = [("Content-Type", JSON)]
        lost = None
        if seconds is None:
            error = AnswerTimeoutError("no answer from the database in time")
            wait = Wait(self._edge.deadline, partial(reply.fail, error), stops=False)
        else:
            headers.append(prefer.applied(seconds))
            until = self._edge.monotonic() + seconds
            wait = Wait(until, partial(reply.answer, ()))
            lost = partial(self._give_back, reply)
        late = Late(reply, partial(_leased, headers), wait, errors.refusal, lost=lost)
        if (answer := leave_after(req, late, self._edge.timeout)) is not None:
            answer.fill(resp)

    def _give_back(self, reply: Reply[tuple[LeasedTask, ...]]) -> None:
        """Give back what was leased to a client that has gone meanwhile."""
        with suppress(TaskQueueError):  # then nothing was leased, or it goes back when it lapses
            if leased := reply.outcome():
                self._edge.system.lessor.tell(GiveBack(leased))

    def _actions(self, body: LeaseBody) -> tuple[str, ...]:
        """Return the actions that the worker does.

        Raises:
            InvalidRequestError: One of them is not external, or none is.
        """
        external = self._edge.actions.external
        there_are = f"external actions: {', '.join(external) or 'none'}"
        for index, action in enumerate(body.actions or ()):
            if action not in external:
                text = (
                    f"actions[{index}] must be an external action, not {cut(action)}; {there_are}"
                )
                raise InvalidRequestError(text, problem=problems.NOT_EXTERNAL)
        if not external:
            text = f"there is nothing to lease; {there_are}"
            raise InvalidRequestError(text, problem=problems.NOT_EXTERNAL)
        return tuple(dict.fromkeys(body.actions or external))


class LeasesResource:
    """`POST` below `/leases`: what workers say about the tasks that they hold."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_post_ack(self, req: falcon.Request, resp: falcon.Response, lease: str) -> None:
        """Complete the task."""
        self._settle_one(req, resp, lease, checked_body(req, AckBody))

    def on_post_nack(self, req: falcon.Request, resp: falcon.Response, lease: str) -> None:
        """Count a failed attempt: the task is run again later, or is dead."""
        self._settle_one(req, resp, lease, checked_body(req, NackBody))

    def on_post_release(self, req: falcon.Request, resp: falcon.Response, lease: str) -> None:
        """Give the task back without counting an attempt."""
        refuse_members(req)
        self._settle_one(req, resp, lease, ReleaseBody())

    def on_post_extend(self, req: falcon.Request, resp: falcon.Response, lease: str) -> None:
        """Let the lease last longer; say whether somebody asked to cancel the task."""
        self._settle_one(req, resp, lease, checked_body(req, ExtendBody))

    def on_post_settle(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Do any of that to several leases, in one commit; each has an outcome of its own."""
        settlements = checked_body(req, SettleBody).settlements
        leases = [lease_in(each.lease) for each in settlements]
        said: list[Said] = []
        for index, (lease, each) in enumerate(zip(leases, settlements, strict=True)):
            if lease is not None:
                where = f"settlements[{index}]."
                if any(lease == other.lease for other in said):
                    message = f"{where}lease is given twice; give it once"
                    raise InvalidRequestError(message, problem=problems.CONTRADICTION)
                said.append(self._said(lease, each.said[0], where))
        tokens = [each.lease for each in settlements]
        done = partial(_settled_all, tokens, leases)
        self._ask(req, resp, said, done)

    def _settle_one(
        self, req: falcon.Request, resp: falcon.Response, token: str, body: AnyVerdict
    ) -> None:
        if (lease := lease_in(token)) is None:
            raise NotFoundError("lease not found")
        self._ask(req, resp, [self._said(lease, body)], partial(_settled_one, token), token)

    def _said(self, lease: Lease, body: AnyVerdict, where: str = "") -> Said:
        return said_of(lease, body, self._edge.max_result_bytes, where)

    def _ask(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        said: Sequence[Said],
        done: Callable[[Sequence[Taken | Refusal]], Answer],
        token: str | None = None,
    ) -> None:
        """Have it written, and answer with what came of it."""
        asked = SettleLeases(tuple(said), caller_of(req).queues)
        reply = self._edge.system.lessor.ask_later(asked)
        error = AnswerTimeoutError("no answer in time; whether it took effect is unknown")
        wait = Wait(self._edge.deadline, partial(reply.fail, error), stops=False)
        late = Late(reply, done, wait, partial(errors.refusal, name=token))
        if (answer := leave_after(req, late, self._edge.timeout)) is not None:
            answer.fill(resp)


def _leased(headers: Headers, leased: Sequence[LeasedTask]) -> Answer:
    body = {"leases": [_lease_document(each) for each in leased]}
    return Answer(HTTPStatus.OK, headers, dumps(body))


def _lease_document(leased: LeasedTask) -> dict[str, Any]:
    """Return a leased task as the API shows it."""
    claimed, terms = leased.claimed, leased.claimed.terms
    task = {
        "id": claimed.lease.task_id,
        "queue": leased.queue,
        "action": claimed.action,
        "data": orjson.Fragment(claimed.data),
        "attempt": claimed.attempt,
        "max_attempts": claimed.max_attempts,
        "created_at": leased.created_at,
        "key": terms.key,
        "timeout_seconds": terms.timeout_seconds,
    }
    for name in ("traceparent", "tracestate"):
        if (value := getattr(terms, name)) is not None:
            task[name] = value
    return {
        "lease": token_of(claimed.lease),
        "expires_at": round(leased.leased_until, 3),
        "task": task,
    }


def _settled_one(token: str, outcomes: Sequence[Taken | Refusal]) -> Answer:
    """Return the answer to what was said about one lease.

    Raises:
        NotFoundError: There is no such task, for this worker.
        LeaseLostError: The lease is not held any more.
    """
    [outcome] = outcomes
    if isinstance(outcome, Taken):
        return Answer(HTTPStatus.OK, [("Content-Type", JSON)], dumps(_taken(token, outcome)))
    if outcome is Refusal.NOT_FOUND:
        raise NotFoundError("lease not found")
    raise LeaseLostError(_REFUSED[outcome])


def _settled_all(
    tokens: Sequence[str], leases: Sequence[object], outcomes: Sequence[Taken | Refusal]
) -> Answer:
    """Return the answer to what was said about several leases."""
    told = iter(outcomes)
    documents = []
    for token, lease in zip(tokens, leases, strict=True):
        outcome = Refusal.NOT_FOUND if lease is None else next(told)
        documents.append(_outcome(token, outcome))
    return Answer(HTTPStatus.OK, [("Content-Type", JSON)], dumps({"settlements": documents}))


def _outcome(token: str, outcome: Taken | Refusal) -> dict[str, Any]:
    if isinstance(outcome, Taken):
        return {"ok": True, **_taken(token, outcome)}
    if outcome is Refusal.NOT_FOUND:
        detail = f"there is no lease {cut(token)!r}"
        problem = errors.document(problems.NOT_FOUND, "lease not found", detail)
    else:
        problem = errors.document(problems.LEASE_LOST, _REFUSED[outcome])
    return {"ok": False, "lease": cut(token), "problem": problem}


def _taken(token: str, taken: Taken) -> dict[str, Any]:
    """Return the outcome of what was said about a lease, as the API shows it."""
    document: dict[str, Any] = {
        "lease": token,
        "id": taken.task_id,
        "status": taken.status.shown,
        "cancel_requested": taken.cancelling,
    }
    if taken.run_at is not None:
        document["run_at"] = round(taken.run_at, 3)
    if taken.leased_until is not None:
        document["expires_at"] = round(taken.leased_until, 3)
    return document
