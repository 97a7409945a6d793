"""What is answered about the service itself: what it can do, and how it is."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from task_queue.api.contract.documents.document import Document


class ActionDocument(Document):
    """Something a task can do.

    Attributes:
        name: Its name.
        kind: What it is made of.
        description: What it does, in a line.
        execution: Whether it runs in a thread of the service or in a process.
        timeout_seconds: What an attempt may take; null: there is no limit.
        schema: The JSON Schema of its data; null: any object will do.
    """

    name: str
    kind: str
    description: str | None
    execution: str
    timeout_seconds: float | None
    # `schema` is what models of pydantic's have themselves.
    data_schema: Annotated[dict[str, Any] | None, Field(alias="schema")]


class ActionList(Document):
    """All actions.

    Attributes:
        actions: By name.
    """

    actions: list[ActionDocument]


class Alive(Document):
    """The process answers.

    Attributes:
        status: Always the same.
    """

    status: Literal["alive"]


class Readiness(Document):
    """Whether work gets done.

    Attributes:
        status: Whether it does.
        problems: What is wrong.
        warnings: What will be if nobody looks after it.
    """

    status: Literal["ready", "not ready"]
    problems: list[str]
    warnings: list[str]


class OpenApiDocument(BaseModel):
    """A description of this API as OpenAPI 3.1 has it.

    Attributes:
        openapi: The version of OpenAPI.
        info: What is described.
        paths: The operations, by path and method.
        components: What they refer to.
    """

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
