"""A change of many tasks, one step after the other; between two of them a form holds where it is.

Each step is a request of its own, so that nothing has to be remembered here: whoever repeats one
finds that what was changed already does not match, or is passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from task_queue.api.responses.errors import InvalidRequestError

VERBS = {"cancel": "cancelled", "retry": "put back", "delete": "deleted"}
"""What can be done to many tasks, and what those it was done to are."""
STEP = 200
"""How many tasks a step looks at: a fraction of a second, so that the bar moves."""


@dataclass(frozen=True, slots=True)
class BulkStep:
    """Where a change of many tasks is.

    Attributes:
        do: What is done, one of `VERBS`.
        query: The filters, as in an address; empty: there are ids.
        ids: The ids, with commas; empty: there are filters.
        total: How many there were when it was asked; 0: that has not been asked.
        more: Whether there were even more than that.
        done: How many were changed.
        skipped: How many were looked at and not changed.
        cursor: Where it goes on; empty: at the beginning.
        back: The path of the page that it was asked for on.
    """

    do: str
    query: str = ""
    ids: str = ""
    total: int = 0
    more: bool = False
    done: int = 0
    skipped: int = 0
    cursor: str = ""
    back: str = ""

    NAMES: ClassVar = ("do", "query", "ids", "total", "more", "done", "skipped", "cursor", "back")
    """The fields of a form that holds it."""

    @classmethod
    def read(cls, form: Mapping[str, str]) -> "BulkStep":
        """Return what the fields of a form say, as `fields` has written them.

        Raises:
            InvalidRequestError: Nobody has written them so.
        """
        try:
            numbers = {name: int(form[name]) for name in ("total", "done", "skipped")}
        except ValueError as error:
            raise InvalidRequestError("the form cannot be read") from error
        if form["do"] not in VERBS:
            raise InvalidRequestError(f"do must be one of {', '.join(VERBS)}")
        return cls(
            do=form["do"],
            query=form["query"],
            ids=form["ids"],
            more=bool(form["more"]),
            cursor=form["cursor"],
            back=form["back"],
            **numbers,
        )

    def fields(self) -> dict[str, str]:
        """Return what the fields of a form have to hold."""
        return {name: str(getattr(self, name) or "") for name in self.NAMES} | {
            name: str(getattr(self, name)) for name in ("total", "done", "skipped")
        }

    def counted(self, preview: Mapping[str, Any]) -> "BulkStep":
        """Return the same, knowing how many there are."""
        return replace(self, total=preview["count"], more=preview.get("more", False))

    @property
    def body(self) -> Mapping[str, Sequence[str]] | None:
        """What the API is sent besides the query."""
        return {"ids": self.ids.split(",")} if self.ids else None

    def after(self, answer: Mapping[str, Any]) -> "BulkStep":
        """Return where it is after a step that the API has answered so."""
        return replace(
            self,
            done=self.done + answer["count"],
            skipped=self.skipped + answer.get("skipped", 0),
            cursor=answer.get("next_cursor") or "",
        )
