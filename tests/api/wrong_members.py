"""Members of a publish that cannot be, each with what is said about it."""

from typing import Any

from task_queue.config.names import NAME_RULE

NO_TIME = (
    "must be a time up to the year 9999, as 2026-11-22T10:00:00Z"
    " (RFC 3339, with Z or an offset) or in Unix seconds"
)
KNOWN = (
    "action, data, queue, priority, delay_seconds, run_at, expires_at, max_attempts, backoff,"
    " unique_key, key, keep_result_seconds, timeout_seconds, callback"
)

_PRIORITY = "priority must be a whole number from -100 to 100"
_DELAY = "delay_seconds must be a number from 0 to 315360000"
_ATTEMPTS = "max_attempts must be a whole number from 1 to 1000"
_KEEP = "keep_result_seconds must be a whole number from 0 to 3155760000"
_TIMEOUT = "timeout_seconds must be a number above 0 and up to 2592000"
_CALLBACK = "callback must be an address that begins with http:// or https://"
_BASE = "backoff.base must be a number above 0 and up to 86400"
_TEN_KB = "k" * 10_240

WRONG_MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"action": 5}, "action must be a string, not 5"),
    ({"action": True}, "action must be a string, not true"),
    ({"action": ["x"]}, 'action must be a string, not ["x"]'),
    ({"action": {"a": 1}}, 'action must be a string, not {"a":1}'),
    ({"action": "x" * 300}, f'action {NAME_RULE}, not "{"x" * 59}…'),
    ({"action": " "}, f'action {NAME_RULE}, not " "'),
    ({"action": "sum "}, f'action {NAME_RULE}, not "sum "'),
    ({"action": "\tsum"}, f'action {NAME_RULE}, not "\\tsum"'),
    ({"action": "sum\n"}, f'action {NAME_RULE}, not "sum\\n"'),
    ({"action": "two words"}, f'action {NAME_RULE}, not "two words"'),
    ({"action": "no\u200bspace"}, f'action {NAME_RULE}, not "no\\u200bspace"'),
    ({"action": "a/b"}, f'action {NAME_RULE}, not "a/b"'),
    ({"action": ".."}, f'action {NAME_RULE}, not ".."'),
    ({"data": []}, "data must be a JSON object, not []"),
    ({"data": "{}"}, 'data must be a JSON object, not "{}"'),
    ({"data": 0}, "data must be a JSON object, not 0"),
    ({"data": False}, "data must be a JSON object, not false"),
    ({"data": "y" * 90}, f'data must be a JSON object, not "{"y" * 59}…'),
    ({"queue": 5}, "queue must be a string, not 5"),
    ({"queue": ""}, "queue must not be empty"),
    ({"queue": "q" * 201}, "queue must have at most 200 characters, not 201"),
    ({"priority": 101}, f"{_PRIORITY}, not 101"),
    ({"priority": -101}, f"{_PRIORITY}, not -101"),
    ({"priority": 1.5}, f"{_PRIORITY}, not 1.5"),
    ({"priority": 1.0}, f"{_PRIORITY}, not 1.0"),
    ({"priority": "high"}, f'{_PRIORITY}, not "high"'),
    ({"priority": "1"}, f'{_PRIORITY}, not "1"'),
    ({"priority": True}, f"{_PRIORITY}, not true"),
    ({"delay_seconds": -1}, f"{_DELAY}, not -1"),
    ({"delay_seconds": 1e9}, f"{_DELAY}, not 1000000000.0"),
    ({"delay_seconds": "5"}, f'{_DELAY}, not "5"'),
    ({"delay_seconds": True}, f"{_DELAY}, not true"),
    ({"run_at": "tomorrow"}, f'run_at {NO_TIME}, not "tomorrow"'),
    ({"run_at": "2026-11-22"}, f'run_at {NO_TIME}, not "2026-11-22"'),
    ({"run_at": "2026-11-22T10:00:00"}, f'run_at {NO_TIME}, not "2026-11-22T10:00:00"'),
    ({"run_at": "100000-01-01T00:00:00Z"}, f'run_at {NO_TIME}, not "100000-01-01T00:00:00Z"'),
    ({"run_at": 3_093_527_980_800}, f"run_at {NO_TIME}, not 3093527980800"),
    ({"run_at": True}, f"run_at {NO_TIME}, not true"),
    (
        {"delay_seconds": 5, "run_at": 5},
        "run_at cannot be given together with delay_seconds; leave out one of them",
    ),
    ({"expires_at": "never"}, f'expires_at {NO_TIME}, not "never"'),
    ({"expires_at": []}, f"expires_at {NO_TIME}, not []"),
    ({"max_attempts": 0}, f"{_ATTEMPTS}, not 0"),
    ({"max_attempts": 1_000_000_000}, f"{_ATTEMPTS}, not 1000000000"),
    ({"max_attempts": 2.5}, f"{_ATTEMPTS}, not 2.5"),
    ({"backoff": 5}, "backoff must be a JSON object, not 5"),
    ({"backoff": {"base": 0}}, f"{_BASE}, not 0"),
    ({"backoff": {"base": 86_401}}, f"{_BASE}, not 86401"),
    ({"backoff": {"factor": 0.5}}, "backoff.factor must be a number from 1 to 100, not 0.5"),
    (
        {"backoff": {"cap": "1h"}},
        'backoff.cap must be a number above 0 and up to 2592000, not "1h"',
    ),
    (
        {"backoff": {"base": 10, "cap": 5.5}},
        "backoff.cap must be at least base, which is 10, not 5.5",
    ),
    ({"backoff": {"jitter": 1}}, "backoff.jitter is not known; known: base, factor, cap"),
    ({"unique_key": _TEN_KB}, "unique_key must have at most 200 characters, not 10240"),
    ({"unique_key": ""}, "unique_key must not be empty"),
    ({"unique_key": 5}, "unique_key must be a string, not 5"),
    ({"key": _TEN_KB}, "key must have at most 200 characters, not 10240"),
    ({"key": ""}, "key must not be empty"),
    ({"timeout_seconds": 0}, f"{_TIMEOUT}, not 0"),
    ({"timeout_seconds": 2_592_001}, f"{_TIMEOUT}, not 2592001"),
    ({"timeout_seconds": "5"}, f'{_TIMEOUT}, not "5"'),
    ({"callback": 5}, "callback must be a string, not 5"),
    ({"callback": "ftp://x"}, f'{_CALLBACK}, not "ftp://x"'),
    ({"callback": "example.com"}, f'{_CALLBACK}, not "example.com"'),
    ({"callback": "http://"}, f'{_CALLBACK}, not "http://"'),
    ({"callback": "http://a b/"}, f'{_CALLBACK}, not "http://a b/"'),
    ({"callback": "http://user:pw@example.com"}, "callback must not hold a user or a password"),
    (
        {"callback": f"http://example.com/{'x' * 2_048}"},
        "callback must have at most 2048 characters, not 2067",
    ),
    ({"keep_result_seconds": -1}, f"{_KEEP}, not -1"),
    ({"keep_result_seconds": 1e12}, f"{_KEEP}, not 1000000000000.0"),
    ({"prio": 1}, f"prio is not known; known: {KNOWN}"),
    ({"id": "1"}, f"id is not known; known: {KNOWN}"),
    ({"{value}": 1}, f"{{value}} is not known; known: {KNOWN}"),
]
"""What is wrong, added to a good task; and the sentence."""
