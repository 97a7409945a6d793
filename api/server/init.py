"""Process 1 of a container: it waits for orphans, and the server is its child."""

import os
import signal
import sys

FORWARDED = frozenset(
    {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
"""What is passed on to the server."""
FROM_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT})
"""What a terminal sends to the whole foreground group: the server has it already."""


def leave_process_1() -> None:
    """Return in a child of this process, if this is process 1.

    The kernel makes process 1 the parent of whatever an action's program leaves behind, and what
    nobody waits for stays as a zombie. The server itself cannot wait for it: it could not tell an
    orphan from a process that an action in a thread has started and wants to wait for by itself.
    Call it before there are threads.
    """
    if os.getpid() != 1:
        return
    waited_for = FORWARDED | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    sys.stdout.flush()  # or both would write what is buffered
    server = os.fork()
    if server == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        told = signal.sigwaitinfo(waited_for)
        if told.si_signo == signal.SIGCHLD:
            _bury(server)
        elif not (told.si_code > 0 and told.si_signo in FROM_TERMINAL):  # the kernel's own
            os.kill(server, told.si_signo)


def _bury(server: int) -> None:
    """Wait for all that have ended; end as the server did if it is among them."""
    while True:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == server:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)  # the shell's convention for signals
        if child == 0:
            return
