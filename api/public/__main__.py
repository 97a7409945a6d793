"""`task-queue`, and `python -m task_queue`, which is the same."""

# Both are part of the interpreter: the user's own `gc.py` cannot take their place.
import gc
import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["serve"]:
        hold_back_hangups()
    # To look through what is imported for garbage while it grows would take a sixth of a start. A
    # command that goes on turns it on when it has imported all.
    gc.disable()
    from task_queue.api.cli import main as run  # noqa: PLC0415 - see above

    run()


def hold_back_hangups() -> None:
    """Let a SIGHUP wait until the server hears of it.

    Half of a second passes until then, and a service that is told so soon to read its settings
    again would end. Where somebody looks at it, the signal ends it at once.
    """
    import signal  # noqa: PLC0415 - no module of the user's: see below

    if sys.stdin is None or not sys.stdin.isatty():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


if __name__ == "__main__":
    # Python puts the current folder first; `task-queue` looks there last, when it loads actions.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
