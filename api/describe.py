"""`task-queue openapi`: the description of the service that these settings make, without it."""

from contextlib import closing
from ipaddress import ip_address

import orjson

from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import Children
from task_queue.api.auth.admission import needs_key
from task_queue.api.contract.description import describe
from task_queue.api.contract.offers import offers_of
from task_queue.api.responses import urls
from task_queue.api.routes.table import OPERATIONS
from task_queue.config.settings import Settings


def openapi(settings: Settings, version: str) -> str:
    """Return the description as JSON, in lines.

    Raises:
        ActionLoadError: An action of the settings cannot be used.
    """
    urls.begin_with(settings.http.url_prefix)
    with closing(Children()) as children:
        offers = offers_of(load_actions(settings, children), tuple(settings.queues))
    needed = needs_key(settings.auth, is_local=_is_local(settings))
    document = describe(OPERATIONS, version, offers, needs_key=needed)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _is_local(settings: Settings) -> bool:
    """Return whether a server would be reached from its machine alone, as far as is known here."""
    if settings.http.socket or settings.http.host == "localhost":
        return True
    try:
        return ip_address(settings.http.host).is_loopback
    except ValueError:  # a name, which only the server looks up
        return False
