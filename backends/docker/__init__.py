"""`implementation: docker`: a service or a program in a container of its own.

A service is hosted as in a process and has the same digest; a program takes part by speaking the
protocol of `docs/protocol.md`. The core knows of no containers: to it this is a participant like
any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar

import simcore
from simcore.commands import note_inputs, timeouts
from simcore.errors import MissingDependency
from simcore.hosting import host
from simcore.node import Node
from simcore.participant import Kind, Participant
from simcore.plugins import Determinism, Path

from .. import service_keys
from . import images, keys
from .advice import advice_for
from .engine import Absent, Engine, EngineError, failures, text_of
from .files import Share
from .fleet import Fleet
from .images import Image
from .participant import BASE, ContainerLauncher, ContainerParticipant
from .sweep import stale
from .wallclock.keys import is_paced
from .wallclock.participant import PacedLauncher
from .wallclock.participant import attach as attach_paced

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

L = TypeVar("L", bound=ContainerLauncher)

# The image may have a PYTHONPATH of its own. Without the working directory, which is the scenario's
# folder: a file there may be called as one of Python's modules is.
_HOST = (
    f"import sys; sys.path[:] = [{images.RUNTIME!r}, *filter(None, sys.path)]; "
    "from simcore.protocol.service_main import main; sys.exit(main())"
)


class Docker:
    """Plug-in `implementation: docker`."""

    name = "docker"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = keys.SCHEMA

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without asking the engine."""
        keys.check_keys(value, path, checker)
        library = find_spec("docker")
        if library is None or library.origin is None:  # a folder of this name is no library
            checker.problem(
                (*path, "implementation"),
                "docker needs a library that is not installed: pip install 'simcore[docker]'",
            )

    def kind_of(self, options: Mapping[str, Any]) -> Kind:
        """What a node's container is granted."""
        kind: Kind = options.get("kind", "reactive")
        return "free_running" if is_paced(options) else kind

    def determinism_of(self, options: Mapping[str, Any]) -> Determinism:
        """Programs in virtual time are exact, those in real time are not."""
        return "statistical" if is_paced(options) else self.determinism

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its container starts with all others, when everything is made."""
        options = spec.options
        fleet = federation.outside.one(Fleet)
        try:
            image = fleet.image_of(spec.group, lambda: _image(federation, fleet, spec))
        except EngineError as error:
            raise EngineError(f"{spec.group}: {error}", error.said) from None
        federation.note_part(f"image of {spec.group}", image.id)
        note_inputs(federation, options.get("files", ()), options)
        if is_paced(options):
            paced = _launcher(PacedLauncher, fleet, spec.name, image, spec, "stdio")
            return attach_paced(federation, spec, paced)
        shared = options.get("hosts") == "group"
        names = [spec.name]
        if shared:
            names = [each.name for each in federation.scenario.select(spec.group)]
        name = spec.name if len(names) == 1 else spec.group
        transport = fleet.transport(options.get("transport", "auto"), image)
        launcher = _launcher(ContainerLauncher, fleet, name, image, spec, transport)
        config = dict(spec.config)
        if "service" in options:
            config = service_keys.hosted_config(federation, spec, BASE)
            note_inputs(federation, [options["service"].rpartition(":")[0]], options)
        kind = self.kind_of(options)
        base = federation.scenario.base.absolute()
        advise = advice_for(options, base, transport)

        def make(life: int) -> Participant:
            return ContainerParticipant(
                federation, name, names, launcher, kind=kind, config=config, life=life,
                transport=transport, health=options.get("health"), advice=advise,
                **timeouts(options),
            )  # fmt: skip

        return host(federation, spec, make, kind=kind, shared=shared)

    def doctor(self) -> tuple[bool, str]:
        """Needs a Docker Engine."""
        try:
            engine = Engine()
            version = engine.version()
            engine.close()
        except simcore.SimcoreError as error:
            return False, str(error)
        return True, f"Docker Engine {version} at {engine.address}"

    def clean(self, dry_run: bool, say: Callable[[str], None]) -> Iterator[str]:
        """Remove containers of runs that are over, and the volumes that were made for them."""
        try:
            engine = Engine()
        except (MissingDependency, Absent):
            return  # then there is nothing that could be removed
        except EngineError as error:
            say(f"the Docker Engine was not asked: {error}")
            return
        try:
            for each in list(stale(engine.api)):
                if not dry_run:
                    each.remove(engine.api)
                yield f"{each.kind} {each.name} of run {each.run}"
        except failures() as error:
            raise EngineError(f"containers cannot be removed: {text_of(error)}") from None
        finally:
            engine.close()


def _image(federation: Federation, fleet: Fleet, spec: NodeSpec) -> Image:
    """The image of a group's containers."""
    options, base = spec.options, federation.scenario.base.absolute()
    if "build" in options:
        return images.built(fleet.engine, base, options["build"], federation.say)
    if "image" in options:
        return images.named(fleet.engine, options["image"], federation.say)
    name = options["service"]
    if service_keys.CALLABLE.fullmatch(name):
        name = images.PLAIN
    service = federation.plugins.service(name)
    return images.of_service(fleet.engine, name, service, federation.say)


def _launcher(
    kind: type[L], fleet: Fleet, name: str, image: Image, spec: NodeSpec, transport: str
) -> L:
    """What starts the container of a node."""
    options = spec.options
    hosted = "service" in options
    base = fleet.federation.scenario.base.absolute()
    shares = []
    if hosted or "files" in options:
        shares.append(Share(BASE, base, tuple(options.get("files", ["."]))))
    program: Sequence[str] = options.get("command", ())
    if hosted:
        program = ["python3", "-c", _HOST]
        if "image" in options or "build" in options:
            shares += _runtime()
    obstacles = {share: fleet.obstacle(share, transport) for share in shares}
    return kind(
        fleet, name, image, program, options,
        mounted=[share for share, why in obstacles.items() if why is None],
        copied={share: why for share, why in obstacles.items() if why is not None},
    )  # fmt: skip


def _runtime() -> list[Share]:
    """What hosts a service, for an image that does not have it."""
    core = FilePath(simcore.__file__).parent
    backends = FilePath(__file__).parents[1]
    return [
        Share(f"{images.RUNTIME}/simcore", core),
        Share(f"{images.RUNTIME}/simcore_backends", backends, ("__init__.py", "mqtt", "services")),
    ]
