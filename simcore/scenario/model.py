"""What a scenario is once it is valid: frozen, expanded, free of YAML.

Everything behind the loader works with these and never with the file. Durations are
nanoseconds here, nodes stand in the order of the file, and that order breaks all ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simcore.errors import UsageError
from simcore.scenario.problems import did_you_mean


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node after expansion.

    Args:
        name: `meter-3`, or `gateway` for a node without `count`.
        group: the key under `nodes`: `meter`, `gateway`.
        index: place within its group, from 0.
        order: place among all nodes, from 0.
        tier: device, network, edge or cloud.
        implementation: the backend's name.
        options: the implementation's own keys, as written.
        config: what the model or service is given.
    """

    name: str
    group: str
    index: int
    order: int
    tier: str
    implementation: str
    options: Mapping[str, Any]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """The content of one valid YAML file, options of the command line applied.

    Args:
        path: the file, None for a scenario given as text; two scenarios that differ in
            nothing else are equal.
        base: folder that relative file names start from.
        name: given, or the file's name.
        description: free text.
        seed: of all random streams.
        duration: in nanoseconds.
        nodes: all nodes, in the order of the file.
        groups: the same by group.
        network: as written, with its `model`.
        extensions: what stands under the extensions' top-level keys.
        expect: expectations, as written.
        quantum: length (ns) of windows of free-running nodes whose links promise less; None: they
            all promise enough.
        window: upper limit of a window's length, ns; None: what the links promise.
        resolved: plain data that, loaded again, gives an equal scenario.
    """

    path: Path | None = field(compare=False)
    base: Path
    name: str
    description: str
    seed: int
    duration: int
    nodes: tuple[NodeSpec, ...]
    groups: Mapping[str, tuple[NodeSpec, ...]]
    network: Mapping[str, Any]
    extensions: Mapping[str, Any]
    expect: tuple[str, ...]
    resolved: Mapping[str, Any]
    quantum: int | None = None
    window: int | None = None

    def select(self, name: str) -> tuple[NodeSpec, ...]:
        """The nodes a name stands for: all members of a group, or the one node.

        Raises:
            UsageError: no group and no node has the name.
        """
        if name in self.groups:
            return self.groups[name]
        group, _, index = name.rpartition("-")
        members = self.groups.get(group, ())
        if index.isascii() and index.isdigit() and len(index) < 7 and int(index) < len(members):
            spec = members[int(index)]
            if spec.name == name:
                return (spec,)
        hint = did_you_mean(name, self.groups)
        meant = f" (did you mean {hint!r}?)" if hint else ""
        raise UsageError(f"there is no node or group {name!r}{meant}")
