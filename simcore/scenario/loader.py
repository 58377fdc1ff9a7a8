"""From a YAML file, or its text, to a `Scenario`: the way every command and test takes.

Read, apply options, check, expand. Either a valid, frozen scenario comes out, or one
`ScenarioError` with all problems; nothing a scenario names is imported or run on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simcore import units
from simcore.errors import ScenarioError
from simcore.plugins import Plugins
from simcore.scenario.check import check
from simcore.scenario.model import NodeSpec, Scenario
from simcore.scenario.overrides import apply
from simcore.scenario.problems import Report
from simcore.scenario.reader import Document, parse, read_file
from simcore.scenario.schema import (
    COMMON_NODE,
    DEFAULT_IMPLEMENTATION,
    DEFAULT_NETWORK,
    DEFAULT_SEED,
    DEFAULT_TIER,
)
from simcore.scenario.tree import Place, from_plain

_COMMON = {*COMMON_NODE, "implementation"}


def load(
    path: str | Path,
    *,
    base: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    until: str | None = None,
    plugins: Plugins | None = None,
) -> Scenario:
    """Load and check a scenario file.

    Args:
        path: the YAML file.
        base: folder that relative file names in it start from; its own by default.
        overrides: changes as `nodes.meter.count=50`, in order.
        seed: replaces the file's seed.
        until: replaces the file's duration, as `10s`.
        plugins: what scenarios may use; default: what is installed.

    Raises:
        ScenarioError: with every problem found.
    """
    path = Path(path)
    document = parse(read_file(path), str(path))
    file = (str(path), path, path.stem)
    return _load(document, file, base or path.parent, overrides, seed, until, plugins)


def loads(
    text: str,
    *,
    name: str = "<string>",
    base: Path = Path("."),
    overrides: Sequence[str] = (),
    seed: int | None = None,
    until: str | None = None,
    plugins: Plugins | None = None,
) -> Scenario:
    """Load and check a scenario given as text.

    Args:
        text: YAML (JSON is YAML, too).
        name: stands for the file in problems.
        base: folder that relative file names start from.
        overrides, seed, until, plugins: as for `load`.

    Raises:
        ScenarioError: with every problem found.
    """
    document = parse(text, name)
    return _load(document, (name, None, "scenario"), base, overrides, seed, until, plugins)


def load_plain(
    data: Mapping[str, Any], *, name: str = "<data>", base: Path, plugins: Plugins | None = None
) -> Scenario:
    """Load and check a scenario given as plain data, such as `Scenario.resolved`.

    Args:
        data: what the YAML file would hold.
        name: stands for the file in problems.
        base: folder that relative file names start from.
        plugins: as for `load`.

    Raises:
        ScenarioError: with every problem found.
    """
    document = Document(from_plain(data, Place(name)))
    return _load(document, (name, None, "scenario"), base, (), None, None, plugins)


def _load(
    document: Document,
    file: tuple[str, Path | None, str],
    base: Path,
    overrides: Sequence[str],
    seed: int | None,
    until: str | None,
    plugins: Plugins | None,
) -> Scenario:
    shown, path, stem = file
    plugins = plugins or Plugins()
    options = Report(document.tree, shown)
    tree = apply(document.tree, options, overrides, seed, until)
    report = Report(tree, shown)
    report.add_all(document.problems)
    report.add_all(options.problems())
    data = check(tree, base, report, plugins)
    problems = report.problems()
    if problems:
        raise ScenarioError(problems)
    return _build(data, path, stem, base, plugins)


def _build(
    data: Mapping[str, Any], path: Path | None, stem: str, base: Path, plugins: Plugins
) -> Scenario:
    name = data.get("name", stem)
    groups = _expand(data["nodes"])
    network = data.get("network", {"model": DEFAULT_NETWORK})
    extensions = {key: data[key] for key in plugins.extensions if key in data}
    resolved = {
        "simcore": 1,
        "name": name,
        "description": data.get("description", ""),
        "seed": data.get("seed", DEFAULT_SEED),
        "duration": data["duration"],
        **{key: data[key] for key in ("quantum", "window") if key in data},
        "nodes": data["nodes"],
        "network": network,
        **extensions,
        "expect": data.get("expect", []),
    }
    scenario = Scenario(
        path=path,
        base=base,
        name=name,
        description=resolved["description"],
        seed=resolved["seed"],
        duration=units.duration(data["duration"]),
        nodes=tuple(spec for members in groups.values() for spec in members),
        groups=groups,
        network=network,
        extensions=extensions,
        expect=tuple(resolved["expect"]),
        resolved=resolved,
        quantum=units.duration(data["quantum"]) if "quantum" in data else None,
        window=units.duration(data["window"]) if "window" in data else None,
    )
    return configured(scenario, plugins)


def configured(scenario: Scenario, plugins: Plugins) -> Scenario:
    """The scenario, in which nodes are given what extensions have for them."""
    given: dict[str, dict[str, Any]] = {}
    for name, value in scenario.extensions.items():
        configure = getattr(plugins.extensions[name], "configure", None)
        for node, keys in ({} if configure is None else configure(value, scenario)).items():
            given.setdefault(node, {}).update(keys)
    if not given:
        return scenario

    def configured(spec: NodeSpec) -> NodeSpec:
        own = given.get(spec.name)
        return spec if own is None else replace(spec, config={**spec.config, **own})

    groups = {group: tuple(map(configured, members)) for group, members in scenario.groups.items()}
    nodes = tuple(spec for members in groups.values() for spec in members)
    return replace(scenario, nodes=nodes, groups=groups)


def _expand(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[NodeSpec, ...]]:
    groups: dict[str, tuple[NodeSpec, ...]] = {}
    order = 0
    for group, node in nodes.items():
        count = node.get("count")
        options = {key: value for key, value in node.items() if key not in _COMMON}
        groups[group] = tuple(
            NodeSpec(
                name=group if count is None else f"{group}-{index}",
                group=group,
                index=index,
                order=order + index,
                tier=node.get("tier", DEFAULT_TIER),
                implementation=node.get("implementation", DEFAULT_IMPLEMENTATION),
                options=options,
                config=node.get("config", {}),
            )
            for index in range(1 if count is None else count)
        )
        order += len(groups[group])
    return groups
