"""The keys with which a scenario names a service, the same wherever it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.plugins import Path

if TYPE_CHECKING:
    from simcore.scenario.check import Checker

CALLABLE = re.compile(r".+\.py:[A-Za-z_]\w*", re.ASCII)
"""A function or class of a file beside the scenario."""

SCHEMA: Mapping[str, Any] = {
    "service": {
        "type": "string",
        "description": "A service class, as file.py:Class relative to the scenario, or the "
        "name of an installed service.",
        "examples": ["my_services.py:Classifier", "echo"],
    },
    "workers": {
        "type": "integer",
        "minimum": 1,
        "maximum": 10000,
        "default": 1,
        "description": "Computations of the service that run at the same time.",
    },
    "queue": {
        "type": "integer",
        "minimum": 0,
        "description": "Computations that may wait for a worker; one more is rejected. "
        "Unbounded without it.",
    },
}


def check_service(value: Any, path: Path, checker: Checker) -> None:
    """Report a service that is not there, and keys that have no effect without one."""
    service = value.get("service")
    if service is None:
        for key in ("workers", "queue"):
            if key in value:
                checker.problem((*path, key), f"{key!r} has no effect without 'service'")
        return
    place = (*path, "service")
    if CALLABLE.fullmatch(service):
        checker.check_callable(place, service, kind="class")
        return
    known = checker.plugins.service_names()
    if service not in known:
        checker.problem(
            place,
            f"unknown service {service!r}: write file.py:Class, "
            f"or one of {', '.join(known) or 'none'}",
            service,
            known,
        )
