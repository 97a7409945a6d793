"""How a value is read from what the server answers, and what all of them share.

Moments are Unix seconds. A member that a server leaves out has its default, and one that it has
besides is passed over: client and server need not be of the same version.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar

State = Literal["scheduled", "queued", "running", "completed", "dead", "cancelled"]
"""The states of a task."""

T = TypeVar("T")


def read(kind: Callable[..., T], document: Mapping[str, Any], /, **parts: object) -> T:
    """Return a value of a document.

    Args:
        kind: A class of this module.
        document: What was answered.
        parts: Members that are not in the document as they are.
    """
    named = {each.name for each in fields(kind)}  # type: ignore[arg-type] # one of the below
    return kind(**({name: document[name] for name in named.intersection(document)} | parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a listing.

    Attributes:
        items: What is on it.
        next_cursor: What to ask for the next page with; None: this is the last.
    """

    items: Sequence[T]
    next_cursor: str | None = None
