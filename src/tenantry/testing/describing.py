"""What an application says of its routes in OpenAPI, and bodies made up after it."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

METHODS: Final = ("get", "post", "put", "patch", "delete")
TENANT_WORDS: Final = re.compile(r"tenant|organi[sz]ation|^org(_|$)|company|workspace|account", re.IGNORECASE)
PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_WORD: Final = re.compile(r"\w+")
_DEEP: Final = 6
_FORMATS: Final = {
    "date-time": "2026-03-02T08:00:00Z",
    "date": "2026-03-02",
    "time": "08:00:00",
    "duration": "PT1H",
}

# Gives the value of a property that refers to something that is there, or None.
Refers = Callable[[str], Any]


@dataclass(frozen=True, eq=False)
class Operation:
    """One method of one path."""

    method: str
    path: str
    query: Mapping[str, Any]
    required: frozenset[str]
    body: Mapping[str, Any] | None
    example: Any
    components: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return PARAMETER.findall(self.path)

    @property
    def properties(self) -> Mapping[str, Any]:
        """The names of its body's values."""
        found: Mapping[str, Any] = _resolved(self.body, self.components).get("properties", {})
        return found

    @property
    def references(self) -> list[str]:
        """The names in its query and its body that refer to a row."""
        named = {**self.query, **self.properties}
        return [name for name, each in named.items() if _refers(_resolved(each, self.components), name)]

    def asked(self, mark: str, refers: Refers) -> dict[str, Any]:
        """Returns what its query needs."""
        making = _Making(self.components, mark, refers, whole=False)
        known = {name: refers(name) for name in sorted(self.required)}
        return {name: _made(self.query[name], name, making) if each is None else each for name, each in known.items()}

    def bodies(self, mark: str, refers: Refers) -> Iterator[Any]:
        """Yields bodies to try: with every property, with those required alone, and the example; None without one."""
        if self.body is None:
            yield None
            return
        for whole in (True, False):
            yield _made(self.body, "", _Making(self.components, mark, refers, whole))
        if self.example is not None:
            yield _marked(self.example, mark, refers)


def operations(description: Mapping[str, Any]) -> list[Operation]:
    """Returns every operation that a description names."""
    components = description.get("components", {}).get("schemas", {})
    return [
        _operation(method, path, item, components)
        for path, item in description.get("paths", {}).items()
        for method in METHODS
        if method in item
    ]


def _operation(method: str, path: str, item: Mapping[str, Any], components: Mapping[str, Any]) -> Operation:
    told = item[method]
    asked = [each for each in (*item.get("parameters", ()), *told.get("parameters", ())) if each.get("in") == "query"]
    content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = [each.get("value") for each in content.get("examples", {}).values()]
    shown = content.get("example") or _example(_resolved(content.get("schema"), components))
    return Operation(
        method.upper(),
        path,
        {each["name"]: _resolved(each.get("schema", {}), components) for each in asked},
        frozenset(each["name"] for each in asked if each.get("required")),
        content.get("schema"),
        next(iter(examples), shown),
        components,
    )


@dataclass(frozen=True, slots=True)
class _Making:
    components: Mapping[str, Any]
    mark: str
    refers: Refers
    whole: bool
    depth: int = 0

    def inner(self) -> _Making:
        return _Making(self.components, self.mark, self.refers, self.whole, self.depth + 1)


def _resolved(schema: Any, components: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema without references, alternatives and parts: of alternatives the first that is not null."""
    found = dict(schema or {})
    for _ in range(_DEEP):
        if "$ref" in found:
            found = dict(components.get(found["$ref"].rpartition("/")[2], {}))
        elif ways := [each for each in found.get("anyOf") or found.get("oneOf") or () if each.get("type") != "null"]:
            found = {**{name: value for name, value in found.items() if name not in ("anyOf", "oneOf")}, **ways[0]}
        elif "allOf" in found:
            parts = [_resolved(each, components) for each in found.pop("allOf")]
            found = {**{key: value for part in parts for key, value in part.items()}, **found}
        else:
            break
    return found


def _made(schema: Any, name: str, making: _Making) -> Any:
    found = _resolved(schema, making.components)
    if "const" in found:
        return found["const"]
    if "enum" in found:
        return found["enum"][0]
    kind = found.get("type", "object" if "properties" in found else "string")
    kind = next((each for each in kind if each != "null"), "string") if isinstance(kind, list) else kind
    makes: dict[str, Callable[[], Any]] = {
        "object": lambda: _object(found, making),
        "array": lambda: [_made(found.get("items"), name, making.inner())] if found.get("minItems") else [],
        "integer": lambda: _number(found, name, making, 1),
        "number": lambda: _number(found, name, making, 1),
        "boolean": lambda: True,
    }
    return makes.get(kind, lambda: _text(found, name, making))()


def _object(schema: Mapping[str, Any], making: _Making) -> dict[str, Any]:
    if making.depth > _DEEP:
        return {}
    needed, made = schema.get("required", ()), {}
    shown = _example(schema) or {}
    for name, each in schema.get("properties", {}).items():
        # Whose it is goes without saying; the suite says it where it is not to be heard.
        if name in needed or (making.whole and not TENANT_WORDS.search(name)):
            made[name] = _made({"example": shown.get(name), **each}, name, making.inner())
    return {name: value for name, value in made.items() if value is not None or name in needed}


def _number(schema: Mapping[str, Any], name: str, making: _Making, least: int) -> Any:
    if name.endswith("_id"):
        return making.refers(name)
    return max(schema.get("minimum", least), schema.get("exclusiveMinimum", least - 1) + 1)


def _refers(schema: Mapping[str, Any], name: str) -> bool:
    return schema.get("format") == "uuid" and not TENANT_WORDS.search(name)


def shorter(name: str) -> list[str]:
    """Returns the names by which what a reference leads to may be known: ``source_document_id``, ``document_id``."""
    words = name.split("_")
    return ["_".join(words[start:]) for start in range(max(1, len(words) - 1))]


def _text(schema: Mapping[str, Any], name: str, making: _Making) -> Any:
    form = schema.get("format", "")
    if form == "uuid":
        return next((found for each in shorter(name) if (found := making.refers(each)) is not None), None)
    # A key that has a form of its own leads to nothing here.
    if (name.endswith("_id") and "pattern" not in schema) or TENANT_WORDS.search(name):
        return making.refers(name)
    made = {"email": f"{making.mark}@example.org", "uri": f"https://{making.mark}.example.org/", **_FORMATS}
    text = str(made.get(form, making.mark))
    text = text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")
    return _fitting(schema, text, making.mark)


def _fitting(schema: Mapping[str, Any], text: str, mark: str) -> str:
    """Returns a text of the form that a schema wants: this one, or its example with the mark in it, or as it is."""
    shown = str(_example(schema) or "")
    texts = [text, _WORD.sub(mark, shown, count=1), shown]
    return next((each for each in texts if re.search(schema.get("pattern", ""), each)), text)


def _example(schema: Mapping[str, Any]) -> Any:
    return next(iter(schema.get("examples") or ()), schema.get("example"))


def _marked(example: Any, mark: str, refers: Refers) -> Any:
    """Returns an example with the mark in its free texts, and references to what is there."""
    if not isinstance(example, Mapping):
        return example
    marked: dict[str, Any] = {}
    for name, value in example.items():
        free = isinstance(value, str) and " " in value
        known = refers(name) if name.endswith("_id") else None
        marked[name] = f"{value} {mark}" if free else value if known is None else known
    return marked


def missing_like(value: str) -> str:
    """Returns a key of the same kind that nobody has."""
    if value.isdigit():
        return str(2**31 - 7)
    try:
        uuid.UUID(value)
    except ValueError:
        return "".join(secrets.choice("abcdef") if each.isalnum() else each for each in value)
    return str(uuid.uuid4())
