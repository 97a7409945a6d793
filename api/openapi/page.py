"""The description as a page of HTML: complete in itself, without scripts."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from task_queue.api.contract import headers
from task_queue.api.openapi.style import STYLE
from task_queue.api.responses.problems import PROBLEMS

_CODE = re.compile(r"`([^`]*)`")


def page(document: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        document: The description, as `contract.description.describe` returns it.
    """
    environment = Environment(
        loader=PackageLoader("task_queue.api.openapi", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": _prose, "shown": _shown, "kind": _kind}
    template = environment.get_template("docs.html")
    return template.render(
        document=document,
        style=Markup(STYLE),  # noqa: S704 - a file of this package
        groups=_groups(document),
        problems=PROBLEMS.values(),
        everywhere=[each.name for each in headers.OF_ALL],
    )


def _groups(document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
    """Return each tag with its operations."""
    found = [*_operations(document)]
    return [
        (tag, [each for each in found if each["tags"] == [tag["name"]]]) for tag in document["tags"]
    ]


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = {
                status: _resolved(document, response)
                for status, response in operation["responses"].items()
            }
            yield {
                **operation,
                "method": method.upper(),
                "path": path,
                "curl": _curl(document["servers"][0]["url"], method.upper(), path, operation),
                "scopes": [word for each in operation["security"] for word in each.get("key", [])],
                "answers": {
                    status: answer
                    for status, answer in answers.items()
                    if "application/problem+json" not in answer.get("content", {})
                    or len(answer["content"]) > 1
                },
                "problems": [
                    slug
                    for answer in answers.values()
                    for slug in answer.get("content", {})
                    .get("application/problem+json", {})
                    .get("examples", ())
                ],
            }


def _resolved(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part, or what its reference leads to."""
    if "$ref" not in part:
        return part
    found: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    resolved: Mapping[str, Any] = found
    return resolved


def _curl(base: str, method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Return a line that sends the example; `$Q` is where the service is."""
    query = {}
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
        elif parameter["in"] == "query" and "example" in parameter:
            example = parameter["example"]
            query[parameter["name"]] = ",".join(example) if isinstance(example, list) else example
    target = f"$Q{base.rstrip('/')}{path}"
    target = f'"{target}?{urlencode(query, safe=",")}"' if query else target
    body = (
        operation.get("requestBody", {})
        .get("content", {})
        .get("application/json", {})
        .get("example")
    )
    words = ["curl"]
    if body is not None:
        words += ["--json", shlex.quote(json.dumps(body))]
    if method != ("GET" if body is None else "POST"):
        words += ["-X", method]
    return " ".join([*words, target])


def _prose(text: str) -> Markup:
    """Return a text of the description, with its `code` as such."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped


def _shown(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _kind(schema: Mapping[str, Any]) -> Markup:
    """Return in a few words what a schema takes, with links to those that have a name."""
    return Markup(" ").join(_words(schema))


def _words(schema: Mapping[str, Any]) -> Iterator[Markup]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield Markup('<a href="#schema-{0}">{0}</a>').format(name)
        return
    for word in ("anyOf", "allOf", "oneOf"):
        if word in schema:
            between = Markup(" and ") if word == "allOf" else Markup(" or ")
            yield between.join(_kind(each) for each in schema[word])
    if "const" in schema:
        yield Markup("<code>{}</code>").format(_shown(schema["const"]))
    elif "enum" in schema:
        yield Markup(", ").join(Markup("<code>{}</code>").format(_shown(e)) for e in schema["enum"])
    elif isinstance(schema.get("type"), str):
        yield escape(schema["type"])
    if "items" in schema:
        yield Markup("of ") + _kind(schema["items"])
    yield from map(escape, _limits(schema))


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the limits of a schema in words."""
    if "format" in schema:
        yield f"({schema['format']})"
    for key, text in (
        ("minimum", "from {}"),
        ("exclusiveMinimum", "above {}"),
        ("maximum", "up to {}"),
        ("minLength", "of at least {}"),
        (
            "maxLength",
            "and at most {} characters" if "minLength" in schema else "of at most {} characters",
        ),
        ("minItems", "at least {}"),
        ("maxItems", "at most {}"),
        ("default", "(default {})"),
    ):
        if key in schema:
            yield text.format(_shown(schema[key]))
