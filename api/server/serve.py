"""The server process: waitress in the main thread, signals, banner, drain."""

import gc
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import TextIO

from waitress.adjustments import Adjustments

from task_queue.actors.actions.process.child import hear_of_children
from task_queue.actors.errors import TaskQueueError
from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.auth.admission import Admission
from task_queue.api.auth.caller import EVERYBODY
from task_queue.api.auth.keys_file import KeysFile
from task_queue.api.edge import Edge
from task_queue.api.health import gets_work_done
from task_queue.api.schedule_settings import schedules
from task_queue.api.server.admit import admission, tell_who_is_let_in
from task_queue.api.server.banner import banner
from task_queue.api.server.dispatcher import Dispatcher
from task_queue.api.server.init import leave_process_1
from task_queue.api.server.listener import cannot_listen, is_loopback, listener_on
from task_queue.api.server.notify import VARIABLES, Notifier
from task_queue.api.server.parser import MAX_HEADER_BYTES
from task_queue.api.server.patience import Patience
from task_queue.api.server.server import Server, UnixServer
from task_queue.api.server.signals import Signals, Stopped
from task_queue.api.server.unix_socket import UnixListener
from task_queue.api.traffic import Traffic
from task_queue.config import logs
from task_queue.config.layers import Loaded, variables
from task_queue.config.logger import get_logger
from task_queue.config.settings import Settings, SettingsError

END_SECONDS = 2.0
"""How long what actions have left may take to end, after everything else has."""

_log = get_logger()


def serve(loaded: Loaded, version: str, read_again: Callable[[], Settings], stdout: TextIO) -> int:
    """Serve until a signal comes, then drain.

    Args:
        loaded: All settings.
        version: For the banner.
        read_again: Reads the settings anew, from where they came.
        stdout: Where the banner goes; `sys.stdout` is for what actions print.

    Returns:
        The process's exit code: 0 after a signal, 1 if actors died too often.

    Raises:
        TaskQueueError: It could not be started.
        SettingsError: A schedule of the settings cannot be followed, or not be published; or
            requests need a key, and there is none.
    """
    hear_of_children()
    leave_process_1()
    settings = loaded.settings
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    if settings.process.one_core:
        _keep_to_one_core()
    # An action that is imported may lead the process elsewhere.
    unix_socket = Path(settings.http.socket).absolute() if settings.http.socket else None
    keys_file = None
    if settings.auth.keys_file:
        keys_file = KeysFile(Path(settings.auth.keys_file).absolute(), time.monotonic)
    notifier = Notifier(variables(VARIABLES))  # an action may change them
    signals = Signals()
    signals.install()
    try:
        system = ActorSystem(settings, on_too_many_restarts=signals.too_many_restarts, cores=cores)
        edge = Edge(
            system,
            settings.http.answer_timeout_seconds,
            max_wait_seconds=settings.http.max_wait_seconds,
        )
        configured = schedules(loaded, edge.catalog(EVERYBODY), edge.now())
        signals.take_back()
    except Stopped:  # nothing runs yet
        return signals.exit_code
    try:
        with listener_on(settings.http, unix_socket) as listener:
            is_local = is_loopback(listener)
            admitted = admission(settings, edge, keys_file, is_local=is_local)
            try:
                system.start(configured, needs_keys=admitted.needs_key)
            except Stopped:  # it has stopped what was running
                return signals.exit_code
            server = _server(edge, settings, listener, admitted)
            gc.freeze()  # what exists by now stays; collecting it again and again costs 5 %
            shown = banner(settings, version, listener.getsockname(), needs_key=admitted.needs_key)
            _show(shown, stdout)
            tell_who_is_let_in(settings, edge, admitted, keys_file, is_local=is_local)
            signals.wake_up = server.pull_trigger
            signals.at_once = system.children.close
            signals.reload_with(lambda: _reload(system, read_again))
            notifier.ready(settings.http.socket or f"port {listener.getsockname()[1]}")
            notifier.feed_while(partial(gets_work_done, edge))
            _loop(
                server,
                signals,
                notifier.stopping,
                lambda: _drain(system, settings.shutdown.drain_seconds),
            )
    except Stopped:
        _drain(system, settings.shutdown.drain_seconds)
    system.stop()
    logs.repeats.tell(at_once=True)
    _log.info("stopped")
    return signals.exit_code


def end_in_time(exit_code: int) -> None:
    """Let the process end by itself, but not for ever.

    Python waits for what actions in threads have left: threads of executors, processes of
    `multiprocessing`, and handlers that are registered for the end.
    """
    end = threading.Timer(END_SECONDS, _end, (exit_code,))
    end.daemon = True
    end.start()


def _end(exit_code: int) -> None:
    _log.warning("ended by force, what actions have left does not end")
    os._exit(exit_code)


def _loop(
    server: Server, signals: Signals, stopping: Callable[[], None], drain: Callable[[], None]
) -> None:
    """Serve until a signal comes; then go on while the tasks are drained, and say good-bye."""
    while not signals.stopping:
        server.turn()
    stopping()
    server.drain()
    drained = Event()
    threading.Thread(target=_and_then, args=(drain, drained.set), name="drain").start()
    while not drained.is_set():
        server.turn()
    server.last_call()
    server.task_dispatcher.shutdown()
    server.waiting.move()
    for channel in list(server.active_channels.values()):
        channel.handle_write()  # what was left to the loop


def _and_then(first: Callable[[], None], then: Callable[[], None]) -> None:
    try:
        first()
    finally:
        then()


def _reload(system: ActorSystem, read_again: Callable[[], Settings]) -> None:
    """Use the settings as they are now, or keep the former ones if they are refused."""
    try:
        reloaded = system.reload(read_again())
    except (SettingsError, TaskQueueError) as error:
        _log.error("settings refused, the former ones stay", error=str(error))
        return
    _log.info(
        "settings reloaded",
        added=reloaded.added,
        removed=reloaded.removed,
        changed=reloaded.changed,
        actions=system.actions.names,
    )
    if reloaded.ignored:
        _log.warning("settings that need a restart have changed", sections=reloaded.ignored)


def _keep_to_one_core() -> None:
    """Hold all threads to one of the cores the process may use, where the system can do that.

    Two threads on two cores that hand each other the interpreter lock pay for every hand-over with
    a wake-up across cores. Only threads started from now on inherit the core; the processes of
    actions get all cores back. Consumers are bound as well: with only their two threads free, a
    drain at a prefetch of 500 fell from 19,500 to 8,600 tasks/s.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})  # noqa: S311


def _show(text: str, stdout: TextIO) -> None:
    try:
        # Past the stream's buffer, which would keep what cannot be written until the end.
        os.write(stdout.fileno(), text.encode(stdout.encoding, "backslashreplace"))
    except OSError as error:  # the disk that it goes to is full, or nobody reads it
        _log.warning("cannot write to standard output", error=error.strerror)


def _drain(system: ActorSystem, drain_seconds: float) -> None:
    try:
        cut_short = system.drain(drain_seconds)
    except TaskQueueError as error:
        # What was claimed is recovered at the next start, or by another node.
        _log.error("not drained", error=str(error))
        return
    if cut_short:
        _log.warning("tasks cut short and given back", ids=cut_short, drain_seconds=drain_seconds)


def _server(edge: Edge, settings: Settings, listener: socket.socket, admitted: Admission) -> Server:
    logging.getLogger("waitress").setLevel(logging.WARNING)
    http = settings.http
    limits = Adjustments(
        sockets=[listener],
        max_request_body_size=http.max_body_bytes + 1,  # waitress refuses from its limit on
        max_request_header_size=MAX_HEADER_BYTES + 1,
        ident=None,
        clear_untrusted_proxy_headers=False,  # they are looked at in `api.forwarded` alone
    )
    traffic = Traffic()
    kind, addresses = Server, listener.getsockname()[:1]
    if isinstance(listener, UnixListener):
        kind, addresses = UnixServer, ()
    try:
        return kind(
            create_app(edge, http, *addresses, admission=admitted, ui=settings.ui, traffic=traffic),
            limits,
            Patience(http),
            edge.look_at_waits,
            http.url_prefix,
            traffic=traffic,
            _sock=listener,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            dispatcher=Dispatcher(http.threads),  # in place of waitress's pool of threads
        )
    except OSError as error:  # two servers can bind a port, but only one can listen on it
        edge.system.stop()
        raise cannot_listen(http, error) from error
