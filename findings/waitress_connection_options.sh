#!/usr/bin/env bash
# waitress: `Connection: TE, close` leaves the connection open.
#
# The header is a list of options (RFC 9110, 7.6.1), of which `close` may be any. waitress compares
# the whole of it with `close`, so a client that also has trailers to announce, and waits for the
# end of the connection as it has asked for it, waits until the server's time for idle ones is over.
#
# Seen with waitress 3.0.2 on Python 3.11.7:
#   Connection: close -> closed
#   Connection: TE, close -> open, and a second request is answered on it
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check waitress==3.0.2
cat >"$folder/seen.py" <<'PYTHON'
import http.client
import threading

from waitress import create_server


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


server = create_server(application, host="127.0.0.1", port=0)
threading.Thread(target=server.run, daemon=True).start()


def is_open_after(options):
    """Return whether the same connection answers another request."""
    client = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=5)
    client.connect()
    client.auto_open = False
    client.request("GET", "/", headers={"Connection": options, "TE": "trailers"})
    client.getresponse().read()
    try:
        client.request("GET", "/")
        return client.getresponse().status == 200
    except (http.client.HTTPException, OSError):
        return False


seen = {options: is_open_after(options) for options in ("close", "TE, close")}
for options, is_open in seen.items():
    outcome = "open, and a second request is answered on it" if is_open else "closed"
    print(f"Connection: {options} -> {outcome}")
assert seen == {"close": False, "TE, close": True}
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
