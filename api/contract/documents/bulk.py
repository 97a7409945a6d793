"""What is answered about changes of many tasks."""

from typing import Annotated, Literal

from pydantic import Field

from task_queue.api.contract.documents.document import Count, Document


class BulkChanged(Document):
    """How many tasks were changed.

    Attributes:
        count: How many; a running task that is asked to stop is one of them.
        skipped: How many of those that were found, or whose ids were given, were not: not there,
            in another state by now, or without their unique key.
        next_cursor: Where to go on; null: there are no more.
    """

    count: Count
    skipped: Count
    next_cursor: str | None


class BulkPreview(Document):
    """How many tasks would be changed.

    Attributes:
        count: How many, as far as was looked.
        more: There are more, or may be.
    """

    count: Annotated[int, Field(ge=0, le=10_000)]
    more: Literal[True] = True
