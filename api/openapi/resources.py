"""`/openapi.json` and `/docs`: what the API is, for programs and for people."""

import falcon

from task_queue.api.auth.caller import caller_of
from task_queue.api.openapi.descriptions import Descriptions
from task_queue.api.openapi.style import CONTENT_SECURITY_POLICY


class OpenApiResource:
    """`GET /openapi.json` shows the description as OpenAPI 3.1."""

    def __init__(self, descriptions: Descriptions) -> None:
        self._descriptions = descriptions

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show what the caller may know."""
        resp.data = self._descriptions.of(caller_of(req)).json

    on_head = on_get


class DocsResource:
    """`GET /docs` shows the description as a page."""

    def __init__(self, descriptions: Descriptions) -> None:
        self._descriptions = descriptions

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show what the caller may know."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        resp.data = self._descriptions.of(caller_of(req)).html

    on_head = on_get
