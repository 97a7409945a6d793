"""What an HTTP action sends: the request, its headers and its signature."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import digest
from typing import NamedTuple

import httpx

from task_queue.actors.actions.http.addresses import host, joined, place, site
from task_queue.actors.errors import Reject

REDIRECTS = {301, 302, 303, 307, 308}
FIXED_HEADERS = {
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    # They say where the request ends.
    "connection",
    "content-length",
    "transfer-encoding",
}
"""The headers that the settings cannot replace."""


class HttpRequest(NamedTuple):
    """A request.

    Attributes:
        method: As HTTP spells it.
        url: Where it goes.
        body: JSON; None: it has none.
        is_first_origin: Whether every request before it went to the same scheme, host and port, so
            that it may have the headers of the settings and the signature.
    """

    method: str
    url: httpx.URL
    body: bytes | None
    is_first_origin: bool = True

    def redirected(self, status: int, location: str) -> "HttpRequest":
        """Return the request that a redirect asks for (RFC 9110, section 15.4).

        Args:
            status: One of `REDIRECTS`.
            location: Where it leads.

        Raises:
            Reject: It leads to no address, or the data would not go along.
        """
        url = joined(self.url, location)
        if url is None:
            raise Reject(f"{site(self.url)} answered {status} and leads to no address")
        if self._loses_data(status, url):
            raise Reject(
                f"{site(self.url)} answered {status} and leads to {place(self.url, location)}, "
                "but the data would not go along"
            )
        # Never true again after another origin: that one chose the rest of the way.
        is_first_origin = self.is_first_origin and site(url) == site(self.url)
        return HttpRequest(self.method, url, self.body, is_first_origin)

    def _loses_data(self, status: int, url: httpx.URL) -> bool:
        """Return whether a redirect goes on without the body, or without what the query said.

        Clients go on with GET after 303, whatever the method was, and after 301 and 302 of a POST.
        """
        if self.body is None:
            said, kept = self.url.params.multi_items(), url.params.multi_items()
            return (self.method, status) == ("DELETE", httpx.codes.SEE_OTHER) or not (
                set(said) <= set(kept)
            )
        moved = status in {httpx.codes.MOVED_PERMANENTLY, httpx.codes.FOUND}
        return status == httpx.codes.SEE_OTHER or (moved and self.method == "POST")

    def headers(
        self, task_id: str, timestamp: int, own: Mapping[str, str], secrets: Sequence[bytes]
    ) -> list[tuple[str, str]]:
        """Return the headers to send.

        Args:
            task_id: The id of the webhook.
            timestamp: When it was first sent, Unix seconds.
            own: The headers of the settings, in lower case; sent to the first origin only.
            secrets: The keys that sign, for the first origin only; each makes a signature of its
                own, so that one can follow another while both are known.
        """
        headers = {
            "host": host(self.url),
            "user-agent": "task-queue",
            # An answer is kept as it comes: a small one must not unpack into a large one.
            "accept-encoding": "identity",
        }
        if self.body is not None:
            headers["content-type"] = "application/json"
        if self.is_first_origin:
            if self.url.userinfo:
                user = f"{self.url.username}:{self.url.password}".encode()
                headers["authorization"] = f"Basic {b64encode(user).decode()}"
            headers |= own
        headers |= {
            "connection": "close",
            "webhook-id": task_id,
            "webhook-timestamp": f"{timestamp}",
        }
        if self.body is not None:
            headers["content-length"] = f"{len(self.body)}"
        if secrets and self.is_first_origin:
            signed = f"{task_id}.{timestamp}.".encode() + (self.body or b"")
            headers["webhook-signature"] = " ".join(
                f"v1,{b64encode(digest(each, signed, sha256)).decode()}" for each in secrets
            )
        return list(headers.items())
