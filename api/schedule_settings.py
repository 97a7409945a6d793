"""The schedules of the settings: held to the same rules as those that come over HTTP."""

import json
from collections.abc import Mapping
from typing import Any

from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.recurrence import InvalidRecurrenceError
from task_queue.actors.tasks.schedule import Schedule
from task_queue.api.json_codec import parse
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.schedules import schedule_of
from task_queue.config.settings import Settings, SettingsError


def schedules(settings: Settings, now: float) -> list[Schedule]:
    """The schedules that the settings describe.

    Args:
        settings: All of them.
        now: The present moment, Unix seconds.

    Raises:
        SettingsError: One line for each that no `PUT /schedules/{name}` could make.
        ActionLoadError: A configured action cannot be imported.
    """
    if not settings.schedules:
        return []
    system = ActorSystem(settings, on_too_many_restarts=_never)  # to know its actions and queues
    found, problems = [], []
    for name, each in settings.schedules.items():
        try:
            value = _as_json(each.model_dump())
            found.append(schedule_of(system, name, value, now, configured=True))
        except InvalidRequestError as error:
            problems.append(f"schedules.{name}.{error.detail}")
        except InvalidRecurrenceError as error:
            problems.append(f"schedules.{name}.{error}")
    if problems:
        raise SettingsError("\n".join(problems))
    return found


def _never() -> None:
    """What does not run does not end in despair."""


def _as_json(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """What the body of a `PUT` would hold; TOML can say more than JSON."""
    try:
        return parse(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        message = f"task must hold what JSON can say: {error}"
        raise InvalidRequestError(message) from error
