"""The operations that show the service itself: what it can do, and how it is."""

from http import HTTPStatus

from task_queue.api.actions import ActionsResource
from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.contract.documents import ActionDocument, ActionList, Alive, Readiness
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.health import HealthResource, ReadinessResource
from task_queue.api.responses import problems

OPERATIONS = (
    Operation(
        method="GET",
        path="/actions",
        operation_id="list_actions",
        summary="List actions",
        tag="Actions",
        resource=ActionsResource,
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="All actions.", model=ActionList)},
        problems=(problems.INVALID_REQUEST,),
    ),
    Operation(
        method="GET",
        path="/actions/{name}",
        operation_id="get_action",
        summary="Show an action",
        tag="Actions",
        resource=ActionsResource,
        suffix="one",
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="The action.", model=ActionDocument)},
        problems=(problems.INVALID_REQUEST, problems.NOT_FOUND),
        example=Example(path={"name": "uppercase"}),
    ),
    Operation(
        method="GET",
        path="/healthz",
        operation_id="is_alive",
        summary="Say whether the process lives",
        tag="Health",
        resource=HealthResource,
        scope=None,
        answers={HTTPStatus.OK: Answered(description="It does.", model=Alive)},
        problems=(problems.INVALID_REQUEST,),
    ),
    Operation(
        method="GET",
        path="/readyz",
        operation_id="is_ready",
        summary="Say whether work gets done",
        description="Every actor is up, the database answers, and ready work is being claimed.",
        tag="Health",
        resource=ReadinessResource,
        scope=None,
        answers={
            HTTPStatus.OK: Answered(description="It does.", model=Readiness),
            HTTPStatus.SERVICE_UNAVAILABLE: Answered(
                description="It does not; `problems` says why.",
                model=Readiness,
                headers=(headers.RETRY_AFTER,),
            ),
        },
        problems=(problems.INVALID_REQUEST,),
    ),
)
