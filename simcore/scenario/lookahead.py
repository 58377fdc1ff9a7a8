"""Whether free-running nodes can have windows: checked before anything is started.

Windows are as long as the least delay of the links that touch such nodes. Where a network
promises none, the scenario has to say how late messages may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore import units

if TYPE_CHECKING:
    from simcore.scenario.check import Checker

KEYS = ("quantum", "window")


def check_lookahead(
    checker: Checker, nodes: Mapping[str, Any], network: Mapping[str, Any], default: str
) -> None:
    """Report free-running nodes without a window, and times of windows without an effect.

    Args:
        nodes: valid entries of `nodes`, by name.
        network: the network's valid part.
        default: the implementation of a node that names none.
    """
    backends = checker.plugins.backends
    free = []
    for group, node in nodes.items():
        backend = backends.get(node.get("implementation", default))
        kind_of = getattr(backend, "kind_of", None)
        if kind_of is not None and kind_of(node) == "free_running":
            free.append(group)
    for key in KEYS:
        if key not in checker.data:
            continue
        if not free:
            checker.problem((key,), "has no effect: no node is free-running")
        elif units.duration(checker.data[key]) == 0:
            checker.problem((key,), "must be more than 0")
    if not free or "quantum" in checker.data or checker.incomplete(("network",)):
        return
    model = checker.plugins.netmodels.get(network.get("model", ""))
    least_delay = getattr(model, "least_delay", None)
    if least_delay is None:
        return  # it can only be told when the network is there
    members = frozenset(name for group in free for name in (group, *checker.members(group)))
    found = least_delay(network, members, checker.base)
    if found == 0:
        checker.problem(
            ("nodes", free[0]),
            "is free-running, and the network promises no delay of what it sends and receives: "
            "give its links in 'network' a delay with a minimum above 0, or add a top-level "
            "'quantum: 1ms' and accept that messages are handed over that late",
        )
