"""The operations that show the service itself: what it can do, and how it is."""

from http import HTTPStatus

from task_queue.api.actions import ActionsResource
from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.contract.documents.service import (
    ActionDocument,
    ActionList,
    Alive,
    OpenApiDocument,
    Readiness,
)
from task_queue.api.contract.operation import Answered, Example, Operation
from task_queue.api.health import HealthResource, ReadinessResource
from task_queue.api.openapi.resources import DocsResource, OpenApiResource
from task_queue.api.responses import problems

_OF_DESCRIPTION = (
    problems.INVALID_REQUEST,
    # No key is needed, but one that is given is looked at.
    problems.KEY_NEEDED,
    problems.TOO_MANY_REQUESTS,
    problems.DATABASE_UNAVAILABLE,
)

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
    Operation(
        method="GET",
        path="/openapi.json",
        operation_id="get_description",
        summary="Show this description",
        description="As OpenAPI 3.1. The names of actions and queues, and what data the actions"
        " take, are in it for those who may read.",
        tag="Description",
        resource=OpenApiResource,
        scope=None,
        answers={HTTPStatus.OK: Answered(description="The description.", model=OpenApiDocument)},
        problems=_OF_DESCRIPTION,
    ),
    Operation(
        method="GET",
        path="/docs",
        operation_id="show_docs",
        summary="Show this description as a page",
        tag="Description",
        resource=DocsResource,
        scope=None,
        answers={
            HTTPStatus.OK: Answered(
                description="The page.",
                media_types=("text/html",),
                headers=(headers.CONTENT_SECURITY_POLICY,),
            )
        },
        problems=_OF_DESCRIPTION,
    ),
)
