"""Schema errors in plain words: which value is wrong, and what was expected of it.

`jsonschema` describes its own keywords ("is not valid under any of the given schemas"). A
person wants to know what to write. Each error becomes one or more findings that name the
smallest wrong thing; of alternatives, only the one that was evidently meant is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema.exceptions import ValidationError

from simcore.plugins import Path as KeyPath
from simcore.scenario.formats import DESCRIBED, UnknownNode, is_number, refusal
from simcore.scenario.problems import did_you_mean, shorten

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_PARTS = {"Items": "items", "Length": "characters", "Properties": "keys"}
_AT_KEY = "propertyNames"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a schema does not allow.

    Args:
        path: where it is; also what has to go for the rest to be usable.
        message: what is wrong.
        at_key: the key is wrong rather than its value.
        word: the word that is unknown, if one is.
        candidates: what could have been meant by it.
        suggestion: what was meant, where that is already known.
        missing: keys that are absent; of several, one may do.
        present: keys beside an unknown one; an option may have meant to replace one of them.
    """

    path: KeyPath
    message: str
    at_key: bool = False
    word: str | None = None
    candidates: tuple[str, ...] = ()
    suggestion: str | None = None
    missing: tuple[str, ...] = ()
    present: tuple[str, ...] = ()


def findings(errors: Iterable[ValidationError]) -> list[Finding]:
    """All errors in plain words, without those that only follow from another."""
    found = list(dict.fromkeys(item for error in errors for item in _explain(error)))
    return [item for item in found if not item.missing or not _misspelt(item, found)]


def _misspelt(missing: Finding, found: Sequence[Finding]) -> bool:
    """Whether a missing key is there, spelt wrongly, and reported as unknown."""
    return any(
        item.word is not None
        and item.at_key
        and item.path[:-1] == missing.path
        and did_you_mean(item.word, missing.missing) is not None
        for item in found
    )


def show(value: Any) -> str:
    """A value as a message names it: scalars as written, containers by their kind."""
    if isinstance(value, (Mapping, list)) or value is None:
        return kind(value)
    if isinstance(value, bool):
        return str(value).lower()
    return shorten(repr(value), 60)


def kind(value: Any) -> str:
    """What sort of value it is: a mapping, a list, text, a number, true or false, nothing."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return "text" if isinstance(value, str) else "a number"


def _explain(error: ValidationError) -> Iterator[Finding]:
    path: KeyPath = tuple(error.absolute_path)
    keyword = error.validator
    rule: Any = error.validator_value
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    value: Any = error.instance
    schema_path = list(error.absolute_schema_path)
    if _AT_KEY in schema_path[:-1] and isinstance(value, str):
        message = schema.get("errorMessage", f"the key {show(value)} is not allowed")
        yield Finding((*path, value), message, at_key=True)
    elif keyword == "type":
        yield Finding(path, schema.get("errorMessage") or _wrong_type(value, [schema]))
    elif keyword == "required":
        for key in rule:
            if key not in value:
                yield Finding(path, f"missing key {key!r}", missing=(key,))
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        yield from _unknown_keys(path, value, schema)
    elif keyword in ("enum", "const"):
        yield _not_listed(path, value, rule if keyword == "enum" else [rule])
    elif keyword == "format":
        cause = error.cause
        hint = cause.suggestion if isinstance(cause, UnknownNode) else None
        yield Finding(path, str(cause or error.message), suggestion=hint)
    elif keyword in ("anyOf", "oneOf"):
        yield from _alternatives(error, path, schema)
    else:
        message = schema.get("errorMessage") or _limit(keyword, rule, value, schema)
        yield Finding(path, message or shorten(error.message))


def _wrong_type(value: Any, schemas: Sequence[Mapping[str, Any]]) -> str:
    expected: list[str] = []
    container = False
    for schema in schemas:
        types = schema.get("type", [])
        for name in [types] if isinstance(types, str) else types:
            form = str(schema.get("format"))
            refused = refusal(form, value) if is_number(value) else None
            if refused is not None:
                return refused
            word = DESCRIBED.get(form) if name == "string" else None
            expected.append(word or _TYPES[name])
            container = container or name in ("object", "array")
    wanted = " or ".join(dict.fromkeys(expected))
    if container:
        return f"expected {wanted}, got {kind(value)}"
    return f"must be {wanted}, got {show(value)}"


def _unknown_keys(path: KeyPath, value: Any, schema: Mapping[str, Any]) -> Iterator[Finding]:
    known = schema.get("properties", {})
    free = tuple(key for key in known if key not in value)
    present = tuple(key for key in known if key in value)
    for key in value:
        if key not in known:
            yield Finding(
                (*path, key), "unknown key",
                at_key=True, word=key, candidates=free, present=present,
            )  # fmt: skip


def _not_listed(path: KeyPath, value: Any, allowed: Sequence[Any]) -> Finding:
    listed = ", ".join(str(item) if isinstance(item, str) else show(item) for item in allowed)
    wanted = listed if len(allowed) == 1 else f"one of {listed}"
    words = tuple(item for item in allowed if isinstance(item, str))
    word = value if isinstance(value, str) else None
    return Finding(path, f"must be {wanted}, got {show(value)}", word=word, candidates=words)


def _limit(keyword: object, rule: Any, value: Any, schema: Mapping[str, Any]) -> str | None:
    if keyword == "minimum":
        return f"must be at least {rule}, got {show(value)}"
    if keyword == "maximum":
        return f"must be at most {rule}, got {show(value)}"
    if keyword == "exclusiveMinimum":
        return f"must be greater than {rule}, got {show(value)}"
    if keyword == "exclusiveMaximum":
        return f"must be less than {rule}, got {show(value)}"
    if keyword in ("minItems", "minLength", "minProperties") and not value:
        return "must not be empty"
    if str(keyword)[:3] in ("min", "max"):
        what = str(keyword)[3:]
        exact = schema.get(f"min{what}") == schema.get(f"max{what}")
        bound = "exactly" if exact else {"min": "at least", "max": "at most"}[str(keyword)[:3]]
        return f"must have {bound} {rule} {_PARTS.get(what, 'parts')}, has {len(value)}"
    if keyword == "uniqueItems":
        return "holds the same thing twice"
    if keyword == "pattern":
        return f"{show(value)} does not match {rule}"
    if keyword == "dependentRequired":
        lacking = [
            (key, other)
            for key, others in rule.items()
            for other in others
            if key in value and other not in value
        ]
        return "; ".join(f"{key!r} needs {other!r} as well" for key, other in lacking)
    if keyword == "not":
        return "is not allowed in this combination"
    return None


def _alternatives(
    error: ValidationError, path: KeyPath, schema: Mapping[str, Any]
) -> Iterator[Finding]:
    """Findings of the alternative that was meant."""
    if schema.get("type") == "object" and not isinstance(error.instance, Mapping):
        return  # its type is reported already
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    options: Any = error.validator_value
    if not branches:  # oneOf, and more than one holds
        yield Finding(path, schema.get("errorMessage") or _only_one(options, error.instance))
        return
    fitting = {
        index: errors
        for index, errors in branches.items()
        if not any(e.validator == "type" and not e.relative_path for e in errors)
    }
    if not fitting:
        yield Finding(path, _wrong_type(error.instance, [o for o in options if "type" in o]))
        return
    close = {index: _closeness(error.instance, options[index]) for index in fitting}
    meant = [index for index in fitting if close[index] == max(close.values())]
    lacking = [_lacking(error.instance, options[index], fitting[index]) for index in meant]
    if len(meant) > 1 and all(lacking):
        message = schema.get("errorMessage") or f"needs {_either(lacking)}"
        yield Finding(path, message, missing=tuple(key for keys in lacking for key in keys))
        return
    for inner in fitting[min(meant, key=lambda index: len(fitting[index]))]:
        yield from _explain(inner)


def _closeness(value: Any, option: Mapping[str, Any]) -> int:
    """How likely an alternative was meant: by the keys it has in common with the value."""
    if not isinstance(value, Mapping):
        return 0
    named = {*option.get("properties", {}), *option.get("required", [])}
    return len(named & set(value))


def _lacking(
    value: Any, option: Mapping[str, Any], errors: Sequence[ValidationError]
) -> tuple[str, ...]:
    """The keys that an alternative asks for and that are absent, if nothing else is wrong."""
    if any(error.validator != "required" or error.relative_path for error in errors):
        return ()
    return tuple(key for key in option.get("required", ()) if key not in value)


def _either(alternatives: Sequence[Sequence[str]]) -> str:
    comma = "," if any(len(keys) > 1 for keys in alternatives) else ""
    return f"{comma} or ".join(" and ".join(repr(key) for key in keys) for keys in alternatives)


def _only_one(options: Sequence[Any], value: Any) -> str:
    """What to say where several alternatives are given at once."""
    given = [
        set(option["required"])
        for option in options
        if isinstance(value, Mapping) and set(option.get("required", ())) <= set(value)
    ]
    shared = set.intersection(*given) if given else set()
    named = [sorted(keys - shared, key=list(value).index) for keys in given if keys - shared]
    return f"give {_either(named)}, not both" if len(named) > 1 else "fits more than one form"
