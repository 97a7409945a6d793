"""Where a client finds the server, and with which key, unless it is told."""

import os

URL_VARIABLE = "TASK_QUEUE_URL"
KEY_VARIABLE = "TASK_QUEUE_KEY"
URL = "http://127.0.0.1:8080"
"""Where `task-queue serve` listens unless its settings say otherwise."""


def server_url() -> str:
    """Return the URL of the environment, else that of a server on this machine."""
    return os.environ.get(URL_VARIABLE) or URL


def server_key() -> str | None:
    """Return the key of the environment; None: there is none."""
    return os.environ.get(KEY_VARIABLE) or None
