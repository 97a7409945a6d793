#!/usr/bin/env bash
# openapi-python-client: an answer that may have one of two forms becomes the one that is named first,
# though that form allows no further members and the answer has one.
#
# With `additionalProperties: false` an object with a member more is none of the schema. The generated
# class drops what it does not know, and of `anyOf` the first class that can be made is returned: so
# the longer form is never seen, unless it is named before the shorter one.
#
# Seen with openapi-python-client 0.29.1 on Python 3.11.7:
#   [Short, Long]: Short
#   [Long, Short]: Long
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openapi-python-client==0.29.1
cat >"$folder/seen.py" <<'PYTHON'
import json
import subprocess
import sys
from pathlib import Path

import httpx

folder = Path(sys.argv[1])
tool = Path(sys.executable).with_name("openapi-python-client")


def form(*members):
    properties = {name: {"type": "string"} for name in members}
    return {
        "type": "object",
        "properties": properties,
        "required": list(members),
        "additionalProperties": False,
    }


def document(names):
    forms = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    content = {"application/json": {"schema": {"anyOf": forms}}}
    answers = {"200": {"description": "A thing.", "content": content}}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{names[0]} first", "version": "1"},
        "paths": {"/thing": {"get": {"operationId": "get_thing", "responses": answers}}},
        "components": {"schemas": {"Short": form("id"), "Long": form("id", "result")}},
    }


def seen(names):
    package = f"{names[0].lower()}_first"
    described = folder / f"{package}.json"
    described.write_text(json.dumps(document(names)))
    generate = [tool, "generate", "--path", described, "--output-path", folder / package]
    subprocess.run([*generate, "--meta", "none"], check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    module = __import__(f"{package}.api.default.get_thing", fromlist=["sync"])
    client = __import__(package, fromlist=["Client"]).Client(base_url="http://example.test")
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": "1", "result": "2"}))
    client.set_httpx_client(httpx.Client(base_url="http://example.test", transport=answer))
    return type(module.sync(client=client)).__name__


for names in (["Short", "Long"], ["Long", "Short"]):
    found = seen(names)
    print(f"[{', '.join(names)}]: {found}")
    assert found == names[0]
PYTHON
"$folder/venv/bin/python" "$folder/seen.py" "$folder"
