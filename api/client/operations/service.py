"""The service itself, and all that has no method of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from task_queue.api.client.flow import Flow
from task_queue.api.client.operation import Pages, listing, operation
from task_queue.api.client.operations.base import Base, as_it_is, one, several
from task_queue.api.client.request import Request, get, json_of, query_of, segment
from task_queue.api.client.results.service import Action, AuditEntry, Readiness, Workforce


class ServiceOperations(Base):
    """The service."""

    @operation
    def actions(self) -> Flow[Sequence[Action]]:
        """Return all actions."""
        return self._ask(get("/actions", several(Action, "actions")))

    @operation
    def action(self, name: str) -> Flow[Action]:
        """Return the action, with the schema of its data."""
        return self._ask(get(f"/actions/{segment(name)}", one(Action)))

    @operation
    def nodes(self) -> Flow[Workforce]:
        """Return who works: the nodes of the service, and workers with what they have leased."""
        return self._ask(get("/nodes", Workforce.of))

    @operation
    def readiness(self) -> Flow[Readiness]:
        """Return whether work gets done, and if not, why."""
        asked_for = Request(
            method="GET",
            path="/readyz",
            read=one(Readiness),
            repeatable=True,
            accepts=frozenset({503}),
        )
        return self._ask(asked_for)

    @listing
    def audit(
        self, *, who: str | None = None, what: str | None = None, page_size: int = 100
    ) -> Pages[AuditEntry]:
        """Return an iterator over what was asked for, the newest first.

        Args:
            who: Only what was done with this key.
            what: Only this operation, as in `purge_queue`.
            page_size: How many are fetched at once.
        """
        query = {"who": who, "what": what, "limit": page_size}
        return self._pages("/audit", one(AuditEntry), query, "entries")

    @operation
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        repeatable: bool = False,
    ) -> Flow[Any]:
        """Ask for anything; return the document that was answered, None if there is none.

        Args:
            method: As in `POST`.
            path: Below the server's URL, as in `/tasks`.
            query: Its parameters; what is None is left out.
            body: What is sent as JSON; None: nothing.
            repeatable: Whether it may be sent again when nobody knows whether it was done; what
                only looks always is.

        Raises:
            ValueError: The path does not begin with a slash.
        """
        if not path.startswith("/"):  # or it would be a part of the host's name
            message = f"the path must begin with a slash, as /tasks does, not {path[:300]!r}"
            raise ValueError(message)
        return self._ask(
            Request(
                method=method,
                path=path + query_of(query or {}),
                read=as_it_is,
                body=None if body is None else json_of(body),
                repeatable=repeatable or method == "GET",
            )
        )
