"""Serves the application: `python -m api`."""

from wsgiref.simple_server import make_server

import httpx

from api.app import create_app
from config import PORT, QUEUE_URL

with (
    httpx.Client(base_url=QUEUE_URL, timeout=10) as queue,
    make_server("127.0.0.1", PORT, create_app(queue)) as server,
):
    print(f"listens on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
