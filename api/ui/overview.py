"""`/ui/`: what is wrong, what waits, who works."""

import falcon

from task_queue.api.ui.charts import chart
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.health import health
from task_queue.api.ui.queues import SHOWN_STATES
from task_queue.api.ui.visit import Visit

SHOWN_SCHEDULES = 8
"""How many schedules the overview shows: those that come next."""


class OverviewPage:
    """Shows health, queues, schedules and nodes on one page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show it."""
        visit = Visit(self._frame, req, resp)
        queues = visit.get("/queues")["queues"]
        names = [queue["name"] for queue in queues]
        hour = visit.look("/queues/figures", span="hour")
        day = visit.look("/queues/figures", span="day")
        schedules = visit.get("/schedules")["schedules"]
        visit.show(
            "overview.html",
            "Overview",
            health=health(visit.get("/readyz"), names, may_operate=visit.may_operate),
            states=SHOWN_STATES,
            queues=queues,
            hours={name: chart(hour, name, "hour") for name in names},
            days={name: chart(day, name, "day") for name in names},
            nodes=visit.look("/nodes"),
            schedules=sorted(schedules, key=lambda each: each["next"][:1])[:SHOWN_SCHEDULES],
            more_schedules=max(0, len(schedules) - SHOWN_SCHEDULES),
        )
