"""The operations that change many tasks."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.bulk import BulkResource
from task_queue.api.contract.documents.bulk import BulkChanged, BulkPreview
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.requests.selection import SelectionBody, SelectionParameters
from task_queue.api.responses import problems

_HOW = (
    " Which ones is said by `ids` in the body, by the filters of `GET /tasks` in the query, or by"
    " both. Repeat it with `next_cursor` until that is null. With `preview=true` it counts only."
)


def _operation(verb: str, summary: str, description: str, status: str) -> Operation:
    return Operation(
        method="POST",
        path=f"/tasks/{verb}",
        operation_id=f"{verb}_tasks",
        summary=summary,
        description=description + _HOW,
        tag="Tasks",
        resource=BulkResource,
        suffix=verb,
        scope=Scope.OPERATE,
        query=SelectionParameters,
        body=SelectionBody,
        answers={
            HTTPStatus.OK: Answered(
                description="How many were changed; or, as a preview, how many would be.",
                model=(BulkChanged, BulkPreview),
            )
        },
        problems=(
            problems.INVALID_REQUEST,
            problems.INVALID_JSON,
            problems.CONTRADICTION,
            problems.INVALID_CURSOR,
            problems.UNKNOWN_ACTION,
            problems.UNKNOWN_QUEUE,
            problems.CONFLICT,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(query={"queue": "tasks", "status": status}, body={}),
    )


OPERATIONS = (
    _operation(
        "cancel",
        "Cancel many tasks",
        "Those that wait are cancelled at once; those that run are asked to stop.",
        "scheduled,queued",
    ),
    _operation(
        "retry",
        "Put many dead or cancelled tasks back on their queues",
        "They get all their attempts again. Those that nothing would run stay as they are.",
        "cancelled",
    ),
    _operation(
        "delete",
        "Delete many tasks that are final",
        "With their attempts.",
        "cancelled",
    ),
)
