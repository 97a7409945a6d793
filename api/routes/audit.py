"""The operation that shows what operators have done."""

from http import HTTPStatus

from task_queue.api.audit import AuditParameters, AuditResource
from task_queue.api.auth.scopes import Scope
from task_queue.api.contract.documents.audit import AuditPage
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.responses import problems

OPERATIONS = (
    Operation(
        method="GET",
        path="/audit",
        operation_id="list_audit",
        summary="Show who has done what",
        description="All that was asked for with the scopes `operate` and `admin`, stored before it"
        " was done; the newest first. It is about all queues, so a key that is restricted to some"
        " does not see it.",
        tag="Audit",
        resource=AuditResource,
        scope=Scope.ADMIN,
        query=AuditParameters,
        answers={HTTPStatus.OK: Answered(description="A page of entries.", model=AuditPage)},
        problems=(
            problems.INVALID_REQUEST,
            problems.INVALID_CURSOR,
            problems.QUERY_FAILED,
            problems.DATABASE_UNAVAILABLE,
        ),
        example=Example(query={"who": "anonymous", "limit": "10"}),
    ),
)
