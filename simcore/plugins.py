"""How backends, network models and extensions reach the core: entry points.

The core imports none of them. Each supplies, without importing its heavy library, the
schema fragment of the keys it understands, static checks, a probe for `doctor`, its
determinism class, and a factory. Another package adds one by declaring an entry point in
the group `simcore.backends`, `simcore.netmodels`, `simcore.extensions` or
`simcore.services`; no file of the core changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol

from simcore.errors import UsageError

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.network import Network
    from simcore.node import Node
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec, Scenario

Determinism = Literal["exact", "statistical"]
Path = tuple[str | int, ...]
"""Where something stands in a scenario, as ("network", "links", 0, "delay")."""


class Plugin(Protocol):
    """What backends, network models and extensions have in common."""

    name: str
    schema: Mapping[str, Any]
    """JSON Schema fragment: an object schema (backend, network model: the keys beside the
    common ones) or the schema of the value under the extension's top-level key."""
    determinism: Determinism

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what a schema cannot: references, files, impossible combinations.

        Called also when other parts of the file are wrong; `value` is of the shape the
        schema asks for, minus the entries that were found invalid.
        """

    def doctor(self) -> tuple[bool, str]:
        """Whether it can work on this machine, and one line that says why or what is missing."""


class Backend(Plugin, Protocol):
    """Stands behind the nodes of one implementation.

    One whose participants may be free-running also has `kind_of(options)`, which tells the kind
    of participant (see `simcore.participant`) that a node's keys ask for; one whose determinism
    depends on a node's keys has `determinism_of(options)`; and one that may leave something behind
    where no guard reaches has `clean(dry_run, say)`, which removes what belongs to runs that are
    over and yields a line for each, as "container meter of run ..."; it says where it cannot look.
    One whose participants count the instructions that they execute has `instruction_time(options)`,
    the virtual time (ns) that one takes.
    """

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node, ready to start at the beginning of the run."""


class NetworkModel(Plugin, Protocol):
    """Decides when, and whether, a message reaches its destination.

    One that can tell it from the scenario alone also has `least_delay(value, names, base)`: the
    least delay (ns) of a link that touches one of the nodes or groups, 0 if it promises none.
    One whose links are no `links` has `check_link(value, fault, path, checker)`, which reports what
    is wrong with a fault's `link`, whose two ends are known, and with its `degraded`.
    """

    def build(self, federation: Federation, scenario: Scenario) -> Network:
        """Make the network of one run from `scenario.network`."""


class Extension(Plugin, Protocol):
    """Cuts across a run; configured under a top-level key of its own name.

    One that nodes have to know of has `configure(value, scenario)`, which gives keys for the
    `config` of nodes, by their names; it is called when a valid scenario is made.
    """

    def attach(self, federation: Federation, value: Any) -> None:
        """Subscribe to the federation and schedule what the extension does."""


def _load(entry: EntryPoint) -> Any:
    try:
        loaded = entry.load()
        return loaded() if isinstance(loaded, type) else loaded
    except Exception as error:
        package = "?" if entry.dist is None else entry.dist.name
        raise UsageError(
            f"the plug-in {entry.name!r} ({entry.value}, of the package {package}) cannot be "
            f"loaded: {type(error).__name__}: {error}; update its package, or uninstall it"
        ) from error


@dataclass
class Plugins:
    """What is installed, by name; loaded on first use."""

    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Plug-ins given directly, by kind ("backends", ...) and name; they win over installed ones."""

    def _group(self, kind: str) -> dict[str, Any]:
        found = {entry.name: _load(entry) for entry in entry_points(group=f"simcore.{kind}")}
        return dict(sorted({**found, **self.extra.get(kind, {})}.items()))

    @cached_property
    def backends(self) -> Mapping[str, Backend]:
        """Implementations, by the word written after `implementation:`."""
        found = self._group("backends")
        if not found:
            raise UsageError(
                "no backend is installed: simcore finds its parts by entry points; "
                "install the project itself, for example with: pip install ."
            )
        return found

    @cached_property
    def netmodels(self) -> Mapping[str, NetworkModel]:
        """Network models, by the word written after `model:`."""
        return self._group("netmodels")

    @cached_property
    def extensions(self) -> Mapping[str, Extension]:
        """Extensions, by their top-level key."""
        return self._group("extensions")

    def service(self, name: str) -> type:
        """A reusable service class, by the word written after `service:`; imports it alone."""
        given = self.extra.get("services", {})
        if name in given:
            found: type = given[name]
        else:
            found = entry_points(group="simcore.services")[name].load()
        return found

    def service_names(self) -> list[str]:
        """Names of the reusable services, without importing them."""
        found = {entry.name for entry in entry_points(group="simcore.services")}
        return sorted(found | set(self.extra.get("services", {})))
