"""The URLs of the application."""

from uuid import UUID

import falcon
from falcon import Request, Response
from task_queue.client import Client, NotFoundError, RefusedError, UnavailableError


def create_app(queue: Client) -> falcon.App[Request, Response]:
    """Return the application, which publishes with this client."""
    app = falcon.App()
    app.add_route("/orders", Orders(queue))
    app.add_route("/orders/{order:uuid}", Order(queue))
    app.add_error_handler(RefusedError, refused)
    app.add_error_handler(NotFoundError, not_found)
    app.add_error_handler(UnavailableError, unavailable)
    return app


class Orders:
    """All orders."""

    def __init__(self, queue: Client) -> None:
        self._queue = queue

    def on_post(self, request: Request, response: Response) -> None:
        """Take an order: its task is on disk when this answers.

        Who sends an order again with the same key orders once.
        """
        key = request.get_header("Idempotency-Key")
        published = self._queue.publish("invoice", request.get_media(), idempotency_key=key)
        response.status = falcon.HTTP_ACCEPTED
        response.location = f"/orders/{published.id}"
        response.media = {"order": published.id}


class Order:
    """An order, which goes by the id of its task."""

    def __init__(self, queue: Client) -> None:
        self._queue = queue

    def on_get(self, _request: Request, response: Response, order: UUID) -> None:
        """Show how far it is, and the invoice once there is one."""
        task = self._queue.get(str(order))
        response.media = {"order": task.id, "state": task.status, "invoice": task.result}


def refused(_request: Request, _response: Response, error: RefusedError, _params: object) -> None:
    """Answer 400 to what the action does not take; anything else is a fault of this program.

    Raises:
        HTTPBadRequest: The order is wrong; the sentence says where.
        RefusedError: The queue refuses something else.
    """
    if error.problem != "invalid-data":
        raise error
    raise falcon.HTTPBadRequest(description=str(error))


def not_found(
    _request: Request, _response: Response, _error: NotFoundError, _params: object
) -> None:
    """Answer 404.

    Raises:
        HTTPNotFound: Always.
    """
    raise falcon.HTTPNotFound


def unavailable(
    _request: Request, _response: Response, _error: UnavailableError, _params: object
) -> None:
    """Answer 503 when the queue did not, for as long as the client tried.

    Raises:
        HTTPServiceUnavailable: Always. The order may have been taken: hence the Idempotency-Key.
    """
    raise falcon.HTTPServiceUnavailable(description="the queue does not answer; try again")
