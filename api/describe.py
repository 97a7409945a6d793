"""`task-queue openapi`: the description of the service that these settings make, without it."""

from contextlib import closing

import orjson

from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import Children
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
    document = describe(OPERATIONS, version, offers, needs_key=settings.auth.mode == "keys")
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
