"""The URLs of the application."""

from uuid import UUID

import falcon
import httpx
from falcon import Request, Response


def create_app(queue: httpx.Client) -> falcon.App[Request, Response]:
    """Return the application.

    Args:
        queue: Its base URL is the queue's; a test gives one that needs no server.
    """
    app = falcon.App()
    app.add_route("/orders", Orders(queue))
    app.add_route("/orders/{order:uuid}", Order(queue))
    app.add_error_handler(httpx.HTTPError, unavailable)
    return app


class Orders:
    """All orders."""

    def __init__(self, queue: httpx.Client) -> None:
        self._queue = queue

    def on_post(self, request: Request, response: Response) -> None:
        """Take an order: its task is on disk when this answers."""
        answer = self._queue.post(
            "/tasks",
            json={"action": "invoice", "data": request.get_media()},
            headers=passed_on(request),
        )
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise falcon.HTTPBadRequest(description=answer.json()["detail"])
        order = answer.raise_for_status().json()["id"]
        response.status = falcon.HTTP_ACCEPTED
        response.location = f"/orders/{order}"
        response.media = {"order": order}


class Order:
    """An order, which goes by the id of its task."""

    def __init__(self, queue: httpx.Client) -> None:
        self._queue = queue

    def on_get(self, _request: Request, response: Response, order: UUID) -> None:
        """Show how far it is, and the invoice once there is one."""
        answer = self._queue.get(f"/tasks/{order}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise falcon.HTTPNotFound
        task = answer.raise_for_status().json()
        response.media = {"order": task["id"], "state": task["status"], "invoice": task["result"]}


def passed_on(request: Request) -> dict[str, str]:
    """Return the headers for the queue: who sends an order again with the same key orders once."""
    key = request.get_header("Idempotency-Key")
    return {} if key is None else {"Idempotency-Key": key}


def unavailable(
    _request: Request, _response: Response, _error: httpx.HTTPError, _params: object
) -> None:
    """Answer 503 when the queue did not, or could not say.

    Raises:
        HTTPServiceUnavailable: Always. The order may have been taken: hence the Idempotency-Key.
    """
    raise falcon.HTTPServiceUnavailable(description="the queue does not answer; try again")
