"""Where it may be told how a task ended: one rule, in settings and over HTTP."""

from urllib.parse import urlsplit

from task_queue.config.actions import is_http_url

MAX_CALLBACK_CHARS = 2_048
"""How long such an address may be."""
CALLBACKS = "callbacks"
"""The queue of what is told."""
DELIVERY = "callback"
"""The action that tells it."""
CALLBACK_ATTEMPTS = 20
"""How often it is tried to tell how a task ended, unless the settings say otherwise: with the
backoff of the defaults for up to eight hours, which outlasts what a receiver is mostly away for."""


def callback_fault(address: str) -> str | None:
    """Return what is wrong with an address to be told at, after its name; None: nothing.

    Without the address itself where it may hold a password.
    """
    if len(address) > MAX_CALLBACK_CHARS:
        return f"must have at most {MAX_CALLBACK_CHARS} characters"
    if not is_http_url(address):
        return "must be an address that begins with http:// or https://"
    if "@" in urlsplit(address).netloc:
        # It is shown to everybody who may read the task.
        return "must not hold a user or a password"
    return None
