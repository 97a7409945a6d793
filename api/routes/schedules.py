"""The operations on schedules."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.contract.documents.schedules import ScheduleDocument, ScheduleList
from task_queue.api.contract.documents.tasks import Queued
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.responses import problems
from task_queue.api.schedules import ScheduleBody, ScheduleResource, SchedulesResource

_OF_READS = (problems.INVALID_REQUEST, problems.QUERY_FAILED, problems.DATABASE_UNAVAILABLE)
_EXAMPLE = Example(path={"name": "nightly"})

_LOCATED = (headers.LOCATION, headers.IDEMPOTENCY_REPLAYED)

OPERATIONS = (
    Operation(
        method="GET",
        path="/schedules",
        operation_id="list_schedules",
        summary="List schedules",
        tag="Schedules",
        resource=SchedulesResource,
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="All schedules.", model=ScheduleList)},
        problems=_OF_READS,
    ),
    Operation(
        method="GET",
        path="/schedules/{name}",
        operation_id="get_schedule",
        summary="Show a schedule",
        tag="Schedules",
        resource=ScheduleResource,
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="The schedule.", model=ScheduleDocument)},
        problems=(*_OF_READS, problems.NOT_FOUND),
        example=_EXAMPLE,
    ),
    Operation(
        method="PUT",
        path="/schedules/{name}",
        operation_id="put_schedule",
        summary="Make or change a schedule",
        description="Either `cron` or `every` says when. The task cannot have `run_at` or"
        " `expires_at`, which are one moment.",
        tag="Schedules",
        resource=ScheduleResource,
        scope=Scope.OPERATE,
        body=ScheduleBody,
        answers={
            HTTPStatus.OK: Answered(description="It is changed.", model=ScheduleDocument),
            HTTPStatus.CREATED: Answered(description="It is new.", model=ScheduleDocument),
        },
        problems=(
            *_OF_READS,
            problems.CONTRADICTION,
            problems.INVALID_JSON,
            problems.ACTION_REQUIRED,
            problems.UNKNOWN_ACTION,
            problems.UNKNOWN_QUEUE,
            problems.QUEUE_NOT_ALLOWED,
            problems.INVALID_DATA,
            problems.CALLBACK_REFUSED,
            problems.INVALID_SCHEDULE,
            problems.NEVER_STARTS,
            problems.CONFLICT,
            problems.UNSUPPORTED_MEDIA_TYPE,
        ),
        example=Example(
            status=HTTPStatus.CREATED,
            path={"name": "nightly"},
            body={
                "cron": "0 3 * * *",
                "timezone": "Europe/Berlin",
                "task": {"action": "sum", "data": {"numbers": [1, 2]}},
            },
        ),
    ),
    Operation(
        method="DELETE",
        path="/schedules/{name}",
        operation_id="delete_schedule",
        summary="Delete a schedule",
        description="What it has published stays.",
        tag="Schedules",
        resource=ScheduleResource,
        scope=Scope.OPERATE,
        answers={HTTPStatus.NO_CONTENT: Answered(description="It is gone.")},
        problems=(
            *_OF_READS,
            problems.INVALID_JSON,
            problems.NOT_FOUND,
            problems.CONFLICT,
            problems.UNSUPPORTED_MEDIA_TYPE,
        ),
        example=Example(status=HTTPStatus.NO_CONTENT, path={"name": "nightly"}),
    ),
    Operation(
        method="POST",
        path="/schedules/{name}/run",
        operation_id="run_schedule",
        summary="Publish a schedule's task now",
        description="As at one of its times, which stay as they are. Each request publishes another"
        " task, unless that has a `unique_key`, or the request an `Idempotency-Key`.",
        tag="Schedules",
        resource=ScheduleResource,
        suffix="run",
        scope=Scope.OPERATE,
        headers=(headers.IDEMPOTENCY_KEY,),
        answers={
            HTTPStatus.ACCEPTED: Answered(
                description="The task is on its queue.", model=Queued, headers=_LOCATED
            ),
            HTTPStatus.OK: Answered(
                description="The queue has a task with its `unique_key` already: it is this one.",
                model=Queued,
                headers=_LOCATED,
            ),
        },
        problems=(
            *_OF_READS,
            problems.INVALID_JSON,
            problems.NOT_FOUND,
            problems.CONFLICT,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.KEY_REUSED,
            problems.PUBLISH_REFUSED,
            problems.NOT_QUEUED,
        ),
        example=Example(status=HTTPStatus.ACCEPTED, path={"name": "nightly"}),
    ),
)
