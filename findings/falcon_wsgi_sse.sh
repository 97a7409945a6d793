#!/usr/bin/env bash
# Falcon: `resp.sse` of a WSGI application sends an empty 200, without an error or a warning.
#
# Server-sent events are a member of the ASGI response. The WSGI response takes the attribute like
# any other, and sends nothing of it.
#
# Seen with falcon 4.4.0 on Python 3.11.7:
#   WSGI: 200 OK, 0 bytes
#   ASGI: 200 OK, 13 bytes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falcon==4.4.0
cat >"$folder/seen.py" <<'PYTHON'
import falcon
import falcon.asgi
import falcon.testing


class Sync:
    def on_get(self, req, resp):
        resp.sse = iter([falcon.asgi.SSEvent(text="hello")])


async def events():
    yield falcon.asgi.SSEvent(text="hello")


class Async:
    async def on_get(self, req, resp):
        resp.sse = events()


def answer(app, resource):
    app.add_route("/", resource)
    return falcon.testing.TestClient(app).simulate_get("/")


sync, asynchronous = answer(falcon.App(), Sync()), answer(falcon.asgi.App(), Async())
print(f"WSGI: {sync.status}, {len(sync.content)} bytes")
print(f"ASGI: {asynchronous.status}, {len(asynchronous.content)} bytes")
assert (sync.status, sync.content) == ("200 OK", b"")
assert b"data: hello" in asynchronous.content
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
