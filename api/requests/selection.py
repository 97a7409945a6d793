"""Which tasks a request changes, where it is about many: by their ids, by filters, or by both."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from task_queue.actors.tasks.text import shown
from task_queue.api.requests.listing import MAX_LIMIT, ListParameters
from task_queue.api.requests.validation import Body, canonical_id, rule, whole_number

MAX_IDS = 1_000

_NO_FILTERS = ("order", "limit", "cursor", "preview")


def _each_once(ids: list[str] | None) -> list[str] | None:
    """Return the ids in the form that tasks have, each once, so that it is changed once."""
    if ids is None:
        return None
    known: dict[str, None] = {}
    for each in ids:
        if (canonical := canonical_id(each)) is None:
            raise rule(f"must be ids of tasks, not {shown(each)}")
        known[canonical] = None
    return list(known)


TaskIds = Annotated[
    list[Annotated[str, Field(json_schema_extra={"format": "uuid"})]] | None,
    Field(min_length=1, max_length=MAX_IDS),
    AfterValidator(_each_once),
]
"""The ids of some tasks, or none given."""


def _is_true(value: object) -> object:
    if value not in {"true", "false"}:
        raise rule(f"must be true or false, not {shown(value)}")
    return value == "true"


class SelectionParameters(ListParameters):
    """The query of a change of many tasks: the filters of `GET /tasks`.

    Attributes:
        limit: How many tasks this request changes at most.
        cursor: Where the request before ended.
        preview: Whether to count only, and to change nothing.
    """

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), whole_number] = MAX_LIMIT
    preview: Annotated[bool, BeforeValidator(_is_true)] = False

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the filters."""
        return [name for name in cls.model_fields if name not in _NO_FILTERS]

    @property
    def selects(self) -> bool:
        """Whether there is a filter."""
        return not self.model_fields_set.isdisjoint(self.names())


class SelectionBody(Body):
    """The body of a change of many tasks.

    Attributes:
        ids: Only these.
    """

    ids: TaskIds = None
