"""`python -m api` is the same as `task-queue`."""

from api.cli import main

main()
