"""Signals of the server process: SIGTERM and SIGINT drain, SIGHUP reloads."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from task_queue.actors.actions.process.child import hear_of_children


class Stopped(SystemExit):
    """A signal came while the server starts; a module that is imported then may exit, too."""


class Signals:
    """SIGTERM and SIGINT: the first one stops serving, the second one ends the process.

    SIGHUP reads the settings again; from a terminal that was closed it means the same as SIGTERM.
    They are read once for all that come meanwhile, or while the server starts.

    Waitress leaves signals alone. While the server starts, the handler raises `Stopped` in the
    main thread. While it serves, the handler only wakes up the loop, which then ends: an exception
    after an answer is sent and before that is noted would send it again, and the client would take
    it for the answer to its next request.

    Python's handlers run when the main thread is awake, and one that has just begun to wait for
    the drain is not woken. So the second signal is heard by a thread, through the wake-up pipe;
    the default action of the signal would not do, since process 1 of a container is exempt from it.
    """

    wake_up: Callable[[], None] | None = None
    """Wakes up the loop, once there is one."""
    at_once: Callable[[], None] | None = None
    """Called before the process ends at the second signal."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.stopping = False
        self._hung_up = threading.Event()
        self._had_terminal = _has_terminal()
        self._wake_up_fd = -1
        self._handlers: Mapping[signal.Signals, Any] = {
            signal.SIGTERM: self._on_signal,
            signal.SIGINT: self._on_signal,
            signal.SIGHUP: lambda *_: None,
        }
        self._on_terminal = [descriptor for descriptor in range(3) if os.isatty(descriptor)]

    def install(self) -> None:
        """Handle the signals from now on."""
        heard, written = socket.socketpair()
        written.settimeout(0)
        self._wake_up_fd = written.detach()
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()
        _Forks({number: signal.getsignal(number) for number in self._handlers})
        self.take_back()

    def take_back(self) -> None:
        """Handle them again: a module of an action may have taken them for itself."""
        signal.set_wakeup_fd(self._wake_up_fd, warn_on_full_buffer=False)
        for number, each in self._handlers.items():
            signal.signal(number, each)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)  # see `hold_back_hangups`
        hear_of_children()

    def reload_with(self, reload: Callable[[], None]) -> None:
        """Read the settings again at SIGHUP, also if it has come already."""
        threading.Thread(target=self._reload, args=(reload,), name="hangups", daemon=True).start()

    def too_many_restarts(self) -> None:
        """End the serving from another thread, with exit code 1."""
        self.exit_code = 1
        if self.stopping:
            return
        os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self.stopping:
            self.stopping = True
            if self.wake_up is None:
                raise Stopped(self.exit_code)
            self.wake_up()

    def _listen(self, heard: socket.socket) -> None:
        """Reload at each SIGHUP; end the process at the second of the others."""
        ends = 0
        while True:
            number = heard.recv(1)[0]
            if number == signal.SIGHUP:
                self._on_hangup()
                continue
            ends += 1
            if ends > 1:
                if self.at_once is not None:
                    self.at_once()
                os._exit(128 + number)  # the shell's convention for death by signal

    def _on_hangup(self) -> None:
        if self._had_terminal and not _has_terminal():
            # Writing there would fail from now on, at the latest when the process ends.
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in self._on_terminal:
                os.dup2(nowhere, descriptor)
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._hung_up.set()

    def _reload(self, reload: Callable[[], None]) -> None:
        while self._hung_up.wait():
            self._hung_up.clear()
            # In a thread of its own, so that what goes wrong in one does not prevent the next.
            once = threading.Thread(target=reload, name="reload", daemon=True)
            once.start()
            once.join()


class _Forks:
    """Has processes that an action forks handle signals as if there had been no service.

    They would hear them through the pipe of the service, too: as a pool of `multiprocessing` ends
    its processes by SIGTERM, the second would end the service.
    """

    def __init__(self, former: Mapping[signal.Signals, Any]) -> None:
        self._former = former
        self._of_thread = threading.local()
        os.register_at_fork(
            before=self._block, after_in_parent=self._unblock, after_in_child=self._in_child
        )

    def _block(self) -> None:
        # Or one could come between the fork and `_in_child`.
        self._of_thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._former)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._of_thread.mask)

    def _in_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._unblock()


def _has_terminal() -> bool:
    """Return whether a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
