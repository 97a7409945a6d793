"""The description of the running service, made once for as long as it is right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from task_queue.api.auth.caller import Caller
from task_queue.api.auth.scopes import Scope
from task_queue.api.contract.description import describe
from task_queue.api.contract.offers import offers_of
from task_queue.api.contract.operation import Operation
from task_queue.api.edge import Edge
from task_queue.api.responses.urls import url

MAX_KEPT = 100
"""How many descriptions are kept, for keys that see different queues."""


@dataclass(frozen=True)
class Description:
    """A description in its two forms.

    Attributes:
        document: As OpenAPI has it.
    """

    document: dict[str, Any]

    @cached_property
    def json(self) -> bytes:
        """The document."""
        return orjson.dumps(self.document)

    @cached_property
    def html(self) -> bytes:
        """The page."""
        from task_queue.api.openapi.page import page  # noqa: PLC0415 - few ask for it, and it is slow

        return page(self.document).encode()


@dataclass(slots=True)
class _Kept:
    """The descriptions of one state of the service.

    Attributes:
        state: What they tell of: the actions, and the queues.
        made: By the queues that are told of, None if nothing that is one's own is, and by what the
            URLs begin with, which a proxy may say.
    """

    state: object
    made: dict[tuple[tuple[str, ...] | None, str], Description] = field(default_factory=dict)


class Descriptions:
    """Describes the service to each caller: what is its own only to those who may read."""

    def __init__(
        self, edge: Edge, operations: Sequence[Operation], version: str, *, needs_key: bool
    ) -> None:
        self._edge = edge
        self._operations = operations
        self._version = version
        self._needs_key = needs_key
        self._kept = _Kept(None)

    def of(self, caller: Caller) -> Description:
        """Return the description for a caller; for any thread."""
        state = (self._edge.actions.contents, tuple(self._edge.queues))
        kept = self._kept
        if kept.state != state or len(kept.made) >= MAX_KEPT:
            self._kept = kept = _Kept(state)
        queues = None
        if caller.may(Scope.READ):
            queues = tuple(name for name in self._edge.queues if caller.sees(name))
        form = queues, url("")
        if form not in kept.made:
            kept.made[form] = self._made(queues)
        return kept.made[form]

    def _made(self, queues: tuple[str, ...] | None) -> Description:
        offers = None if queues is None else offers_of(self._edge.actions, queues)
        document = describe(self._operations, self._version, offers, needs_key=self._needs_key)
        return Description(document)
