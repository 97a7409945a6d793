"""`/ui/dead-letters`: dead tasks, grouped by their error, and how to put a group back."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import falcon

from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import RefusedError
from task_queue.api.ui.render import counted
from task_queue.api.ui.schema_form import number_in
from task_queue.api.ui.tasks import names
from task_queue.api.ui.visit import Visit

DEAD_LETTERS = "/ui/dead-letters"
MAX_GROUPS = 200
STEP = 500
"""How many tasks a step puts back: part of a second, so that the bar moves."""
AT_ONCE = 10_000
"""How many the API puts back, or counts beforehand, in one request."""
_GROUP = ("queue", "action", "error_group")


class DeadLettersPage:
    """`GET /ui/dead-letters` shows the groups; `/ui/dead-letters/redrive` puts one back."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the groups, the greatest first."""
        visit = Visit(self._frame, req, resp)
        chosen = {name: visit.field(name) or None for name in ("queue", "action")}
        found: Mapping[str, Any] = {"groups": []}
        problem = None
        try:
            found = visit.get("/dead-letters/groups", **chosen, limit=MAX_GROUPS)
        except RefusedError as error:
            resp.status, problem = error.status, str(error)
        visit.show(
            "dead_letters.html",
            "Dead letters",
            problem=problem,
            chosen=chosen,
            groups=[_shown(group) for group in found["groups"]],
            may_be_more=len(found["groups"]) == MAX_GROUPS,
            queues=names(visit, "queues"),
            actions=names(visit, "actions"),
        )

    def on_get_redrive(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say how many tasks of a group would be put back, what is left out, and ask."""
        visit = Visit(self._frame, req, resp)
        group = _group(visit)
        preview = visit.change(
            "POST", "/dead-letters/redrive", {**group, "limit": AT_ONCE, "preview": True}
        )
        count = preview["count"]
        many = f"{'at least ' if count == AT_ONCE else ''}{counted(count, 'task')}"
        error = group["error_group"] or "none"
        back = f"back on the queue {group['queue']}, with all their attempts again"
        lines = [f"{many} with the error “{error}”: {back}."]
        _show(
            visit,
            f"Redrive {many}?",
            lines + _left_out(preview),
            button=f"Redrive {many}" if count else None,
            fields={**group, "total": count},
        )

    def on_post_redrive(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put some more of them back, and say how far it is.

        No more in all than there were when it was asked: what dies again meanwhile stays dead.
        """
        visit = Visit(self._frame, req, resp)
        group, per_second = _group(visit), visit.field("per_second").strip()
        total, done = _count(visit, "total"), _count(visit, "done")
        # Spread out, all of them have to be in one request, which says when each is to run.
        limit = min(AT_ONCE if per_second else STEP, max(total - done, 1))
        answer = visit.change(
            "POST",
            "/dead-letters/redrive",
            {
                **group,
                "limit": limit,
                **({"per_second": number_in(per_second)} if per_second else {}),
            },
        )
        done += answer["count"]
        goes_on = bool(answer["count"]) and done < total and not per_second
        said = f"{counted(done, 'task')} put back on {'its queue' if done == 1 else 'their queues'}"
        _show(
            visit,
            f"Redrive {counted(total, 'task')}",
            [f"{said}{' so far' if goes_on else ''}.", *([] if goes_on else _left_out(answer))],
            button="Go on" if goes_on else None,
            fields={**group, "total": total, "done": done},
        )


def _shown(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the group with the queries that lead on from it."""
    selector = {name: group[name] for name in _GROUP}
    return {
        **group,
        "tasks": urlencode({"status": "dead", **selector}),
        "redrive": urlencode(selector),
    }


def _group(visit: Visit) -> dict[str, str]:
    return {name: visit.field(name) for name in _GROUP}


def _count(visit: Visit, name: str) -> int:
    """Return the number in a field that the form before has written.

    Raises:
        InvalidRequestError: Nobody has written it so.
    """
    try:
        return int(visit.field(name, "0"))
    except ValueError as error:
        raise InvalidRequestError("the form cannot be read") from error


def _left_out(answer: Mapping[str, Any]) -> list[str]:
    """Return how many are left out, and why, in words."""
    number = sum(answer.get(name, 0) for name in ("quarantined", "unknown", "unchanged"))
    return [f"{counted(number, 'task')} left out: {answer['detail']}."] if number else []


def _show(
    visit: Visit,
    title: str,
    lines: list[str],
    fields: Mapping[str, str | int],
    button: str | None = None,
) -> None:
    """Show a step; where nothing is done yet, it is the question."""
    asks = "done" not in fields
    visit.show(
        "bulk.html",
        title,
        lines=lines,
        asks=asks and button is not None,
        goes_on=not asks and button is not None,
        bar=None if asks else (fields["done"], fields["total"], False),
        button=button,
        path=f"{DEAD_LETTERS}/redrive",
        fields=fields,
        back=DEAD_LETTERS,
        harms=False,
        speed=asks,
    )
