"""What a service offers besides its operations: its actions with the data they take, its queues."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import InvalidDataError
from task_queue.api.contract.schemas import COMPONENTS, Schema, without_nul

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
"""What the name of a schema may not hold (OpenAPI 3.1, "Components Object")."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An action that tasks have.

    Attributes:
        name: Its name.
        schema: The JSON Schema of its data; None: any object will do.
        takes_nothing: Whether it takes an empty object, or none.
        external: Whether workers over HTTP do it.
        published: Whether a publish may ask for it.
    """

    name: str
    schema: Mapping[str, Any] | None
    takes_nothing: bool
    external: bool = False
    published: bool = True


@dataclass(frozen=True, slots=True)
class Offers:
    """What a publish may ask for.

    Attributes:
        actions: The actions by name.
        any_action: Whether the fallback runs all other names.
        queues: The names of the queues.
    """

    actions: Sequence[Offered]
    any_action: bool
    queues: Sequence[str]

    def add_to(self, schemas: dict[str, Schema]) -> None:
        """Add the actions' own schemas, and bind the bodies that name an action or a queue."""
        found = {}
        for each in self.actions:
            if each.schema is not None:
                name = _component(f"data.{each.name}", schemas)
                schemas.update(_named(name, each.schema))
                found[name] = each
        names = [each.name for each in self.actions if each.published]
        for body, member in (("PublishBody", "action"), ("CloudEvent", "type")):
            bound = [_condition(member, each, name) for name, each in found.items()]
            schemas[body] |= {"allOf": bound} if bound else {}
            self._name(schemas[body], member, names)
        self._name(schemas["RedriveBody"], "action", [each.name for each in self.actions])
        if leased := [each.name for each in self.actions if each.external]:
            one = {"type": "string", "enum": leased}
            schemas["LeaseBody"]["properties"]["actions"]["anyOf"][0]["items"] = one

    def _name(self, body: Schema, member: str, actions: Sequence[str]) -> None:
        """Name what a member of the body can be, and its queue."""
        properties = body["properties"]
        properties["queue"] = _one_of(properties["queue"], self.queues)
        if not self.any_action:
            properties[member] = _one_of(properties[member], actions)


def offers_of(actions: Registry, queues: Sequence[str]) -> Offers:
    """Return what can be asked for of these actions and queues."""
    found = [
        Offered(
            name,
            (actions.described(name) or {})["schema"],
            _takes_nothing(actions, name),
            actions.is_external(name),
            name in actions.published,
        )
        for name in actions.names
    ]
    return Offers(found, any_action=actions.known is None, queues=queues)


def _takes_nothing(actions: Registry, name: str) -> bool:
    try:
        actions.check(name, "{}")
    except InvalidDataError:
        return False
    return True


def _component(name: str, taken: Mapping[str, Schema]) -> str:
    """Return a name for a schema that no other one has."""
    plain = _NOT_IN_NAMES.sub("_", name)
    while plain in taken:
        plain += "_"
    return plain


def _named(name: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Yield the schema and those it defines, each with its name, which references lead to."""
    if "$id" in schema:  # its references are relative to that, and stay right anywhere
        yield name, dict(schema)
        return
    own = {key: each for key, each in schema.items() if key != "$defs"}
    for part, each in {"": own, **schema.get("$defs", {})}.items():
        yield f"{name}.{part}" if part else name, without_nul(_led_to(each, name))


def _led_to(part: Any, name: str) -> Any:  # noqa: ANN401 - a schema, or a part of one
    """Return the part with its references to `$defs` leading to the schemas made of them."""
    match part:
        case {"$ref": str(ref)} if ref.startswith("#"):
            rest = {key: each for key, each in part.items() if key != "$ref"}
            return {"$ref": _moved(ref, name), **_led_to(rest, name)}
        case dict():
            return {key: _led_to(each, name) for key, each in part.items()}
        case list():
            return [_led_to(each, name) for each in part]
    return part


def _moved(ref: str, name: str) -> str:
    if ref.startswith("#/$defs/"):
        return f"{COMPONENTS}{name}.{ref.removeprefix('#/$defs/')}"
    return f"{COMPONENTS}{name}{ref.removeprefix('#')}"


def _condition(member: str, action: Offered, name: str) -> Schema:
    """Return what holds of a body whose member names the action: its data is what that takes."""
    ref = {"$ref": f"{COMPONENTS}{name}"}
    data: Schema = {"properties": {"data": ref}, "required": ["data"]}
    if action.takes_nothing:
        data = {"properties": {"data": {"anyOf": [ref, {"type": "null"}]}}}
    names_it = {"properties": {member: {"const": action.name}}, "required": [member]}
    return {"if": names_it, "then": data}


def _one_of(member: Schema, names: Sequence[str]) -> Schema:
    """Return the schema of a member that is one of these names; null still counts as not given."""
    one: Schema = {"type": "string", "enum": list(names)}
    about = {"description": member["description"]}
    return {"anyOf": [one, {"type": "null"}], **about} if "anyOf" in member else one | about
