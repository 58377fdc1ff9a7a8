"""`implementation: python_model`: models and services inside simcore's own process.

A model is a generator function and runs as a SimPy process. A service goes through the same
reactive rounds as in a process or a container, so that its digest is the same there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.errors import UsageError
from simcore.hosting import in_process
from simcore.node import Node
from simcore.payload import freeze
from simcore.plugins import Determinism, Path
from simcore.protocol.loading import load_object
from simcore.protocol.service import ServiceHost, check_service

from . import service_keys

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec


class PythonModel:
    """Plug-in `implementation: python_model`."""

    name = "python_model"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "A Python model or service in simcore's own process. A node with neither "
        "only receives, or forwards what is routed over it.",
        "additionalProperties": False,
        "properties": {
            "model": {
                "type": "string",
                "description": "A generator function that takes a node, as file.py:function, "
                "relative to the scenario.",
                "examples": ["my_models.py:sensor"],
            },
            **service_keys.SCHEMA,
        },
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without importing it."""
        model, service = value.get("model"), value.get("service")
        if model is not None and service is not None:
            checker.problem((*path, "service"), "a node has a model or a service, not both")
        if model is not None:
            if service_keys.CALLABLE.fullmatch(model):
                checker.check_callable((*path, "model"), model, kind="function")
            else:
                checker.problem((*path, "model"), f"{model!r} is no model: write file.py:function")
        service_keys.check_service(value, path, checker)

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; the code it names is imported now."""
        options = spec.options
        base = federation.scenario.base
        if "model" in options:
            model = load_object(options["model"], base)
            if not callable(model):
                raise UsageError(f"{options['model']} is not a function")
            return Node(federation, spec, model)
        if "service" not in options:
            return Node(federation, spec)
        name = options["service"]
        service = load_object(name, base) if ":" in name else federation.plugins.service(name)
        check_service(service, name)
        service_keys.note_files(federation, spec)

        def make(life: int) -> ServiceHost:
            return ServiceHost(
                service(),
                name=spec.name,
                seed=federation.seed,
                config=spec.config,
                base=base,
                workers=options.get("workers", 1),
                queue=options.get("queue"),
                freeze=freeze,
                life=life,
                calibrate=federation.calibrate,
            )

        return in_process(federation, spec, make)

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"
