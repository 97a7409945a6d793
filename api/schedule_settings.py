"""The schedules of the settings: held to the same rules as those that come over HTTP."""

import json
import time
from collections.abc import Mapping
from typing import Any

from task_queue.actors.reload import RunningQueue
from task_queue.actors.tasks.recurrence import InvalidRecurrenceError
from task_queue.actors.tasks.schedule import Schedule
from task_queue.api.json_codec import parse
from task_queue.api.requests.catalog import Catalog
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.schedules import schedule_of
from task_queue.config.layers import Loaded
from task_queue.config.settings import SettingsError


def schedules(loaded: Loaded, catalog: Catalog, now: float) -> list[Schedule]:
    """Return the schedules that the settings describe.

    Args:
        loaded: All settings, with those of each schedule.
        catalog: The actions and queues there are.
        now: The present moment, Unix seconds.

    Raises:
        SettingsError: One line for each that no `PUT /schedules/{name}` could make.
    """
    found, problems = [], []
    for name, each in loaded.settings.schedules.items():
        try:
            value = _as_json(each.model_dump())
            found.append(schedule_of(catalog, name, value, now, configured=True))
        except (InvalidRequestError, InvalidRecurrenceError) as error:
            sentence = error.detail if isinstance(error, InvalidRequestError) else str(error)
            member = sentence.partition(" ")[0]  # each begins with what is wrong
            origin = loaded.origin_of("schedules", name, *member.split("."))
            problems.append(f"schedules.{name} (from {origin}): {sentence}")
    if problems:
        raise SettingsError("\n".join(problems))
    return found


def check_schedules(loaded: Loaded) -> None:
    """Accept schedules that could be followed and published, whatever actions there are.

    Raises:
        SettingsError: See `schedules`.
    """
    queues = {name: RunningQueue(name, each).info for name, each in loaded.settings.queues.items()}
    tells = bool(loaded.settings.callbacks.secret)
    schedules(loaded, Catalog(None, queues, tells), time.time())


def _as_json(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return what the body of a `PUT` would hold; TOML has values that JSON lacks."""
    try:
        return parse(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        message = f"task must hold what JSON can say: {error}"
        raise InvalidRequestError(message) from error
