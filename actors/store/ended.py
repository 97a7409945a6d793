"""The ends of tasks that are known by their ids."""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from task_queue.actors.store.schema import tasks
from task_queue.actors.tasks.states import FINAL


def _ended(asked: sa.TableValuedAlias) -> sa.Select[Any]:
    task_id = asked.c.value
    own = tasks.c.id == task_id
    unfinished = sa.exists().where(own, tasks.c.status.not_in(FINAL))
    return sa.select(task_id, sa.exists().where(own)).where(~unfinished)


# One text with all the ids: a thousand parameters would take longer to bind than to look up, and to
# hold up all other threads meanwhile.
_IDS = sa.bindparam("ids", type_=sa.Text)
_ENDED = {
    "sqlite": _ended(sa.func.json_each(_IDS).table_valued("value")),
    "postgresql": _ended(
        sa.func.json_array_elements_text(sa.cast(_IDS, postgresql.JSON)).table_valued("value")
    ),
}


def ended(connection: sa.Connection, task_ids: Sequence[str]) -> dict[str, bool]:
    """Return those of these tasks that are not unfinished, by id, with whether there is a row."""
    ids = orjson.dumps(task_ids).decode()
    rows = connection.execute(_ENDED[connection.dialect.name], {"ids": ids})
    return {task_id: bool(is_there) for task_id, is_there in rows}
