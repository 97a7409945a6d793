"""`/ui/schedules`: what is published at set times."""

from typing import Any

import falcon

from task_queue.api.json_codec import InvalidJSONError, parse
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import RefusedError
from task_queue.api.ui.render import editable
from task_queue.api.ui.schema_form import number_in
from task_queue.api.ui.visit import Question, Visit
from task_queue.config.names import NAME_RULE, is_name

_OWN_FIELDS = ("action", "queue", "data")
"""The members of a task that have a field of their own."""
_NEW = dict.fromkeys(
    (
        *("name", "kind", "cron", "every", "clock_forward", "clock_back", "missed"),
        *("expires_after_seconds", "action", "queue", "data", "rest"),
    ),
    "",
) | {"timezone": "UTC"}
"""The fields of the form, before anything is filled in."""


class SchedulesPage:
    """Shows all schedules; makes and changes them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show all of them."""
        visit = Visit(self._frame, req, resp)
        schedules = visit.get("/schedules")["schedules"]
        visit.show("schedules.html", "Schedules", schedules=schedules)

    def on_get_new(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show an empty form."""
        self._show(Visit(self._frame, req, resp), {})

    def on_post_new(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make a schedule of the form, unless there is one by its name."""
        visit = Visit(self._frame, req, resp)
        name = visit.field("name").strip()
        if is_name(name) and visit.look(f"/schedules/{name}") is not None:
            self._again(visit, resp, f"There is a schedule {name} already: choose another name.")
            return
        self._put(visit, resp, name)

    def on_get_change(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show the form, filled with the schedule."""
        visit = Visit(self._frame, req, resp)
        self._show(visit, _fields(visit.get(f"/schedules/{name}")), name)

    def on_post_change(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Change the schedule as the form says."""
        self._put(Visit(self._frame, req, resp), resp, name, name)

    def _put(
        self, visit: Visit, resp: falcon.Response, name: str, changes: str | None = None
    ) -> None:
        if not is_name(name):
            self._again(visit, resp, f"A schedule's name {NAME_RULE}.")
            return
        try:
            visit.change("PUT", f"/schedules/{name}", _body(visit))
        except (RefusedError, InvalidRequestError) as error:
            self._again(visit, resp, str(error), changes)
            return
        done = "changed" if changes else "made"
        visit.leave(_path(name), f"The schedule {name} is {done}.")

    def _again(
        self, visit: Visit, resp: falcon.Response, wrong: str, changes: str | None = None
    ) -> None:
        """Show the form as it was sent, with what is wrong."""
        resp.status = falcon.HTTP_422
        sent = {name: visit.field(name) for name in visit.req.context.form}
        self._show(visit, sent, changes, wrong[:1].upper() + wrong[1:])

    def _show(
        self,
        visit: Visit,
        fields: dict[str, Any],
        changes: str | None = None,
        wrong: str | None = None,
    ) -> None:
        visit.show(
            "schedule_form.html",
            f"Change the schedule {changes}" if changes else "New schedule",
            fields=_NEW | fields,
            changes=changes,
            wrong=wrong,
            actions=visit.get("/actions")["actions"],
            queues=visit.get("/queues")["queues"],
        )


class SchedulePage:
    """Shows one schedule; runs it now, and deletes it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show it."""
        visit = Visit(self._frame, req, resp)
        schedule = visit.get(f"/schedules/{name}")
        visit.show("schedule.html", f"Schedule {name}", schedule=schedule)

    def on_get_run(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Ask whether to publish its task now."""
        visit = Visit(self._frame, req, resp)
        task = visit.get(f"/schedules/{name}")["task"]
        visit.ask_first(
            Question(
                title=f"Run the schedule {name} now?",
                lines=[
                    f"One task of the action {task['action']} is published at once.",
                    "Its next time stays as it is.",
                ],
                button="Run now",
                back=_path(name),
            )
        )

    def on_post_run(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Publish its task, and show that."""
        visit = Visit(self._frame, req, resp)
        again = {"Idempotency-Key": visit.field("once")}
        published = visit.change("POST", f"/schedules/{name}/run", headers=again)
        visit.leave(f"/ui/tasks/{published['id']}", f"The schedule {name} has published this task.")

    def on_get_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Ask whether to delete it."""
        visit = Visit(self._frame, req, resp)
        visit.get(f"/schedules/{name}")
        visit.ask_first(
            Question(
                title=f"Delete the schedule {name}?",
                lines=["It publishes nothing more. What it has published stays."],
                button="Delete",
                back=_path(name),
                harms=True,
            )
        )

    def on_post_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Delete it."""
        visit = Visit(self._frame, req, resp)
        visit.change("DELETE", f"/schedules/{name}")
        visit.leave("/ui/schedules", f"The schedule {name} is deleted.")


def _path(name: str) -> str:
    return f"/ui/schedules/{name}"


def _fields(schedule: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the form for a schedule."""
    task = schedule["task"]
    rest = {name: value for name, value in task.items() if name not in _OWN_FIELDS}
    return {
        "kind": "every" if "every" in schedule else "cron",
        "cron": schedule.get("cron", ""),
        "every": schedule.get("every", ""),
        "timezone": schedule["timezone"],
        "clock_forward": schedule.get("clock_forward", ""),
        "clock_back": schedule.get("clock_back", ""),
        "missed": schedule["missed"],
        "expires_after_seconds": schedule["expires_after_seconds"] or "",
        "action": task["action"],
        "queue": task.get("queue", ""),
        "data": editable(task.get("data", {})),
        "rest": editable(rest) if rest else "",
    }


def _body(visit: Visit) -> dict[str, Any]:
    """Return the body of the `PUT` that the form asks for.

    Raises:
        InvalidRequestError: A field is not JSON.
    """
    kind = visit.field("kind", "cron")
    given = {name: visit.field(name).strip() for name in (kind, "timezone", "missed")}
    if kind == "cron":
        given |= {name: visit.field(name).strip() for name in ("clock_forward", "clock_back")}
    body: dict[str, Any] = {name: value for name, value in given.items() if value}
    if expires := visit.field("expires_after_seconds").strip():
        body["expires_after_seconds"] = number_in(expires)
    task = _json(visit, "rest", "the further members") | {"action": visit.field("action").strip()}
    task["data"] = _json(visit, "data", "the data")
    if queue := visit.field("queue"):
        task["queue"] = queue
    return body | {"task": task}


def _json(visit: Visit, field: str, called: str) -> dict[str, Any]:
    text = visit.field(field).strip()
    if not text:
        return {}
    try:
        value = parse(text.encode(), "this")
    except InvalidJSONError as error:
        raise InvalidRequestError(f"{called}: {error}") from error
    if not isinstance(value, dict):
        message = f"{called} must be a JSON object, as in {{}}"
        raise InvalidRequestError(message)
    return value
