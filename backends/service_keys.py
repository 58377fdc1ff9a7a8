"""The keys with which a scenario names a service, the same wherever it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from simcore.inputs import file_names
from simcore.plugins import Path

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

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
    elif not checker.incomplete((*path, "config")):
        try:
            found = checker.plugins.service(service)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody else's package is broken
            what = f"{type(error).__name__}: {error}"
            checker.problem(place, f"the service {service!r} cannot be imported: {what}")
        else:
            _check_config(found, value, path, checker)


def _check_config(service: Any, value: Any, path: Path, checker: Checker) -> None:
    """Have an installed service report what is wrong with its `config`.

    It may have a `schema`, the JSON Schema of its config, and a static method
    `check(config, path, checker)` for what a schema cannot say; that gets what the schema allows.
    """
    config, place = value.get("config", {}), (*path, "config")
    valid = checker.check_schema(place, config, getattr(service, "schema", {}))
    if hasattr(service, "check"):
        try:
            service.check(valid.data, place, checker)
        except (LookupError, TypeError, ValueError, AttributeError):
            if not valid.incomplete(()):
                raise  # else it needed a key whose value is reported already


def hosted_config(federation: Federation, spec: NodeSpec, base: str) -> dict[str, Any]:
    """What `simcore.protocol.service_main` is told about the service of a node.

    Args:
        federation: the run.
        spec: the node; its options name a service.
        base: the scenario's folder, as the program that hosts the service sees it.
    """
    service = spec.options["service"]
    if not CALLABLE.fullmatch(service):
        found = federation.plugins.service(service)
        service = f"{found.__module__}:{found.__qualname__}"
    note_files(federation, spec)
    return {
        "service": service,
        "base": base,
        "workers": spec.options.get("workers", 1),
        "queue": spec.options.get("queue"),
        "config": dict(spec.config),
        "calibrate": federation.calibrate,
    }


def note_files(federation: Federation, spec: NodeSpec) -> None:
    """Have the files that a service's `config` names be inputs of the run.

    Nobody else sees what is opened in another process, or by a library that is not Python.
    """
    if spec.index:
        return  # its group has one config
    for name in file_names(spec.config):
        with suppress(OSError, ValueError):
            file = federation.scenario.base / name
            if file.is_file():
                file.open("rb").close()
