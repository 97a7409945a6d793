"""The operations on queues."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract.documents.queues import (
    FiguresDocument,
    Paused,
    Purged,
    QueueDocument,
    QueueList,
)
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.figures import FiguresParameters, FiguresResource
from task_queue.api.queues import QueuesResource
from task_queue.api.responses import problems

_OF_READS = (problems.INVALID_REQUEST, problems.QUERY_FAILED, problems.DATABASE_UNAVAILABLE)
_OF_CHANGES = (
    *_OF_READS,
    problems.INVALID_JSON,
    problems.NOT_FOUND,
    problems.UNSUPPORTED_MEDIA_TYPE,
)
_EXAMPLE = Example(path={"name": "tasks"})

OPERATIONS = (
    Operation(
        method="GET",
        path="/queues",
        operation_id="list_queues",
        summary="List queues",
        tag="Queues",
        resource=QueuesResource,
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="All queues.", model=QueueList)},
        problems=_OF_READS,
    ),
    Operation(
        method="GET",
        path="/queues/figures",
        operation_id="get_figures",
        summary="Show what happened on the queues",
        description="Over the last hour by the minute, or over the last day by ten minutes: kept in"
        " the database, so it outlives restarts and is the same on every node. A queue by the name"
        " `figures` is not to be seen by `GET /queues/{name}`.",
        tag="Queues",
        resource=FiguresResource,
        scope=Scope.READ,
        query=FiguresParameters,
        answers={HTTPStatus.OK: Answered(description="The figures.", model=FiguresDocument)},
        problems=(*_OF_READS, problems.UNKNOWN_QUEUE),
        example=Example(query={"span": "day", "queue": "tasks"}),
    ),
    Operation(
        method="GET",
        path="/queues/{name}",
        operation_id="get_queue",
        summary="Show a queue",
        tag="Queues",
        resource=QueuesResource,
        suffix="one",
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="The queue.", model=QueueDocument)},
        problems=(*_OF_READS, problems.NOT_FOUND),
        example=_EXAMPLE,
    ),
    Operation(
        method="POST",
        path="/queues/{name}/pause",
        operation_id="pause_queue",
        summary="Pause a queue",
        description="It hands out no more tasks, on all nodes. Running ones go on, and publishes"
        " are still accepted.",
        tag="Queues",
        resource=QueuesResource,
        suffix="pause",
        scope=Scope.OPERATE,
        answers={HTTPStatus.OK: Answered(description="It is paused.", model=Paused)},
        problems=_OF_CHANGES,
        example=_EXAMPLE,
    ),
    Operation(
        method="POST",
        path="/queues/{name}/resume",
        operation_id="resume_queue",
        summary="Resume a queue",
        tag="Queues",
        resource=QueuesResource,
        suffix="resume",
        scope=Scope.OPERATE,
        answers={HTTPStatus.OK: Answered(description="It is resumed.", model=Paused)},
        problems=_OF_CHANGES,
        example=_EXAMPLE,
    ),
    Operation(
        method="POST",
        path="/queues/{name}/purge",
        operation_id="purge_queue",
        summary="Cancel the tasks that wait on a queue",
        description="All that wait now, in steps that hold up no publish for long.",
        tag="Queues",
        resource=QueuesResource,
        suffix="purge",
        scope=Scope.OPERATE,
        answers={HTTPStatus.OK: Answered(description="How many were cancelled.", model=Purged)},
        problems=(*_OF_CHANGES, problems.CONFLICT),
        example=_EXAMPLE,
    ),
)
