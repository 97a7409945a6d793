"""`/ui/bulk`: cancel, retry or delete many tasks: asked once, then step by step."""

from typing import Any
from urllib.parse import parse_qsl

import falcon

from task_queue.api.ui.bulk_step import STEP, VERBS, BulkStep
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.render import counted
from task_queue.api.ui.tasks import TASKS
from task_queue.api.ui.visit import Visit

STEPS = "/ui/bulk/step"
_WARNINGS = {
    "cancel": "Those that run are asked to stop. None of them runs again unless it is retried.",
    "retry": "They go back on their queues, with all their attempts again.",
    "delete": "Their data, results and attempts are gone for good.",
}


class BulkPage:
    """`POST /ui/bulk` says how many it would be and asks; `POST /ui/bulk/step` does some more."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say how many tasks would be changed, and ask."""
        visit = Visit(self._frame, req, resp)
        by_filter = visit.field("of") == "filter"
        step = BulkStep(
            do=_verb(visit),
            query=visit.field("query") if by_filter else "",
            ids="" if by_filter else ",".join(visit.fields("id")),
            back=visit.field("back"),
        )
        if not step.query and not step.ids:
            visit.leave(_back(step), "Nothing was selected, so nothing was changed.")
            return
        preview = _change(visit, step, preview="true")
        step = step.counted(preview)
        many = _many(step)
        lines = [_WARNINGS[step.do]]
        if step.ids and step.total < (asked := step.ids.count(",") + 1):
            lines.append(
                f"Of the {asked:,} that are selected, the others cannot be in their state."
            )
        if not step.total:
            lines = [f"None of these tasks can be {VERBS[step.do]}, in the state they are in."]
        _show(visit, f"{step.do.capitalize()} {many}?", step, lines, asks=bool(step.total))

    def on_post_step(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Change some more of them, and say how far it is."""
        visit = Visit(self._frame, req, resp)
        step = BulkStep.read({name: visit.field(name) for name in BulkStep.NAMES})
        step = step.after(_change(visit, step, limit=str(STEP)))
        done = f"{counted(step.done, 'task')} {VERBS[step.do]}"
        if step.skipped:
            done += f", {step.skipped:,} passed over, as they are in another state by now"
        title = f"{step.do.capitalize()} {_many(step)}"
        _show(visit, title, step, [f"{done}{' so far' if step.cursor else ''}."], asks=False)


def _verb(visit: Visit) -> str:
    if (verb := visit.field("do")) not in VERBS:
        raise falcon.HTTPNotFound
    return verb


def _change(visit: Visit, step: BulkStep, **more: str) -> Any:  # noqa: ANN401 - a document
    query = dict(parse_qsl(step.query, keep_blank_values=True)) | more
    if step.cursor:
        query["cursor"] = step.cursor
    return visit.change("POST", f"/tasks/{step.do}", step.body, query)


def _many(step: BulkStep) -> str:
    return f"{'more than ' if step.more else ''}{counted(step.total, 'task')}"


def _back(step: BulkStep) -> str:
    return step.back if step.back.startswith("/ui/") else TASKS


def _show(visit: Visit, title: str, step: BulkStep, lines: list[str], *, asks: bool) -> None:
    goes_on = bool(step.cursor)
    visit.show(
        "bulk.html",
        title,
        lines=lines,
        asks=asks,
        goes_on=goes_on,
        bar=None if asks or not step.total else (step.done, step.total, step.more),
        button=f"{step.do.capitalize()} {_many(step)}" if asks else "Go on" if goes_on else None,
        path=STEPS,
        fields=step.fields(),
        back=_back(step),
        speed=False,
        harms=step.do != "retry",
    )
