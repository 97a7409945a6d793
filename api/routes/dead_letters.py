"""The operations on dead tasks."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract.documents.dead_letters import DeadGroups, Redriven
from task_queue.api.contract.documents.tasks import TaskPage
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.dead_letters import DeadGroupParameters, DeadLettersResource, RedriveBody
from task_queue.api.requests.listing import DeadLetterParameters
from task_queue.api.responses import problems

OPERATIONS = (
    Operation(
        method="GET",
        path="/dead-letters",
        operation_id="list_dead_letters",
        summary="List dead tasks",
        description="Those whose attempts are used up, or that failed for good.",
        tag="Dead letters",
        resource=DeadLettersResource,
        scope=Scope.READ,
        query=DeadLetterParameters,
        answers={HTTPStatus.OK: Answered(description="A page of dead tasks.", model=TaskPage)},
        problems=(
            problems.INVALID_REQUEST,
            problems.CONTRADICTION,
            problems.INVALID_CURSOR,
            problems.UNKNOWN_ACTION,
            problems.UNKNOWN_QUEUE,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(query={"queue": "tasks", "order": "oldest"}),
    ),
    Operation(
        method="GET",
        path="/dead-letters/groups",
        operation_id="list_dead_groups",
        summary="List dead tasks by their errors",
        description="How many have the same error, apart from ids and numbers in it, by queue and"
        " action; the greatest group first.",
        tag="Dead letters",
        resource=DeadLettersResource,
        suffix="groups",
        scope=Scope.READ,
        query=DeadGroupParameters,
        answers={HTTPStatus.OK: Answered(description="The groups.", model=DeadGroups)},
        problems=(
            problems.INVALID_REQUEST,
            problems.UNKNOWN_ACTION,
            problems.UNKNOWN_QUEUE,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(query={"queue": "tasks", "limit": "10"}),
    ),
    Operation(
        method="POST",
        path="/dead-letters/redrive",
        operation_id="redrive",
        summary="Put dead tasks back on their queues",
        description="With all their attempts. At least one of `queue`, `action`, `ids`,"
        " `error_contains` and `error_group` says which; the answer counts those that are left"
        " out, and says why.",
        tag="Dead letters",
        resource=DeadLettersResource,
        suffix="redrive",
        scope=Scope.OPERATE,
        body=RedriveBody,
        answers={
            HTTPStatus.OK: Answered(
                description="How many were put back; or, as a preview, how many would be.",
                model=Redriven,
            )
        },
        problems=(
            problems.INVALID_REQUEST,
            problems.INVALID_JSON,
            problems.UNKNOWN_ACTION,
            problems.UNKNOWN_QUEUE,
            problems.CONFLICT,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(body={"queue": "tasks", "limit": 100, "per_second": 10}),
    ),
)
