"""`python -m task_queue` is the same as `task-queue`."""

import sys

if __name__ == "__main__":
    # Python puts the current folder first; `task-queue` looks there last, when it loads actions.
    if not sys.flags.safe_path:
        del sys.path[0]

    from task_queue.api.cli import main

    main()
