"""The scenario reference for people, made from the published schema.

A reference written by hand would miss the key that was added last. This one says what the
schema says: each key with its type, default, meaning and examples, the backends', network
models' and extensions' keys included.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from simcore.scenario.schema import COMMON_NODE, DEFAULT_IMPLEMENTATION

Schema = Mapping[str, Any]

_INTRO = """\
# Scenario reference

A scenario is one YAML file. This page lists every key it may hold; it is generated from the
JSON Schema that scenarios are checked against (`python -m simcore schema --reference`).
Unknown keys are refused, except inside `config`. `python -m simcore validate FILE` reports all
problems of a file at once, each as `file:line:column: key: what is wrong`.

```yaml
simcore: 1
name: meter-reading
seed: 42
duration: 60s
nodes:
  meter: {count: 20, tier: device, model: my_models.py:meter}
  gateway: {tier: edge, service: echo}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: {min: 8ms, exponential: 2ms}, loss: 1%}
expect:
  - delivered / sent >= 0.98
```

## Quantities

Every quantity is written with its unit; a bare number is an error.

| type | units | example |
|---|---|---|
| duration | `ns` `us` `ms` `s` `min` `h` `d`; 0 to 2^53 ns (104 days) | `10ms` `1.5s` |
| size | `B` `kB` `MB` `GB` `KiB` `MiB` `GiB` | `64kB` |
| rate | `bit/s` `kbit/s` `Mbit/s` `Gbit/s` | `250kbit/s` |
| power | `nW` `uW` `mW` `W` `kW`; or `nA` `uA` `mA` `A` at `mV` or `V` | `5.5mW` `12mA at 3V` |
| energy | `aJ` `pJ` `nJ` `uJ` `mJ` `J` `kJ` `mWh` `Wh` `kWh`; or `uAh` `mAh` `Ah` at `mV` or `V` | `2uJ` `2400mAh at 3V` |
| share | `%`, or a number from 0 to 1 | `1%` `0.01` |
| node name | the name of a node, of a group (`meter`: all its members) or of a member (`meter-3`) | `gateway` |

File names are relative to the scenario file.

## Limits and YAML

A file is UTF-8 and at most 1 MiB, nested at most 50 levels deep, and holds at most 200,000
values and 200,000 nodes. Keys are text and stand once. Anchors, aliases and merge keys (`<<`)
work; tags such as `!!python/object` are refused, and dates stay text. Numbers are finite and do
not start with a zero.

Options change a scenario without changing the file: `--set nodes.meter.count=50` replaces or
adds a key in a mapping that exists (lists take an index: `--set network.links.0.delay=5ms`),
`--seed 7` the seed, `--until 10s` the duration.
"""  # noqa: E501

_FORMATS = {
    "duration": "duration",
    "size": "size",
    "rate": "rate",
    "power": "power",
    "energy": "energy",
    "ratio": "share",
    "expectation": "expectation",
    "node": "node name",
}
_NAMES = {
    "string": "text",
    "object": "mapping",
    "boolean": "true or false",
    "null": "nothing",
    "array": "list",
}


def schema_text(schema: Schema) -> str:
    """The schema as it is published in `schemas/scenario.schema.json`."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def reference(schema: Schema) -> str:
    """The Markdown reference of a published schema."""
    return "\n".join(_Reference(schema).lines()).rstrip() + "\n"


class _Reference:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._described: dict[str, str] = {}  # where a mapping's keys are told already

    def lines(self) -> Iterator[str]:
        properties: Mapping[str, Schema] = self._schema["properties"]
        sections = {key for key, value in properties.items() if not _is_simple(value)}
        yield _INTRO
        yield "## Top level\n"
        yield from _table(properties, self._schema["required"], linked=sections)
        for key, value in properties.items():
            if key == "nodes":
                yield from self._nodes(value)
            elif key == "network":
                yield from self._network(value)
            elif key in sections:
                yield from self._extension(key, value)

    def _nodes(self, schema: Schema) -> Iterator[str]:
        shared: Schema = schema["additionalProperties"]
        common = {**shared["properties"], **COMMON_NODE}
        yield from _title("##", "nodes", schema)
        yield from _table(common, ())
        for name in shared["properties"]["implementation"]["enum"]:
            part = self._schema["$defs"][f"node_{name}"]
            note = " (default)" if name == DEFAULT_IMPLEMENTATION else ""
            yield from self._choice(f"implementation: {name}", note, part, common, "nodes.NAME")

    def _network(self, schema: Schema) -> Iterator[str]:
        yield from _title("##", "network", schema)
        yield from _table(schema["properties"], schema["required"])
        for name in schema["properties"]["model"]["enum"]:
            part = self._schema["$defs"][f"network_{name}"]
            yield from self._choice(f"model: {name}", "", part, schema["properties"], "network")

    def _choice(
        self, title: str, note: str, schema: Schema, common: Schema, path: str
    ) -> Iterator[str]:
        """The keys that come with one implementation or network model."""
        yield from _title("###", title, schema, note)
        own = {key: value for key, value in schema["properties"].items() if key not in common}
        if not own:
            yield "No keys of its own.\n"
            return
        yield from _table(own, schema.get("required", ()))
        for key, value in own.items():
            yield from self._mappings(value, f"{path}.{key}")

    def _extension(self, key: str, schema: Schema) -> Iterator[str]:
        yield from _title("##", key, schema)
        yield f"Type: {_type(schema)}.\n"
        items = schema.get("items", {})
        if "description" in items:
            yield f"{items['description']}\n"
        yield from _examples(schema, key)
        yield from self._mappings(schema, key)

    def _mappings(self, schema: Schema, path: str) -> Iterator[str]:
        """A table for each mapping that a value is, holds, or may be."""
        if schema.get("properties"):
            yield from self._mapping(schema, path)
        elif isinstance(schema.get("items"), Mapping):
            yield from self._mappings(schema["items"], f"{path}[]")
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield from self._mappings(schema["additionalProperties"], f"{path}.NAME")
        if not schema.get("properties"):
            for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
                yield from self._mappings(option, path)

    def _mapping(self, schema: Schema, path: str) -> Iterator[str]:
        yield f"#### `{path}`\n"
        told = self._described.setdefault(json.dumps(schema["properties"]), path)
        if told != path:
            yield f"As a mapping, it takes the keys of [`{told}`](#{_anchor(told)}).\n"
            return
        options = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        needs = [option["required"] for option in options if "required" in option]
        if needs:
            listed = "; ".join(" and ".join(f"`{key}`" for key in keys) for keys in needs)
            yield f"Takes one of: {listed}.\n"
        yield from _table(schema["properties"], schema.get("required", ()))
        for key, value in schema["properties"].items():
            yield from self._mappings(value, f"{path}.{key}")


def _is_simple(schema: Schema) -> bool:
    return schema.get("type") not in ("object", "array") and "anyOf" not in schema


def _anchor(title: str) -> str:
    """The link target that Markdown renderers make of a heading."""
    return "".join(char for char in title.lower() if char.isalnum() or char in "-_")


def _title(level: str, title: str, schema: Schema, note: str = "") -> Iterator[str]:
    yield f"{level} `{title}`{note}\n"
    if "description" in schema:
        yield f"{schema['description']}\n"


def _table(
    properties: Mapping[str, Schema], required: Any, *, linked: Collection[str] = ()
) -> list[str]:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in properties.items():
        shown = f"[`{key}`](#{key})" if key in linked else f"`{key}`"
        default = "required" if key in required else _default(value)
        lines.append(f"| {shown} | {_cell(_type(value))} | {default} | {_cell(_meaning(value))} |")
    return [*lines, ""]


def _default(schema: Schema) -> str:
    return f"`{_yaml(schema['default'])}`" if "default" in schema else "-"


def _meaning(schema: Schema) -> str:
    text = str(schema.get("description", ""))
    examples = [f"`{_yaml(example)}`" for example in schema.get("examples", ())]
    if examples:
        text += f" For example {' or '.join(examples)}."
    return text.strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(schema: Schema) -> str:
    if "const" in schema:
        return f"`{_yaml(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{_yaml(item)}`" for item in schema["enum"])
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if "type" not in schema and ("anyOf" in schema or "oneOf" in schema):
        options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    types = schema.get("type", "anything")
    names = [types] if isinstance(types, str) else list(types)
    return " or ".join(_named(name, schema) for name in names)


def _named(name: str, schema: Schema) -> str:
    if name in ("integer", "number"):
        return name + _range(schema)
    items = schema.get("items")
    if name == "array" and isinstance(items, Mapping):
        exactly = (
            schema.get("minItems") if schema.get("minItems") == schema.get("maxItems") else None
        )
        return f"list of {f'{exactly} ' if exactly else ''}{_type(items)}s"
    return _NAMES.get(name, name)


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    if high is None or high > 2**53:
        return f", at least {low}"
    return f", {low} to {high}" if low is not None else f", at most {high}"


def _examples(schema: Schema, path: str) -> list[str]:
    lines = []
    for example in schema.get("examples", ()):
        body = [f"{path}:"]
        if isinstance(example, list):
            body += [f"  - {_yaml(item)}" for item in example]
        else:
            body = [f"{path}: {_yaml(example)}"]
        lines.append("\n".join(["```yaml", *body, "```", ""]))
    return lines


def _yaml(value: Any) -> str:
    """A value in YAML's flow style, as one would write it by hand."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value)
