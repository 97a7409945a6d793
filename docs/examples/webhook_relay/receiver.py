"""Receives webhooks and believes those that are signed: Standard Webhooks, with Python alone.

WEBHOOK_SECRET=whsec_… python receiver.py [PORT]
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_SECONDS = 300
"""How old a request may be, so that nobody can send one again next week."""

received: set[str] = set()
"""The ids of the deliveries so far. A real receiver keeps them in its database."""


class Receiver(BaseHTTPRequestHandler):
    """Answers `POST` at any path."""

    def do_POST(self) -> None:
        """Receive an event, unless its signature is wrong."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not is_signed(self.headers, body):
            self.answer(HTTPStatus.UNAUTHORIZED, {"error": "the signature is wrong"})
            return
        # A delivery is tried again if its answer is lost; its id stays the same.
        delivery = self.headers["webhook-id"]
        is_new = delivery not in received
        if is_new:
            print("received", json.loads(body), flush=True)
        received.add(delivery)  # after the work: what fails before is delivered again
        self.answer(HTTPStatus.OK, {"received": True, "again": not is_new})

    def answer(self, status: HTTPStatus, document: object) -> None:
        """Answer with JSON."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def is_signed(headers: Message, body: bytes) -> bool:
    """Return whether who sent this knows the secret, and sent it a short while ago."""
    delivery, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        age_seconds = time.time() - int(timestamp)
    except ValueError:
        return False
    signed = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.digest(KEY, signed, hashlib.sha256)
    expected = b"v1," + base64.b64encode(digest)
    # While a secret is replaced, a request may be signed with the old one and with the new one.
    signatures = headers.get("webhook-signature", "").encode().split()
    return abs(age_seconds) < TOLERANCE_SECONDS and any(
        hmac.compare_digest(expected, each) for each in signatures
    )


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        print(f"listens on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
