"""`task-queue check`: does all that is stored go together?"""

import json
from dataclasses import asdict

from task_queue.actors.store.check import Found
from task_queue.actors.store.check import check as look
from task_queue.actors.store.database import Database
from task_queue.api.standard_streams import say


def check(target: Database, *, repair: bool, as_json: bool) -> int:
    """Look at the database, with servers running or not, and say what is wrong.

    Args:
        target: Which one.
        repair: Whether to mend what can be mended.
        as_json: Whether to say it as one JSON object, for programs.

    Returns:
        The exit code: 0 if all is right, or was repaired, otherwise 1.

    Raises:
        TaskQueueError: It cannot be looked at.
    """
    found, tasks = look(target, repair=repair)
    is_right = all(each.repaired for each in found)
    if as_json:
        findings = [asdict(each) for each in found]
        say(json.dumps({"ok": is_right, "tasks": tasks, "findings": findings}))
        return int(not is_right)
    for each in found:
        say(f"{each.number:>9,}  {each.what}{_ending(each)}")
    if not found:
        say(f"all is right, {tasks:,} tasks in {target.shown}")
    elif is_right:
        say("all of it is repaired")
    elif not repair and any(not each.advice for each in found):
        say("--repair mends what has no advice of its own; servers may go on running")
    return int(not is_right)


def _ending(each: Found) -> str:
    if each.repaired:
        return ": repaired"
    return f": {each.advice}" if each.advice else ""
