"""`task-queue`, and `python -m task_queue`, which is the same."""

# Both are part of the interpreter: the user's own `gc.py` cannot take their place.
import gc
import sys


def main() -> None:
    """Run the command line."""
    # To look through what is imported for garbage while it grows would take a sixth of a start. A
    # command that goes on turns it on when it has imported all.
    gc.disable()
    from task_queue.api.cli import main as run  # noqa: PLC0415 - see above

    run()


if __name__ == "__main__":
    # Python puts the current folder first; `task-queue` looks there last, when it loads actions.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
