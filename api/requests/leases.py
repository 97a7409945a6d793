"""The bodies by which workers over HTTP ask for tasks and say what became of them."""

import re
from hashlib import sha256
from typing import Annotated, Any

import orjson
from pydantic import Field, model_validator

from task_queue.actors.actions.context import MAX_MESSAGE_CHARS
from task_queue.actors.actions.result import result_text
from task_queue.actors.errors import Reject
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS
from task_queue.actors.tasks.text import printable
from task_queue.actors.tasks.verdict import Acked, Extended, Nacked, Released, Said, Verdict
from task_queue.api.requests.validation import Body, canonical_id, contradiction
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.names import Name

MAX_LEASES = 100
"""How many tasks one request leases or settles at most."""
MAX_LEASE_SECONDS = 86_400
"""A day: a worker that dies keeps its tasks for so long."""
MAX_WORKER_CHARS = 200
MAX_ERROR_CHARS = 100_000
"""How long an error may be: even with each character escaped it fits into a body of 1 MiB."""
UNNAMED = "a worker over HTTP"
"""What a worker is called that does not say its name."""

_LEASE = re.compile(r"([0-9a-f-]{36})\.([0-9a-f]{16})")
_Token = Annotated[str, Field(min_length=1, max_length=200)]


class LeaseBody(Body):
    """What a worker would like to be leased.

    Attributes:
        max: How many tasks at most; not given: one.
        lease_seconds: How long the leases last unless they are extended; not given: as long as the
            queue's.
        worker: The worker's name, which its tasks show.
        actions: What it does; not given: all external actions.
    """

    max: Annotated[int | None, Field(ge=1, le=MAX_LEASES)] = None
    lease_seconds: Annotated[float | None, Field(ge=1, le=MAX_LEASE_SECONDS)] = None
    worker: Annotated[str | None, Field(min_length=1, max_length=MAX_WORKER_CHARS)] = None
    actions: Annotated[list[Name] | None, Field(min_length=1, max_length=MAX_LEASES)] = None


class AckBody(Body):
    """That a task is done.

    Attributes:
        result: Its result, any JSON value.
    """

    result: Any = None


class NackBody(Body):
    """That a task failed; the attempt counts.

    Attributes:
        error: Why.
        retry_after_seconds: After how many seconds it is to be run again; not given: as its backoff
            says.
        permanent: Whether running it again cannot help; then it is `dead`.
    """

    error: Annotated[str, Field(min_length=1, max_length=MAX_ERROR_CHARS)]
    retry_after_seconds: Annotated[float | None, Field(ge=0, le=MAX_POSTPONE_SECONDS)] = None
    permanent: bool | None = None


class ReleaseBody(Body):
    """That a task is given back; the attempt does not count."""


class ProgressBody(Body):
    """How far a task is.

    Attributes:
        fraction: From 0 to 1.
        message: A text beside it.
    """

    fraction: Annotated[float, Field(ge=0, le=1)]
    message: Annotated[str | None, Field(max_length=MAX_MESSAGE_CHARS)] = None


class ExtendBody(Body):
    """That a task goes on.

    Attributes:
        lease_seconds: How long the lease is to last from now on.
        progress: How far the task is.
    """

    lease_seconds: Annotated[float, Field(ge=1, le=MAX_LEASE_SECONDS)]
    progress: ProgressBody | None = None


class SettlementBody(Body):
    """What is said about one of several leases: one of the four.

    Attributes:
        lease: The lease.
        ack: That its task is done.
        nack: That it failed.
        release: That it is given back.
        extend: That it goes on.
    """

    lease: _Token
    ack: AckBody | None = None
    nack: NackBody | None = None
    release: ReleaseBody | None = None
    extend: ExtendBody | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "SettlementBody":
        if len(self.said) != 1:
            raise contradiction("must have one of ack, nack, release, extend")
        return self

    @property
    def said(self) -> list[AckBody | NackBody | ReleaseBody | ExtendBody]:
        """What is said."""
        each = (self.ack, self.nack, self.release, self.extend)
        return [one for one in each if one is not None]


class SettleBody(Body):
    """What is said about several leases.

    Attributes:
        settlements: Each lease once.
    """

    settlements: Annotated[list[SettlementBody], Field(min_length=1, max_length=MAX_LEASES)]


AnyVerdict = AckBody | NackBody | ReleaseBody | ExtendBody


def token_of(lease: Lease) -> str:
    """Return the lease as workers have it.

    Its secret are the 63 random bits of the lease's number, so it can be neither guessed nor made
    from the task's id, and no server has to remember it.
    """
    return f"{lease.task_id}.{lease.lease_id:016x}"


def lease_in(token: str) -> Lease | None:
    """Return the lease that a worker names; None if it is none."""
    found = _LEASE.fullmatch(token)
    task_id = canonical_id(found[1]) if found else None
    number = int(found[2], 16) if found else 0
    return None if task_id is None or number >= 2**63 else Lease(task_id, number)


def said_of(lease: Lease, body: AnyVerdict, max_result_bytes: int, where: str = "") -> Said:
    """Return what a worker says, as the actors take it.

    Args:
        lease: The lease.
        body: What it says about it.
        max_result_bytes: How long a result may be, as JSON.
        where: Where this stands in the request's body, as in `settlements[2].`.

    Raises:
        InvalidRequestError: The result is too long.
    """
    verdict: Verdict
    match body:
        case AckBody(result=result):
            try:
                verdict = Acked(result=result_text(result, max_result_bytes))
            except Reject as error:
                text = f"{where}{error}"
                raise InvalidRequestError(text, problem=problems.RESULT_TOO_LONG) from error
        case NackBody(error=error, retry_after_seconds=seconds, permanent=permanent):
            text = printable(error)
            verdict = Nacked(error=text, retry_after_seconds=seconds, permanent=bool(permanent))
        case ReleaseBody():
            verdict = Released()
        case ExtendBody(lease_seconds=seconds, progress=progress):
            verdict = Extended(
                lease_seconds=seconds,
                fraction=None if progress is None else progress.fraction,
                message=None if progress is None else progress.message,
            )
    said = orjson.dumps([type(body).__name__, body.model_dump()], option=orjson.OPT_SORT_KEYS)
    return Said(lease=lease, verdict=verdict, fingerprint=sha256(said).hexdigest())
