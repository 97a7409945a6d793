"""The actions that the settings describe, and those that installed packages offer."""

import random
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from ipaddress import ip_network
from typing import Any

from task_queue.actors.actions.action import Action, Execution
from task_queue.actors.actions.builtin import processed, slowed, total, uppercase
from task_queue.actors.actions.external import External
from task_queue.actors.actions.process.action import ProcessAction
from task_queue.actors.actions.process.child import Children
from task_queue.actors.actions.process.pool import Workers
from task_queue.actors.actions.process.worker import START_SECONDS
from task_queue.actors.actions.program import PLAIN_VARIABLES, Program
from task_queue.actors.actions.python.function import PythonFunction, imported
from task_queue.actors.actions.python.thread import ThreadAction
from task_queue.actors.actions.registry import Registry
from task_queue.actors.actions.result import Form
from task_queue.actors.errors import ActionLoadError
from task_queue.actors.tasks.event import DELIVERY
from task_queue.config.actions import RETRIED, secret_bytes, statuses
from task_queue.config.layers import variables
from task_queue.config.logger import get_logger
from task_queue.config.names import NAME_RULE, is_name
from task_queue.config.settings import (
    ActionSettings,
    ExternalSettings,
    HttpActionSettings,
    ProgramSettings,
    PythonSettings,
    Settings,
)

ENTRY_POINTS = "task_queue.actions"
"""The group of entry points by which an installed package offers actions."""
CALLBACK_SECONDS = 30.0
"""How long whoever is told may take to answer: what Standard Webhooks calls reasonable at most, as
a receiver that is slow keeps others waiting."""
END_SECONDS = 2.0
"""How long it takes, besides the grace, to end a process or a connection and to notice it."""


def load_actions(settings: Settings, children: Children) -> Registry:
    """Load the built-in actions, then those of installed packages, then those of the settings.

    A later one replaces an earlier one of the same name. From now on the user's modules are found
    in the current folder, after all that is installed.

    Args:
        settings: All of them.
        children: Starts the processes.

    Raises:
        ActionLoadError: One of them cannot be used.
    """
    has_http = any(isinstance(each, HttpActionSettings) for each in settings.actions.values())
    if has_http or settings.callbacks.secret:
        # Before the user's folder is searched: its client looks for `click`, `trio` and the like.
        from task_queue.actors.actions.http import action  # noqa: F401, PLC0415
    folder = str(children.directory)
    if folder not in sys.path:
        sys.path.append(folder)
    return _Loader(settings, children).registry()


def end_fallback(actions: Registry, known: Sequence[str]) -> None:
    """Let a service without own actions take no other name, as its database has known some.

    It was started without its settings, as far as can be told: what was published for an action
    would be done by the fallback, and nobody would see that it is not.

    Args:
        actions: Those of the service; nothing changes if its settings turn the fallback on.
        known: The names of those that the database has known.
    """
    if actions.end_fallback(known):
        get_logger().warning(
            "no actions of your own, and this database has had some: unknown ones are refused",
            had=known,
            cure="start it with its settings; builtin.fallback = true takes any name",
        )


class _Loader:
    """Makes actions of settings."""

    def __init__(self, settings: Settings, children: Children) -> None:
        self._settings = settings
        self._execution = Execution(
            **settings.execution.model_dump(exclude={"max_stuck_threads"}),
        )
        self._children = children
        self._workers = Workers(children, self._execution)

    def registry(self) -> Registry:
        builtin = self._settings.builtin
        actions = {"uppercase": self._builtin(uppercase), "sum": self._builtin(total)}
        own = dict(self._offered())
        for name, settings in self._settings.actions.items():
            own[name] = self._configured(name, settings)
        # With actions of its own, a service is past the tutorial: another name is a typing error.
        is_auto = builtin.fallback == "auto"
        falls_back = not own if is_auto else builtin.fallback
        fallback = self._builtin(processed) if falls_back else None
        return Registry(
            actions | own | self._delivery(own),
            fallback,
            fallback_may_end=is_auto,
            let_go=self._workers.retire,
        )

    def _builtin(self, function: Any) -> Action:  # noqa: ANN401 - a function
        seconds = self._settings.builtin.simulated_work_seconds
        slow = slowed(function, seconds) if seconds else function
        return self._in_thread(PythonFunction(slow), None, "builtin")

    def _offered(self) -> Iterator[tuple[str, Action]]:
        for each in entry_points(group=ENTRY_POINTS):
            name = f"the action {each.name} of {_package(each)}"
            if not is_name(each.name):
                message = f"{name} cannot be used: the name {NAME_RULE}"
                raise ActionLoadError(message)
            yield each.name, self._in_thread(imported(name, each.value), None)

    def _configured(self, name: str, settings: ActionSettings) -> Action:
        match settings:
            case PythonSettings():
                function = imported(f"actions.{name}", settings.python)
                if settings.in_process:
                    return self._in_process(function, settings)
                return self._in_thread(function, settings.timeout_seconds)
            case ProgramSettings():
                try:
                    return self._program(settings)
                except ActionLoadError as error:
                    message = f"actions.{name} cannot be used: {error}"
                    raise ActionLoadError(message) from error
            case HttpActionSettings():
                return self._http(name, settings)
            case ExternalSettings():
                return self._external(settings)
            case _:
                raise TypeError(type(settings))

    def _in_thread(
        self, function: PythonFunction, timeout_seconds: float | None, kind: str = "python"
    ) -> Action:
        return ThreadAction(
            function,
            timeout_seconds=self._timeout(timeout_seconds),
            overdue_seconds=self._execution.kill_grace_seconds,
            max_result_bytes=self._execution.max_result_bytes,
            kind=kind,
        )

    def _in_process(self, function: PythonFunction, settings: PythonSettings) -> Action:
        return ProcessAction(
            function,
            settings.python,
            workers=self._workers,
            timeout_seconds=self._timeout(settings.timeout_seconds),
            overdue_seconds=START_SECONDS + self._end_seconds,
            max_result_bytes=self._execution.max_result_bytes,
            memory_limit_mib=settings.memory_limit_mib,
        )

    def _program(self, settings: ProgramSettings) -> Action:
        return Program(
            settings.command,
            directory=str(self._children.directory / (settings.directory or "")),
            environment=variables(
                (*PLAIN_VARIABLES, *settings.pass_environment), self._children.environment
            ),
            children=self._children,
            timeout_seconds=self._timeout(settings.timeout_seconds),
            overdue_seconds=self._end_seconds,
            kill_grace_seconds=self._execution.kill_grace_seconds,
            form=Form(settings.result),
            max_result_bytes=self._execution.max_result_bytes,
            memory_limit_mib=settings.memory_limit_mib,
            random=random.Random().random,  # noqa: S311 - for jitter; actions may seed the other
        )

    def _http(self, name: str, settings: HttpActionSettings) -> Action:
        # Imported where it is needed: importing its client takes a tenth of a second.
        from task_queue.actors.actions.http.action import HttpAction  # noqa: PLC0415

        return HttpAction(
            name=name,
            url=settings.http,
            method=settings.method,
            headers={name: each.get_secret_value() for name, each in settings.headers.items()},
            secrets=[secret_bytes(each.get_secret_value()) for each in settings.secret],
            url_in_data=settings.url_in_data,
            allow_networks=settings.allow_networks,
            follow_redirects=settings.follow_redirects,
            retried=statuses(settings.retry_statuses),
            timeout_seconds=self._timeout(settings.timeout_seconds),
            overdue_seconds=self._end_seconds,
            max_result_bytes=self._execution.max_result_bytes,
        )

    def _delivery(self, own: Collection[str]) -> dict[str, Action]:
        """Return the action that tells how tasks ended, if it can."""
        settings = self._settings.callbacks
        if not settings.secret:
            return {}
        if DELIVERY in own:  # of a package; the settings have been looked at
            message = f"the action {DELIVERY} of a package has the name of what tells callbacks"
            raise ActionLoadError(message)
        # Imported where they are needed, as in `_http`.
        from task_queue.actors.actions.http.callback import Callback  # noqa: PLC0415
        from task_queue.actors.actions.http.sender import Sender  # noqa: PLC0415

        sender = Sender(
            secrets=[secret_bytes(each.get_secret_value()) for each in settings.secret],
            networks=tuple(map(ip_network, settings.allow_networks)),
            allowed_by="callbacks.allow_networks",
            follow_redirects=False,
            retried=statuses(RETRIED),
            max_result_bytes=self._execution.max_result_bytes,
        )
        return {
            DELIVERY: Callback(
                sender, timeout_seconds=CALLBACK_SECONDS, overdue_seconds=self._end_seconds
            )
        }

    def _external(self, settings: ExternalSettings) -> Action:
        schema, checks = settings.data_schema, None
        if schema is not None:
            # Imported where it is needed: importing its library takes a tenth of a second.
            from task_queue.config.data_schema import DataSchema  # noqa: PLC0415

            checks = DataSchema(schema)
        return External(schema, checks, self._timeout(settings.timeout_seconds))

    def _timeout(self, own: float | None) -> float:
        return self._execution.timeout_seconds if own is None else own

    @property
    def _end_seconds(self) -> float:
        return self._execution.kill_grace_seconds + END_SECONDS


def _package(entry_point: EntryPoint) -> str:
    return "an installed package" if entry_point.dist is None else entry_point.dist.name
