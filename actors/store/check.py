"""Looks whether what is stored goes together, and mends what can be mended beside running nodes."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

import sqlalchemy as sa

from task_queue.actors.errors import MigrationError, StoreUnavailableError, TaskQueueError
from task_queue.actors.store import check_file, check_numbers, check_rows
from task_queue.actors.store.check_rows import Check
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import STEP_SECONDS, has_table, is_at_head
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong.

    Attributes:
        what: In words.
        number: How many times.
        repaired: Whether it was mended.
        advice: What to do; empty: a repair mends it.
    """

    what: str
    number: int
    repaired: bool = False
    advice: str = ""


CHECKS = (*check_rows.CHECKS, *check_numbers.CHECKS)
"""The numbers last: what is changed in rows is counted."""


def check(database: Database, *, repair: bool) -> tuple[list[Found], int]:
    """Look at everything; changes nothing unless it is to repair.

    A repair is safe beside running servers: each changes only rows that are wrong, by conditional
    statements in short transactions. The indexes of a SQLite file alone are made anew only where
    nobody else has it.

    Args:
        database: Which one.
        repair: Whether to mend what is wrong.

    Returns:
        What is, or was, wrong, and how many tasks there are.

    Raises:
        MigrationError: The schema is not that of this version.
        StoreUnavailableError: The database cannot be used.
    """
    if not has_table(database, tasks.name):
        raise StoreUnavailableError(f"there is no database {database.shown}")
    if not is_at_head(database):
        message = f"the database {database.shown} is one of a former version: task-queue migrate"
        raise MigrationError(message)
    if damage := check_file.damage(database):
        found = _damaged(database, damage, repair=repair)
        if not found.repaired:  # nothing that is read can be relied on
            return [found], 0
        return [found, *_look(database, repair=repair)[0]], 0
    return _look(database, repair=repair)


def _damaged(database: Database, damage: list[str], *, repair: bool) -> Found:
    what, advice = f"the file is damaged: {damage[0]}", check_file.RESTORE
    if check_file.is_in_indexes(damage):
        advice = "" if repair else "--repair, with no server running, makes the indexes anew"
        if repair:
            try:
                check_file.make_indexes_anew(database)
                if not check_file.damage(database):
                    return Found(what, len(damage), repaired=True)
                advice = check_file.RESTORE
            except StoreUnavailableError as error:
                advice = f"not repaired: {error}"
    return Found(what, len(damage), advice=advice)


def _look(database: Database, *, repair: bool) -> tuple[list[Found], int]:
    # A scan of a large table takes its time.
    patient = replace(database, statement_timeout_seconds=STEP_SECONDS)
    with closing(Session(patient, read_only=True)) as reader:
        found = [
            Found(f"missing: {missing}", 1, advice=check_file.RESTORE)
            for missing in _asked(reader, check_file.missing)
        ]
        numbers = ((each, _asked(reader, each.count)) for each in CHECKS)
        found += [
            _mended(patient, reader, each, number) if repair else _wrong(each, number)
            for each, number in numbers
            if number
        ]
        total = _asked(reader, lambda connection: check_rows.count_of(connection, sa.true()))
    return found, total


def _wrong(each: Check, number: int) -> Found:
    return Found(each.what, number, advice=each.advice)


def _mended(database: Database, reader: Session, each: Check, number: int) -> Found:
    if each.repair is None:
        return _wrong(each, number)
    try:
        with closing(Session(database)) as writer:
            each.repair(reader, writer)
        left = _asked(reader, each.count)
    except TaskQueueError as error:
        return Found(each.what, number, advice=f"not repaired: {error}")
    if left:
        return Found(each.what, left, advice="not repaired, or it has come anew: check again")
    return Found(each.what, number, repaired=True)


def _asked(session: Session, ask: Callable[[sa.Connection], T]) -> T:
    with session.transaction():
        return ask(session.connection)
