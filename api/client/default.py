"""The client of those who name none: for the URL and the key of the environment."""

import atexit
import os
from functools import cache

from task_queue.api.client.blocking import Client


def default_client() -> Client:
    """Return the client of this process, which all of its threads share."""
    return _client_of(os.getpid())  # after a fork, connections of the parent must not be used


@cache
def _client_of(_process: int) -> Client:
    client = Client()
    atexit.register(client.close)
    return client
