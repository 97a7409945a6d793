"""Bodies that come packed."""

import gzip
import json
import tracemalloc

import pytest

from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.unpacking import unpacked
from tests.api.answers import problem
from tests.harness import ServerProcess

MIB = 1_048_576
BODY = json.dumps({"action": "uppercase", "data": {"text": "ü" * 100}}).encode()
PACKED = gzip.compress(BODY, mtime=0)
DAMAGED = "the body is not gzip, as Content-Encoding says: "


@pytest.mark.system
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PACKED),
        ("GZip", PACKED),
        ("x-gzip", PACKED),
        ("identity", BODY),
        ("", BODY),
    ],
    ids=["gzip", "capitals", "x-gzip", "identity", "empty"],
)
def test_a_body_is_unpacked(server: ServerProcess, coding: str, body: bytes) -> None:
    answer = server.client.post("/tasks", content=body, headers={"Content-Encoding": coding})
    assert answer.status_code == 202, answer.text
    done = server.wait_for_status(answer.json()["id"], "completed")
    assert done["result"] == {"output": "Ü" * 100}


@pytest.mark.system
def test_a_packed_body_in_chunks_is_unpacked(server: ServerProcess) -> None:
    pieces = (bytes([byte]) for byte in PACKED)
    answer = server.client.post("/tasks", content=pieces, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 202, answer.text


@pytest.mark.system
@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "compress", "gzip, gzip", "utf-8"])
def test_another_coding_is_refused_with_what_is_taken(server: ServerProcess, coding: str) -> None:
    for content in (BODY, PACKED):
        headers = {"Content-Encoding": coding}
        answer = server.client.post("/tasks", content=content, headers=headers)
        detail = problem(answer, 415, "unsupported media type")
        assert detail == f"Content-Encoding must be gzip or identity, not {coding}"
        assert answer.headers["Accept-Encoding"] == "gzip"


@pytest.mark.system
def test_a_body_that_is_too_long_unpacked_is_refused(server: ServerProcess) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = server.client.post("/tasks", content=gzip.compress(b" " * (MIB + 1)), headers=headers)
    problem(answer, 413, f"the body must have at most {MIB} bytes, unpacked too")
    task = BODY + b" " * (MIB - len(BODY))
    assert server.client.post("/tasks", content=gzip.compress(task), headers=headers).is_success


@pytest.mark.system
def test_a_request_without_a_body_has_nothing_to_unpack(server: ServerProcess) -> None:
    headers = {"Content-Encoding": "br"}
    assert server.client.get("/healthz", headers=headers).status_code == 200
    assert server.client.post("/queues/tasks/resume", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (BODY, "incorrect header check"),
        (PACKED[:-9], "it is broken off"),
        (PACKED[:5], "it is broken off"),
        (PACKED[:-5] + b"wrong", "incorrect data check"),
        (PACKED + b"more", "4 bytes follow its end"),
        (gzip.compress(b"", mtime=0) * 2, "20 bytes follow its end"),
    ],
    ids=["plain", "cut", "cut in its header", "changed", "more", "two"],
)
def test_a_damaged_body_is_refused_with_what_is_wrong(packed: bytes, why: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        unpacked(packed, MIB)
    assert refused.value.detail == DAMAGED + why


def test_a_bomb_costs_no_more_memory_than_a_body_may_have() -> None:
    bomb = gzip.compress(bytes(200 * MIB))
    tracemalloc.start()
    with pytest.raises(InvalidRequestError):
        unpacked(bomb, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB
