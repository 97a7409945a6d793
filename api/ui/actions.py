"""`/ui/actions`: what tasks can do, and a form to publish one by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import falcon

from task_queue.actors.tasks.new import QUEUE
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import RefusedError
from task_queue.api.ui.publish_options import options
from task_queue.api.ui.schema_form import (
    DATA,
    Field,
    NotJsonError,
    data_of,
    field_at,
    field_of,
    fits,
    names_of,
    texts_of,
)
from task_queue.api.ui.tasks import TASKS, is_in_memory, names
from task_queue.api.ui.visit import Visit

ACTIONS = "/ui/actions"
_JSON = Field(DATA, "json", DATA, required=True)
_KEY_REUSED = 422


@dataclass(frozen=True, slots=True)
class _Filled:
    """A form as it is shown.

    Attributes:
        texts: What is in its fields, by their names.
        as_json: Whether the data is one field of JSON, though its members could be fields.
        once: What the API knows a publish by that is sent twice.
        errors: What is wrong, by the fields' names.
        problem: What is wrong of no field.
        source: The task that it was filled in with.
    """

    texts: Mapping[str, str]
    as_json: bool = False
    once: str = field(default_factory=lambda: str(uuid4()))
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    source: str | None = None


class ActionsPage:
    """`GET /ui/actions` lists all actions; `/ui/actions/{name}` is the form of one."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show all actions."""
        visit = Visit(self._frame, req, resp)
        visit.show("actions.html", "Actions", actions=visit.get("/actions")["actions"])

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show the form, empty or filled in with the data of a task (`from`)."""
        visit = Visit(self._frame, req, resp)
        action = _action(visit, name)
        as_json = visit.field("as") == "json"
        if not (source := visit.field("from")):
            _show(visit, action, _Filled({}, as_json=as_json))
            return
        task = visit.get(f"/tasks/{source}")
        data = task["payload"]["data"]
        as_json = as_json or not fits(field_of(action["schema"]), data)
        form = _data_field(action, as_json=as_json)
        asked = {option.name: task[option.name] for option in options(()) if option.name in task}
        # Those that belong to that one task alone, and what its queue gives every task.
        asked = {
            k: v for k, v in asked.items() if k not in {"run_at", "expires_at", "max_attempts"}
        }
        texts = texts_of(form, data)
        for option in options(()):
            if asked.get(option.name) not in {None, 0}:
                texts |= texts_of(option, asked[option.name])
        _show(visit, action, _Filled(texts, as_json=as_json, source=task["id"]))

    def on_post_one(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Publish what the form holds; if it is refused, show the form with what is wrong."""
        visit = Visit(self._frame, req, resp)
        action = _action(visit, name)
        as_json = visit.field("as") == "json"
        data, others = _data_field(action, as_json=as_json), options(())
        texts = {each: visit.field(each) for each in _all_names(data, others)}
        filled = _Filled(texts, as_json=as_json, once=visit.field("once"))
        try:
            body = {"action": name, DATA: data_of(data, texts)}
            for option in others:
                if texts[option.name]:
                    body[option.name] = data_of(option, texts)
            queue = body.get("queue", QUEUE)
            in_memory = is_in_memory(visit, queue)
            # What is in memory is not remembered so that it could be told from what is sent twice.
            headers = {} if in_memory else {"Idempotency-Key": filled.once}
            queued = visit.change("POST", "/tasks", body, headers=headers)
        except (NotJsonError, RefusedError) as error:
            _show_refused(visit, resp, action, filled, error)
            return
        if queued.get("duplicate"):
            said = "There was an unfinished task with this unique key already: it is this one."
        else:
            said = "The task was published."
        visit.leave(f"/ui/queues/{queue}" if in_memory else f"{TASKS}/{queued['id']}", said)


def _show_refused(
    visit: Visit,
    resp: falcon.Response,
    action: Mapping[str, Any],
    filled: _Filled,
    error: NotJsonError | RefusedError,
) -> None:
    resp.status = status = 400 if isinstance(error, NotJsonError) else error.status
    fields = [*_all_names(_data_field(action, as_json=filled.as_json), options(()))]
    at = field_at(str(error), fields)
    _show(
        visit,
        action,
        _Filled(
            filled.texts,
            as_json=filled.as_json,
            # What was published before under this name was something else.
            once=str(uuid4()) if status == _KEY_REUSED else filled.once,
            errors={at: str(error)} if at else {},
            problem=str(error),
        ),
    )


def _show(visit: Visit, action: Mapping[str, Any], filled: _Filled) -> None:
    form = _data_field(action, as_json=filled.as_json)
    others = options(names(visit, "queues"))
    visit.show(
        "action.html",
        f"Publish {action['name']}",
        action=action,
        form=form,
        options=others,
        options_open=any(filled.texts.get(each.name) for each in others),
        filled=filled,
        has_fields=field_of(action["schema"]).kind == "object",
    )


def _action(visit: Visit, name: str) -> Mapping[str, Any]:
    """Return what is known of an action; of a name that only the fallback runs, little."""
    found: Mapping[str, Any] | None = visit.look(f"/actions/{quote(name, safe='')}")
    return found or {"name": name, "description": None, "schema": None}


def _data_field(action: Mapping[str, Any], *, as_json: bool) -> Field:
    return _JSON if as_json else field_of(action["schema"])


def _all_names(data: Field, others: tuple[Field, ...]) -> list[str]:
    return [*names_of(data), *(each.name for each in others)]
