"""Checks a scenario: schema, units, references and static checks, all in one pass.

Whoever wrote the file wants every problem at once, and no problem that is only an echo of
another. So the schema is checked first, what it refuses is pruned, and everything else is
checked on the rest, against node names taken from the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, validators

from simcore import units
from simcore.errors import UnitError
from simcore.plugins import Path as KeyPath
from simcore.plugins import Plugins
from simcore.scenario import sources
from simcore.scenario.formats import Formats
from simcore.scenario.lookahead import check_lookahead
from simcore.scenario.names import MAX_NODES, Names
from simcore.scenario.problems import Report, did_you_mean, shorten
from simcore.scenario.prune import Pruned
from simcore.scenario.schema import (
    COMMON_NODE,
    DEFAULT_IMPLEMENTATION,
    DEFAULT_NETWORK,
    published_schema,
)
from simcore.scenario.tree import Tree, plain
from simcore.scenario.words import Finding, findings

_MAX_LISTED = 1000


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 2.0 for an integer; range(2.0) does not.
_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


class Checker:
    """What plug-ins report to and ask about names and files.

    Args:
        names: the nodes of the scenario.
        base: folder that relative file names start from.
        pruned: the valid part of the scenario.
        report: takes the problems.
        plugins: what is installed.
    """

    def __init__(
        self, names: Names, base: Path, pruned: Pruned, report: Report, plugins: Plugins
    ) -> None:
        self.base = base
        self.plugins = plugins
        self._names = names
        self._pruned = pruned
        self._report = report
        self._modules: dict[Path, sources.Names | sources.Unreadable] = {}

    @property
    def data(self) -> Mapping[str, Any]:
        """The whole scenario as plain data, without what was found invalid."""
        data: Mapping[str, Any] = self._pruned.data
        return data

    @property
    def duration(self) -> int | None:
        """Duration of the run in nanoseconds; None if it is missing or invalid."""
        written = self.data.get("duration")
        return units.duration(written) if isinstance(written, str) else None

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Member names by group, in the order of the file; a single node is its own group."""
        return self._names.groups

    @property
    def node_names(self) -> Sequence[str]:
        """Names of all nodes, groups expanded, in the order of the file."""
        return self._names.all

    def exists(self, name: str) -> bool:
        """Whether a name stands for a group or a node. Also True if that cannot be known."""
        return self._names.exists(name)

    def members(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that the name of a group or node stands for; none if unknown."""
        return self._names.members(name)

    def incomplete(self, path: KeyPath) -> bool:
        """Whether something at, around or under `path` of `data` was reported and is left out.

        A check that would call it missing, or take its default, should stay silent.
        """
        return self._pruned.incomplete(path)

    def problem(
        self,
        path: KeyPath,
        message: str,
        word: str | None = None,
        candidates: Iterable[str] = (),
        *,
        suggestion: str | None = None,
        at_key: bool = False,
    ) -> None:
        """Report what is wrong at `path`, unless something in it is reported already.

        Args:
            path: as in `data`; the place in the file is found from it.
            message: what is wrong, in plain words, without the path.
            word: the unknown word, to find which of `candidates` was meant.
            candidates: the words that could stand there.
            suggestion: what was meant, if the caller knows.
            at_key: the key is wrong, not its value.
        """
        if self.incomplete(path):
            return  # it may only be an echo
        self._report.add(
            self._pruned.original(path),
            message,
            word=word,
            candidates=tuple(candidates),
            suggestion=suggestion,
            at_key=at_key,
        )

    def check_node_reference(self, path: KeyPath, name: str) -> bool:
        """Report `name` if it stands for no group or node; whether it does."""
        if self._names.exists(name):
            return True
        message, suggestion = self._names.explain(name)
        self.problem(path, message, suggestion=suggestion)
        return False

    def check_file(self, path: KeyPath, relative: str) -> bool:
        """Report a file, named relative to the scenario, that is not there; whether it is."""
        file = self.base / relative
        try:
            if file.is_file():
                return True
            message = "is a directory, not a file" if file.is_dir() else "there is no such file"
            siblings = [entry.name for entry in islice(file.parent.iterdir(), _MAX_LISTED)]
        except (OSError, ValueError):
            message, siblings = "there is no such file", []
        meant = did_you_mean(file.name, sorted(siblings))
        if meant is not None and meant != file.name:
            meant = str(Path(relative).with_name(meant))
        self.problem(path, f"{message}: {shorten(repr(relative), 100)}", suggestion=meant)
        return False

    def check_schema(self, path: KeyPath, value: Any, schema: Mapping[str, Any]) -> Pruned:
        """Report what a schema of the plug-in's own does not allow in `value`, found at `path`.

        Returns:
            What is left of the value without what was reported.
        """
        validator = _Validator(schema, format_checker=Formats(self._names))

        def wrong(value: Any) -> list[Finding]:
            return findings(validator.iter_errors(value))

        for found in wrong(value):
            _report(self._report, found, self._pruned.original(path))
        return Pruned(value, (), wrong)

    def check_callable(self, path: KeyPath, reference: str, kind: sources.Kind) -> bool:
        """Report a reference `file.py:name` that leads nowhere; whether it leads somewhere.

        Args:
            path: where the reference stands.
            reference: file, relative to the scenario, and name of a function or class in it.
            kind: what the name should be.
        """
        file, colon, name = reference.rpartition(":")
        if not colon or not file.endswith(".py") or not name.isidentifier():
            shown = shorten(repr(reference), 100)
            self.problem(path, f"{shown} names no {kind}: write file.py:{kind}")
            return False
        if not self.check_file(path, file):
            return False
        found = self._module(self.base / file)
        if isinstance(found, sources.Unreadable):
            self.problem(path, f"{file} {found}")
            return False
        wanted, other = found.functions, found.classes
        if kind == "class":
            wanted, other = found.classes, found.functions
        if name in wanted or name in found.others:
            return True
        if name in found.coroutines:
            self.problem(path, f"{name} in {file} is async; simcore runs plain functions")
        elif name in other:
            actual = "function" if kind == "class" else "class"
            self.problem(path, f"{name} in {file} is a {actual}, a {kind} is needed")
        elif not found.open:
            self.problem(
                path,
                f"{file} has no {kind} {name!r}",
                suggestion=_with_file(file, did_you_mean(name, sorted(wanted))),
            )
        else:
            return True
        return False

    def _module(self, file: Path) -> sources.Names | sources.Unreadable:
        if file not in self._modules:
            try:
                self._modules[file] = sources.names_in(file)
            except sources.Unreadable as error:
                self._modules[file] = error
        return self._modules[file]


def _with_file(file: str, name: str | None) -> str | None:
    return None if name is None else f"{file}:{name}"


def check(tree: Tree, base: Path, report: Report, plugins: Plugins) -> Mapping[str, Any]:
    """Check a whole scenario and report all that is wrong with it.

    Args:
        tree: the scenario as read, with overrides.
        base: folder that relative file names start from.
        report: takes the problems.
        plugins: what is installed.

    Returns:
        The scenario as plain data, to be used only if there was no problem.
    """
    data, invalid = plain(tree)
    names = Names(data.get("nodes") if isinstance(data, dict) else None)
    validator = _Validator(published_schema(plugins), format_checker=Formats(names))

    def wrong(value: Any) -> list[Finding]:
        return findings(validator.iter_errors(value))

    for found in wrong(data):
        if not any(found.path[:end] in invalid for end in range(len(found.path) + 1)):
            _report(report, found)
    if not isinstance(data, dict):
        return {}
    pruned = Pruned(data, invalid | _unchecked(data, plugins), wrong)
    checker = Checker(names, base, pruned, report, plugins)
    _check_names(names, report)
    if checker.duration == 0:
        checker.problem(("duration",), "must be more than 0")
    _ask_plugins(checker, plugins)
    if checker.data.keys() == data.keys():  # what is not there may only be misspelt
        _check_expectations(checker)
    return data


def _unchecked(data: Mapping[str, Any], plugins: Plugins) -> set[KeyPath]:
    """What no schema was applied to, for the key that chooses the schema is wrong."""
    paths: set[KeyPath] = set()
    network, nodes = data.get("network"), data.get("nodes")
    if isinstance(network, Mapping) and not _names(network.get("model"), plugins.netmodels):
        paths.add(("network",))
    for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
        if not isinstance(node, Mapping):
            continue
        if not _names(node.get("implementation", DEFAULT_IMPLEMENTATION), plugins.backends):
            paths |= {("nodes", name, key) for key in node if key not in COMMON_NODE}
    return paths


def _names(word: Any, known: Mapping[str, Any]) -> bool:
    return isinstance(word, str) and word in known


def _report(report: Report, found: Finding, at: KeyPath = ()) -> None:
    report.add(
        (*at, *found.path),
        found.message,
        word=found.word,
        candidates=found.candidates,
        suggestion=found.suggestion,
        at_key=found.at_key,
        present=found.present,
    )


def _check_names(names: Names, report: Report) -> None:
    for name, group, count in names.collisions():
        message = f"the group {group!r} with count {count} has a member of this name already"
        report.add(("nodes", name), message, at_key=True)
    if names.total > MAX_NODES:
        message = f"{names.total:,} nodes in all; at most {MAX_NODES:,} are allowed"
        report.add(("nodes",), message)


def _check_expectations(checker: Checker) -> None:
    expected = checker.data.get("expect", ())
    if not expected:
        return
    from simcore import expect  # it takes a while, and few scenarios need it

    def there(path: KeyPath) -> bool:
        value: Any = checker.data
        for key in path:
            if not isinstance(value, Mapping) or key not in value:
                return checker.incomplete(path[:1])  # then it may only be misspelt
            value = value[key]
        return True

    for index, text in enumerate(expected):
        lacking = expect.lacking(expect.parse(text), there)
        if lacking is not None:
            checker.problem(("expect", index), lacking)


def _ask_plugins(checker: Checker, plugins: Plugins) -> None:
    data = checker.data
    for name, node in data.get("nodes", {}).items():
        path = ("nodes", name)
        if not checker.incomplete((*path, "implementation")):
            backend = plugins.backends[node.get("implementation", DEFAULT_IMPLEMENTATION)]
            _ask(backend, node, path, checker)
    if not checker.incomplete(("network", "model")):
        network = data.get("network", {"model": DEFAULT_NETWORK})
        _ask(plugins.netmodels[network["model"]], network, ("network",), checker)
        check_lookahead(checker, data.get("nodes", {}), network, DEFAULT_IMPLEMENTATION)
    for name, extension in plugins.extensions.items():
        if name in data:
            _ask(extension, data[name], (name,), checker)


def _ask(plugin: Any, value: Any, path: KeyPath, checker: Checker) -> None:
    try:
        plugin.check(value, path, checker)
    except UnitError as error:  # for instance from simcore.distributions.parse
        checker.problem(path, str(error))
    except (LookupError, TypeError, ValueError, AttributeError):
        # It needed a key whose value is invalid; that is reported already.
        if not checker.incomplete(path):
            raise
