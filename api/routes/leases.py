"""The operations of workers in any language."""

from http import HTTPStatus

from pydantic import BaseModel

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.contract.documents.leases import Leased, SettledLease, SettledList
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.leases import LeaseResource, LeasesResource
from task_queue.api.requests.leases import (
    AckBody,
    ExtendBody,
    LeaseBody,
    NackBody,
    SettleBody,
)
from task_queue.api.responses import problems

_OF_ALL = (
    problems.INVALID_REQUEST,
    problems.INVALID_JSON,
    problems.NOT_FOUND,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.QUERY_FAILED,
    problems.DATABASE_UNAVAILABLE,
)
LEASE = "0190f6a2-7c3e-7f00-8000-000000000001.0123456789abcdef"
"""The lease in examples."""


def _verdict(
    verb: str,
    summary: str,
    description: str,
    body: type[BaseModel] | None,
    example: dict[str, object] | None,
) -> Operation:
    """Return the operation by which a worker says this about a lease."""
    more = (problems.RESULT_TOO_LONG,) if verb == "ack" else ()
    return Operation(
        method="POST",
        path=f"/leases/{{lease}}/{verb}",
        operation_id=f"{verb}_lease",
        summary=summary,
        description=description,
        tag="Workers",
        resource=LeasesResource,
        suffix=verb,
        scope=Scope.WORK,
        body=body,
        answers={HTTPStatus.OK: Answered(description="It is on disk.", model=SettledLease)},
        problems=(*_OF_ALL, problems.LEASE_LOST, *more),
        example=Example(path={"lease": LEASE}, body=example),
    )


OPERATIONS = (
    Operation(
        method="POST",
        path="/queues/{name}/lease",
        operation_id="lease_tasks",
        summary="Lease tasks to a worker",
        description="Of the actions with `external = true` in the settings. With `Prefer: wait=N`"
        " the answer comes as soon as any is ready, or empty after N seconds. The attempt counts"
        " from now on: a worker that neither settles nor extends the lease in time loses it.",
        tag="Workers",
        resource=LeaseResource,
        scope=Scope.WORK,
        body=LeaseBody,
        headers=(headers.PREFER_OF_LEASES,),
        answers={
            HTTPStatus.OK: Answered(
                description="What is leased; nothing if nothing was ready.",
                model=Leased,
                headers=(headers.PREFERENCE_APPLIED,),
            )
        },
        problems=(*_OF_ALL, problems.CONFLICT, problems.NOT_EXTERNAL),
        example=Example(
            path={"name": "tasks"},
            body={"max": 10, "lease_seconds": 60, "worker": "host-1", "actions": ["resize"]},
        ),
    ),
    _verdict(
        "ack",
        "Complete a leased task",
        "Sent again as it was, it has the same answer for an hour.",
        AckBody,
        {"result": {"width": 640}},
    ),
    _verdict(
        "nack",
        "Fail a leased task",
        "The attempt counts: the task is run again after its backoff or `retry_after_seconds`, or"
        " is dead. Sent again as it was, it has the same answer for an hour.",
        NackBody,
        {"error": "no such picture", "permanent": True},
    ),
    _verdict(
        "release",
        "Give a leased task back",
        "The attempt does not count. The task rests for a second, so that others come first.",
        None,
        None,
    ),
    _verdict(
        "extend",
        "Let a lease last longer",
        "From now on, but not beyond what the attempt may take. The answer says whether somebody"
        " asked to cancel the task.",
        ExtendBody,
        {"lease_seconds": 60, "progress": {"fraction": 0.5, "message": "page 3 of 6"}},
    ),
    Operation(
        method="POST",
        path="/leases/settle",
        operation_id="settle_leases",
        summary="Settle several leases",
        description="In one commit; each has an outcome of its own.",
        tag="Workers",
        resource=LeasesResource,
        suffix="settle",
        scope=Scope.WORK,
        body=SettleBody,
        answers={HTTPStatus.OK: Answered(description="What became of each.", model=SettledList)},
        problems=(
            problems.INVALID_REQUEST,
            problems.CONTRADICTION,
            problems.INVALID_JSON,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.RESULT_TOO_LONG,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(
            body={
                "settlements": [
                    {"lease": LEASE, "ack": {"result": {"width": 640}}},
                    {"lease": LEASE.replace("cdef", "cdee"), "release": {}},
                ]
            }
        ),
    ),
)
