"""The actions there are, by name."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from task_queue.actors.actions.action import Action, Done
from task_queue.actors.actions.call import Call
from task_queue.actors.errors import Reject
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.event import DELIVERY
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.text import unknown


class Registry:
    """The actions by name, and the fallback that every other name runs, if there is one."""

    def __init__(
        self,
        actions: Mapping[str, Action],
        fallback: Action | None,
        *,
        fallback_may_end: bool = False,
        let_go: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store them.

        Args:
            actions: By name.
            fallback: What every other name runs; None: no other name is known.
            fallback_may_end: Whether `end_fallback` does anything.
            let_go: Called when other actions replace these, to end the processes they keep warm.
            monotonic: Seconds that never go backwards.
        """
        self._actions = dict(actions)
        self._external = {
            name: each.timeout_seconds for name, each in actions.items() if each.kind == "external"
        }
        self._fallback = fallback
        self._fallback_may_end = fallback_may_end
        self._let_go = let_go
        self._monotonic = monotonic

    @property
    def contents(self) -> object:
        """What is equal as long as the same actions are there."""
        return self._actions, self._fallback

    @property
    def names(self) -> list[str]:
        """The names, sorted, without those that only the fallback runs."""
        return sorted(self._actions)

    @property
    def published(self) -> list[str]:
        """The names of those that a publish may ask for, sorted; what tells callbacks is none."""
        return [
            name for name in self.names if (name, self._actions[name].kind) != (DELIVERY, "builtin")
        ]

    @property
    def own(self) -> tuple[str, ...]:
        """The names of those that are not built in."""
        return tuple(name for name, each in self._actions.items() if each.kind != "builtin")

    @property
    def isolated(self) -> frozenset[str]:
        """The names of those whose tasks cannot take the service down: no Python in a thread."""
        return frozenset(
            name
            for name, action in self._actions.items()
            if (action.kind, action.execution) != ("python", "thread")
        )

    @property
    def external(self) -> Mapping[str, float]:
        """Those that workers over HTTP do, and the seconds an attempt of each may take; 0: any."""
        return self._external

    def is_external(self, action: str) -> bool:
        """Whether workers over HTTP do it, and no consumer."""
        return action in self._external

    @property
    def known(self) -> tuple[str, ...] | None:
        """The names of the actions that can be run; None: every name, by the fallback."""
        return tuple(self._actions) if self._fallback is None else None

    def knows(self, action: str) -> bool:
        """Whether a task with this action can be run."""
        return self._fallback is not None or action in self._actions

    def has(self, action: str) -> bool:
        """Whether there is an action by this name, apart from the fallback."""
        return action in self._actions

    def runs(self, action: str) -> bool:
        """Whether a consumer can run a task with this action."""
        return self.knows(action) and action not in self._external

    def check(self, action: str, data: str) -> None:
        """Accept the data for an action; any data for the fallback.

        Args:
            action: Its name.
            data: A JSON object as text.

        Raises:
            InvalidDataError: It is not what the action takes.
        """
        if (found := self._actions.get(action)) is not None:
            found.check(data)

    def described(self, action: str) -> dict[str, Any] | None:
        """Return what the API shows of an action; None if no action has this name."""
        found = self._actions.get(action)
        if found is None:
            return None
        return {
            "name": action,
            "kind": found.kind,
            "description": found.description,
            "execution": found.execution,
            "timeout_seconds": found.timeout_seconds or None,
            "schema": found.schema,
        }

    def end_fallback(self, had: Collection[str]) -> bool:
        """Know no other name from now on, unless the settings say so; return if that is new.

        Args:
            had: The names of actions that are missing here. Built-in ones do not stand in for them.
        """
        ends = self._fallback_may_end and self._fallback is not None
        if ends:
            self._fallback = None
            self._actions = {name: each for name, each in self._actions.items() if name not in had}
        return ends

    def become(self, other: "Registry") -> None:
        """Replace these actions with those of another registry; what runs now goes on."""
        let_go = self._let_go
        vars(self).update(vars(other))
        let_go()

    def run(self, claimed: ClaimedTask, slot: Slot) -> Done:
        """Run the task's action, and return its result.

        Args:
            claimed: The task.
            slot: Shared with its queue while it runs.

        Raises:
            Reject: There is no such action, or what it returned cannot be kept.
            Exception: See `Action.run`.
        """
        action = self._actions.get(claimed.action, self._fallback)
        if action is None:
            raise Reject(unknown("action", claimed.action, self.published))
        call = Call(
            claimed,
            slot,
            claimed.terms.timeout_seconds or action.timeout_seconds,
            self._monotonic,
        )
        slot.timeout_seconds = call.timeout_seconds
        slot.overdue_at = call.deadline + action.overdue_seconds
        slot.running = claimed.lease  # last: see `Slot.is_overdue`
        return action.run(call)
