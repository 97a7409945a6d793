"""Serves the application: `python -m api`."""

from wsgiref.simple_server import make_server

from task_queue.client import Client, Patience

from api.app import create_app
from config import PORT, QUEUE_URL

with (
    Client(QUEUE_URL, patience=Patience(deadline_seconds=10)) as queue,
    make_server("127.0.0.1", PORT, create_app(queue)) as server,
):
    print(f"listens on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
