"""What all operations are made with."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from task_queue.api.client.flow import Flow, Patience, asked
from task_queue.api.client.operation import Pages
from task_queue.api.client.request import Request, get
from task_queue.api.client.results.document import Page, read

R = TypeVar("R")
T = TypeVar("T")


class Base:
    """What knows how long to try."""

    _patience: Patience

    def _ask(self, request: Request[R], until: float | None = None) -> Flow[R]:
        return asked(request, self._patience, until)

    def _pages(
        self, path: str, of: Callable[[Any], T], query: Mapping[str, Any], member: str
    ) -> Pages[T]:
        def page(cursor: str | None) -> Flow[Page[T]]:
            def items(document: Any) -> Page[T]:  # noqa: ANN401 - JSON
                found = tuple(of(each) for each in document[member])
                return Page(items=found, next_cursor=document["next_cursor"])

            return self._ask(get(path, items, {**query, "cursor": cursor}))

        return page


def given(members: Mapping[str, object]) -> dict[str, object]:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def one(kind: Callable[..., T]) -> Callable[[Any], T]:
    """Return what reads a document that is a value of this kind."""
    return partial(read, kind)


def several(kind: Callable[..., T], member: str) -> Callable[[Any], Sequence[T]]:
    """Return what reads a document that has values of this kind in a member."""
    return lambda document: tuple(read(kind, each) for each in document[member])


def as_it_is(document: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the document itself."""
    return document


def nothing(_document: object) -> None:
    """Read nothing: there is no document, or none that matters."""
