"""A response, ready to be sent."""

from dataclasses import dataclass
from http import HTTPStatus

import falcon

Headers = list[tuple[str, str]]


JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, complete but for the request's id.

    Attributes:
        status: The HTTP status.
        headers: All of them.
        body: All of it.
    """

    status: HTTPStatus
    headers: Headers
    body: bytes

    def fill(self, resp: falcon.Response) -> None:
        """Copy it into the response."""
        resp.status = self.status.value
        for name, value in self.headers:
            resp.set_header(name, value)
        resp.data = self.body
