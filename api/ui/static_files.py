"""The style and the scripts of the pages, as files of this package."""

import hashlib
from importlib import resources

import falcon

from task_queue.api.responses.urls import url

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOREVER = "public, max-age=31536000, immutable"


class StaticFiles:
    """`GET /ui/static/{digest}/{name}` shows a file.

    The digest is of all files, so that a name never means two things, and one module finds the
    next beside itself.
    """

    def __init__(self) -> None:
        """Read the files, which are small and few."""
        folder = resources.files("task_queue.api.ui").joinpath("static")
        self._files = {
            each.name: each.read_bytes()
            for each in folder.iterdir()
            if each.name.rpartition(".")[2] in _TYPES
        }
        whole = b"".join(name.encode() + self._files[name] for name in sorted(self._files))
        self._digest = hashlib.sha256(whole).hexdigest()[:16]

    def url(self, name: str) -> str:
        """Return where a file is."""
        return url(f"/ui/static/{self._digest}/{name}")

    def on_get(self, req: falcon.Request, resp: falcon.Response, digest: str, name: str) -> None:
        """Show the file, or `404`."""
        if (text := self._files.get(name)) is None or digest != self._digest:
            raise falcon.HTTPNotFound
        resp.content_type = _TYPES[name.rpartition(".")[2]]
        resp.set_header("Cache-Control", _FOREVER)
        resp.etag = digest
        if req.if_none_match and digest in req.if_none_match:
            resp.status = 304
            return
        resp.data = text
