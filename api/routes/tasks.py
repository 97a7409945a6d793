"""The operations on tasks."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.contract.documents.tasks import (
    Changed,
    Queued,
    QueuedBatch,
    TaskPage,
    TaskWithAttempts,
)
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.publish import Publisher
from task_queue.api.requests.bodies import BatchBody, PublishBody
from task_queue.api.requests.cloudevents import STRUCTURED
from task_queue.api.requests.listing import ListParameters
from task_queue.api.responses import problems
from task_queue.api.routes.events import CloudEvent
from task_queue.api.tasks import TaskResource, TasksResource

TASK = "0190f6a2-7c3e-7f00-8000-000000000001"
"""The id in examples."""
_LOCATED = (headers.LOCATION, headers.PREFERENCE_APPLIED, headers.IDEMPOTENCY_REPLAYED)
_OF_PUBLISHES = (
    problems.INVALID_REQUEST,
    problems.CONTRADICTION,
    problems.INVALID_JSON,
    problems.UNKNOWN_ACTION,
    problems.UNKNOWN_QUEUE,
    problems.QUEUE_NOT_ALLOWED,
    problems.INVALID_DATA,
    problems.CALLBACK_REFUSED,
    problems.NEVER_STARTS,
    problems.STILL_ANSWERED,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.KEY_REUSED,
    problems.OVER_LIMIT,
    problems.PUBLISH_REFUSED,
    problems.NOT_QUEUED,
)
_OF_CHANGES = (
    problems.INVALID_REQUEST,
    problems.INVALID_JSON,
    problems.NOT_FOUND,
    problems.CONFLICT,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.QUERY_FAILED,
    problems.DATABASE_UNAVAILABLE,
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/tasks",
        operation_id="publish_task",
        summary="Publish a task",
        description="The answer comes once the task is as safe as its queue makes it: with the"
        " driver `database` it is on disk. A consumer then runs it in the background. An event"
        " (CloudEvents 1.0) is taken as well, structured or with its attributes in `ce-` headers:"
        " its `type` names the action, and `id` and `source` make it take effect once.",
        tag="Tasks",
        resource=TasksResource,
        scope=Scope.PUBLISH,
        body=PublishBody,
        other_bodies={STRUCTURED: CloudEvent},
        headers=(headers.IDEMPOTENCY_KEY, headers.PREFER, *headers.TRACE),
        answers={
            HTTPStatus.ACCEPTED: Answered(
                description="The task is on its queue.", model=Queued, headers=_LOCATED
            ),
            HTTPStatus.OK: Answered(
                description="The queue has a task with this `unique_key` already: it is this one."
                " Or the request waited for the task's end: the whole task.",
                model=(TaskWithAttempts, Queued),
                headers=_LOCATED,
            ),
        },
        problems=(problems.ACTION_REQUIRED, *_OF_PUBLISHES),
        example=Example(
            status=HTTPStatus.ACCEPTED,
            body={"action": "uppercase", "data": {"text": "hello world"}},
            headers={"Idempotency-Key": "order-8151"},
        ),
    ),
    Operation(
        method="GET",
        path="/tasks",
        operation_id="list_tasks",
        summary="List tasks",
        description="A page of tasks, the newest first unless asked otherwise. The next page"
        " begins at `next_cursor`.",
        tag="Tasks",
        resource=TasksResource,
        scope=Scope.READ,
        query=ListParameters,
        answers={HTTPStatus.OK: Answered(description="A page of tasks.", model=TaskPage)},
        problems=(
            problems.INVALID_REQUEST,
            problems.CONTRADICTION,
            problems.INVALID_CURSOR,
            problems.UNKNOWN_ACTION,
            problems.UNKNOWN_QUEUE,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(query={"status": "queued,completed", "limit": "10"}),
    ),
    Operation(
        method="POST",
        path="/tasks/batch",
        operation_id="publish_batch",
        summary="Publish several tasks, all or none",
        description="The tasks are stored in one commit.",
        tag="Tasks",
        resource=Publisher,
        suffix="batch",
        scope=Scope.PUBLISH,
        body=BatchBody,
        headers=(headers.IDEMPOTENCY_KEY, *headers.TRACE),
        answers={
            HTTPStatus.ACCEPTED: Answered(
                description="All of them are on their queues.",
                model=QueuedBatch,
                headers=(headers.IDEMPOTENCY_REPLAYED,),
            )
        },
        problems=_OF_PUBLISHES,
        example=Example(
            status=HTTPStatus.ACCEPTED,
            body={
                "tasks": [
                    {"action": "sum", "data": {"numbers": [1, 2]}},
                    {"action": "uppercase", "data": {"text": "later"}, "delay_seconds": 60},
                ]
            },
        ),
    ),
    Operation(
        method="GET",
        path="/tasks/{task_id}",
        operation_id="get_task",
        summary="Show a task",
        description="With each of its attempts. A task that is final is kept as long as the"
        " settings, or its own `keep_result_seconds`, say.",
        tag="Tasks",
        resource=TaskResource,
        scope=Scope.READ,
        headers=(headers.PREFER,),
        answers={
            HTTPStatus.OK: Answered(
                description="The task.",
                model=TaskWithAttempts,
                headers=(headers.PREFERENCE_APPLIED,),
            )
        },
        problems=(
            problems.INVALID_REQUEST,
            problems.NOT_FOUND,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(path={"task_id": TASK}),
    ),
    Operation(
        method="DELETE",
        path="/tasks/{task_id}",
        operation_id="delete_task",
        summary="Delete a task that is final",
        tag="Tasks",
        resource=TaskResource,
        scope=Scope.OPERATE,
        answers={HTTPStatus.NO_CONTENT: Answered(description="It is gone.")},
        problems=_OF_CHANGES,
        example=Example(status=HTTPStatus.NO_CONTENT, path={"task_id": TASK}),
    ),
    Operation(
        method="POST",
        path="/tasks/{task_id}/cancel",
        operation_id="cancel_task",
        summary="Cancel a task",
        description="One that waits is cancelled at once; one that runs is asked to stop.",
        tag="Tasks",
        resource=TaskResource,
        suffix="cancel",
        scope=Scope.OPERATE,
        answers={
            HTTPStatus.OK: Answered(description="It is cancelled.", model=Changed),
            HTTPStatus.ACCEPTED: Answered(
                description="It runs, and has been asked to stop.", model=Changed
            ),
        },
        problems=_OF_CHANGES,
        example=Example(path={"task_id": TASK}),
    ),
    Operation(
        method="POST",
        path="/tasks/{task_id}/retry",
        operation_id="retry_task",
        summary="Put a dead or cancelled task back on its queue",
        description="It gets all its attempts again.",
        tag="Tasks",
        resource=TaskResource,
        suffix="retry",
        scope=Scope.OPERATE,
        answers={HTTPStatus.ACCEPTED: Answered(description="It is put back.", model=Changed)},
        problems=_OF_CHANGES,
        example=Example(status=HTTPStatus.ACCEPTED, path={"task_id": TASK}),
    ),
)
