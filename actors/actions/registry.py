"""Which actions there are, by name."""

import time
from collections.abc import Callable, Mapping
from importlib import import_module

import orjson

from actors.actions.builtin import Action, processed, slowed, total, uppercase
from actors.actions.context import Context, takes_context
from actors.errors import ActionLoadError, Reject
from actors.task import ClaimedTask
from actors.wire import Wire


class Registry:
    """The actions that can be run, and the one that stands in for all other names, if any."""

    def __init__(self, actions: Mapping[str, Action], fallback: Action | None) -> None:
        """Store them.

        Args:
            actions: By name.
            fallback: What any other name runs; None: no other name is known.
        """
        self._actions = dict(actions)
        self._fallback = fallback
        self._with_context = {
            name for name, function in self._actions.items() if takes_context(function)
        }

    @property
    def names(self) -> list[str]:
        """The names there are, sorted."""
        return sorted(self._actions)

    def knows(self, action: str) -> bool:
        """Whether a task with this action can be run."""
        return self._fallback is not None or action in self._actions

    def run(self, claimed: ClaimedTask, wire: Wire) -> str:
        """The result of the task's action, JSON as text.

        Args:
            claimed: The task.
            wire: How its action is reached while it runs.

        Raises:
            Reject: There is no such action, or what it returned is not JSON.
        """
        action = claimed.action
        function = self._actions.get(action, self._fallback)
        if function is None:
            message = f"unknown action {action!r}; known: {', '.join(self.names)}"
            raise Reject(message)
        if action in self._with_context:
            result = function(orjson.loads(claimed.data), Context(claimed, wire))
        else:
            result = function(orjson.loads(claimed.data))
        try:
            return orjson.dumps(result).decode()
        except TypeError as error:
            message = f"the result of {action!r} is not JSON: {error}"
            raise Reject(message) from error


def load(
    references: Mapping[str, str],
    *,
    fallback: bool,
    simulated_work_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Registry:
    """The built-in actions and the configured ones.

    Args:
        references: `module:function` by action name; a name may replace a built-in one.
        fallback: Whether names that are not known are `processed`, as in the tutorial.
        simulated_work_seconds: How long each built-in action pretends to work.
        sleep: How it passes that time.

    Raises:
        ActionLoadError: A module cannot be imported, or has no such function.
    """

    def at_work(action: Action) -> Action:
        return slowed(action, simulated_work_seconds, sleep) if simulated_work_seconds else action

    builtin = {"uppercase": at_work(uppercase), "sum": at_work(total)}
    configured = {name: _imported(name, reference) for name, reference in references.items()}
    return Registry({**builtin, **configured}, at_work(processed) if fallback else None)


def _imported(name: str, reference: str) -> Action:
    module_name, _, function_name = reference.partition(":")
    try:
        function = getattr(import_module(module_name), function_name)
    except Exception as error:  # whatever a module's own code raises
        message = (
            f"actions.{name} = {reference!r} cannot be imported: {type(error).__name__}: {error}"
        )
        raise ActionLoadError(message) from error
    if not callable(function):
        message = f"actions.{name} = {reference!r} is not a function"
        raise ActionLoadError(message)
    return function  # type: ignore[no-any-return]
