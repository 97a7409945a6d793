"""`/queues/figures`: what happened on the queues over the last hour or day."""

from collections.abc import Mapping
from typing import Any, Literal

import falcon
from orjson import dumps

from task_queue.actors.messages.reader import GetFigures
from task_queue.actors.tasks.figures import MINUTE_SECONDS, Figures
from task_queue.actors.tasks.filters import Filters
from task_queue.api.auth.caller import caller_of
from task_queue.api.edge import Edge
from task_queue.api.requests.listing import Query, StoredName, parameters

STEPS = {"hour": (60, 1), "day": (144, 10)}
"""How many steps each span has, and how many minutes each of them."""
_NOTHING = Figures()


class FiguresParameters(Query):
    """The query of `GET /queues/figures`.

    Attributes:
        span: The last hour, by the minute, or the last day, by ten minutes.
        queue: Only this queue.
    """

    span: Literal["hour", "day"] = "hour"
    queue: StoredName | None = None


class FiguresResource:
    """`GET /queues/figures` shows figures that outlive a restart, the same on every node."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show them for each queue that the caller sees; the last step is the present one."""
        asked, caller = parameters(FiguresParameters, req), caller_of(req)
        names, visible = self._edge.queues_of(caller), caller.queues
        if asked.queue is not None:
            self._edge.check_names(Filters(queue=asked.queue, queues=visible))
            names, visible = [asked.queue], frozenset({asked.queue})
        steps, minutes = STEPS[asked.span]
        last = int(self._edge.now()) // (MINUTE_SECONDS * minutes)
        begin = (last - steps + 1) * minutes
        found = self._edge.ask_reader(GetFigures(begin, steps, minutes, visible))
        document = {
            "span": asked.span,
            "begin": begin * MINUTE_SECONDS,
            "step_seconds": minutes * MINUTE_SECONDS,
            "queues": {
                name: _shown(found.get(name, {}), steps) for name in dict.fromkeys([*names, *found])
            },
        }
        resp.data = dumps(document)

    on_head = on_get


def _shown(found: Mapping[int, Figures], steps: int) -> dict[str, list[Any]]:
    """Return each figure as a list with one number for each step."""
    by_step = (found.get(number, _NOTHING) for number in range(steps))
    columns = zip(*map(_rounded, by_step), strict=True)
    return dict(zip(Figures._fields, map(list, columns), strict=True))


def _rounded(figures: Figures) -> Figures:
    # What is given back unrun may have been claimed in the step before.
    return figures._replace(
        started=max(0, figures.started),
        wait_seconds=round(figures.wait_seconds, 3),
        run_seconds=round(figures.run_seconds, 3),
    )
