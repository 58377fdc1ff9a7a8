"""Images: those that a scenario names, those it has built, and those of simcore's services.

A service's image is built when it is first needed, from the Dockerfile beside the service, and
kept under a digest of all that goes into it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import tarfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import simcore
from simcore.errors import SimcoreError, UsageError

from .engine import Engine, EngineError, failures, is_status

RUNTIME = "/opt/simcore"
"""Where a container has what hosts a service."""
PACKAGES = "/opt/packages"
"""Where it has the libraries that the service needs."""
PLAIN = "echo"
"""The service whose image hosts a service of the user's own: Python, and nothing else."""
_RUNTIME = (
    *("__init__", "errors", "units", "streams", "distributions"),
    *(
        f"protocol/{name}"
        for name in ("__init__", "peer", "service", "service_main", "loading", "calibration")
    ),
    "extensions/__init__",
    *(f"extensions/placement/{name}" for name in ("__init__", "policy", "rules")),
)
"""Modules of simcore that host a service; they need the standard library only."""
_LAST_LINES = 20
_STEP = re.compile(r"^step \d+/\d+ ?: (\w+)", re.IGNORECASE | re.MULTILINE)

Context = dict[str, bytes | Path]
"""What a build sees: contents by path, or the file that has them if it is a large one."""


class Image(NamedTuple):
    """An image that the engine has.

    Attributes:
        id: its digest, "sha256:...".
        name: what it is called, for reports.
    """

    id: str
    name: str


def named(engine: Engine, name: str, say: Callable[[str], None]) -> Image:
    """The image of a name, which is pulled if the engine has none.

    Raises:
        EngineError: there is none, here or in the registry.
    """
    found = _inspect(engine, name)
    if found is None:
        say(f"docker: pulling the image {name}")
        said = _pull(engine, name)
        found = _inspect(engine, name)
        if found is None:
            raise EngineError(
                f"the image {name} is not on the Docker Engine at {engine.address} and cannot be "
                f"pulled: check its name, or build it with docker build -t {name} ({said})"
            )
    return Image(found, name)


def _inspect(engine: Engine, name: str) -> str | None:
    def look() -> str | None:
        try:
            found: str = engine.api.inspect_image(name)["Id"]
        except failures() as error:
            if is_status(error, 404):
                return None
            raise
        return found

    return engine.ask(f"look for the image {name}", look)


def _pull(engine: Engine, name: str) -> str:
    """Pull an image; what the engine said at last, which is why if there is none."""
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(name)

    def pull() -> str:
        said = "nothing was said"
        for line in engine.api.pull(repository, tag or "latest", stream=True, decode=True):
            said = _one_line(line.get("error") or line.get("status") or said)
        return said

    try:
        return engine.ask(f"pull the image {name}", pull)
    except EngineError as error:
        return error.said


def built(
    engine: Engine, base: Path, wanted: str | Mapping[str, Any], say: Callable[[str], None]
) -> Image:
    """Build a user's image; what has not changed is taken from the engine's cache.

    Args:
        engine: where it is built.
        base: the scenario's folder.
        wanted: the key `build`.
        say: shows a line to the user.

    Raises:
        EngineError: it cannot be built.
    """
    keys: Mapping[str, Any] = {"context": wanted} if isinstance(wanted, str) else wanted
    context = base / keys["context"]
    say(f"docker: building the image of {keys['context']}")
    found = _build(
        engine,
        keys["context"],
        path=str(context),
        dockerfile=keys.get("dockerfile"),
        buildargs=_base() | dict(keys.get("args", {})),
        target=keys.get("target", ""),
    )
    return Image(found, keys["context"])


def of_service(engine: Engine, name: str, service: type, say: Callable[[str], None]) -> Image:
    """The image of an installed service, built if it is not there.

    Args:
        engine: where it is.
        name: of the service, as scenarios have it.
        service: its class; a Dockerfile lies beside its module.
        say: shows a line to the user.

    Raises:
        UsageError: the service has no Dockerfile, or a variable names no folder of wheels.
        EngineError: the image cannot be built.
    """
    folder = folder_of(service)
    for file in ("Dockerfile", "requirements.txt"):
        if not (folder / file).is_file():
            raise UsageError(
                f"the service {name} comes without a {file} for an image of its own: name an "
                "'image' that has it, or 'build' one"
            )
    context, arguments = context_of(folder), build_arguments()
    base = arguments.get("BASE_IMAGE")
    tag = f"simcore/{name}:{digest(context, arguments, base and _base_id(engine, base, say))}"
    found = _inspect(engine, tag)
    if found is None:
        say(f"docker: building the image {tag} (once; a minute or more)")
        found = _build(
            engine,
            tag,
            fileobj=_tar(context),
            custom_context=True,
            encoding="",
            buildargs=arguments,
            tag=tag,
            base_advice="SIMCORE_BASE_IMAGE names another image to build from: see 'Without a "
            "registry' in docs/docker.md",
        )
    return Image(found, tag)


def _base_id(engine: Engine, name: str, say: Callable[[str], None]) -> str:
    """The id of the image that the user wants images of services to be built on."""
    try:
        return named(engine, name, say).id
    except EngineError as error:
        raise EngineError(f"{error}; SIMCORE_BASE_IMAGE names it", error.said) from None


def _build(engine: Engine, name: str, *, base_advice: str = "", **options: Any) -> str:
    """Build an image and follow it to the end; its id.

    Args:
        engine: where it is built.
        name: what it is called, for reports.
        base_advice: what to do if the image that it is built on cannot be had.
        options: of docker-py's `build`.
    """

    def build() -> str | None:
        said: list[str] = []
        found = None
        if "fileobj" in options:
            options["fileobj"].seek(0)  # the try before may have read it
        for line in engine.api.build(rm=True, forcerm=True, decode=True, **options):
            if "error" in line:
                steps = _STEP.findall("\n".join(said))
                advice = f"\n  {base_advice}" if base_advice and steps[-1:] == ["FROM"] else ""
                last = "".join(f"\n    {text}" for text in said[-_LAST_LINES:])
                raise EngineError(
                    f"the image {name} cannot be built: {_one_line(line['error'])}\n"
                    f"  last lines of the build:{last or ' none'}{advice}"
                )
            said += filter(str.strip, str(line.get("stream", "")).splitlines())
            if "aux" in line and "ID" in line["aux"]:
                found = str(line["aux"]["ID"])
        return found

    try:
        built_id = engine.ask(f"build the image {name}", build)
    except EngineError as error:
        if not error.said:
            raise  # a step of the recipe fails
        raise EngineError(f"the image {name} cannot be built: {error.said}", error.said) from None
    if built_id is None:
        raise EngineError(f"the build of the image {name} ended without an image")
    return built_id


def runtime() -> dict[str, bytes]:
    """What hosts a service in a container: files by their path below `RUNTIME`."""
    core = Path(simcore.__file__).parent
    backends = Path(__file__).parents[1]
    found = {f"simcore/{name}.py": (core / f"{name}.py").read_bytes() for name in _RUNTIME}
    found["simcore_backends/__init__.py"] = b""
    for folder in ("mqtt", "services"):
        for file in sorted((backends / folder).rglob("*.py")):
            found[f"simcore_backends/{file.relative_to(backends)}"] = file.read_bytes()
    return found


def context_of(folder: Path) -> Context:
    """What the build of a service's image sees."""
    names = ("Dockerfile", "requirements.txt")
    context: Context = {name: (folder / name).read_bytes() for name in names}
    context |= {f"runtime/{path}": data for path, data in runtime().items()}
    context["wheels/README"] = b"Wheels to install from, where no package index is reached.\n"
    if wheels := os.environ.get("SIMCORE_WHEELS"):
        if not Path(wheels).is_dir():
            raise UsageError(f"SIMCORE_WHEELS names {wheels}, and that is no folder")
        context |= {f"wheels/{file.name}": file for file in Path(wheels).glob("*.whl")}
    return context


def _base() -> dict[str, str]:
    """The argument of a build that names the image to build on, if this machine's user has."""
    image = os.environ.get("SIMCORE_BASE_IMAGE")
    return {"BASE_IMAGE": image} if image else {}


def build_arguments() -> dict[str, str]:
    """The arguments of a build that this machine's user has set."""
    found = _base()
    if os.environ.get("SIMCORE_WHEELS"):
        found["PIP_ARGS"] = "--no-index --find-links=/w/wheels"
    elif options := os.environ.get("SIMCORE_PIP_ARGS"):
        found["PIP_ARGS"] = options
    return found


def folder_of(service: type) -> Path:
    """Where a service lies, with the Dockerfile of its image."""
    return Path(str(sys.modules[service.__module__].__file__)).parent


def digest(context: Context, arguments: Mapping[str, str], base: str | None) -> str:
    """Names an image by all that goes into it; a wheel says by its name what is in it.

    Args:
        base: id of the image that it is built on, if the user has named one.
    """
    total = hashlib.sha256()
    for path, data in sorted(context.items()):
        found = "" if isinstance(data, Path) else hashlib.sha256(data).hexdigest()
        total.update(f"{path}\0{found}\0".encode())
    for name, value in sorted(arguments.items()):
        total.update(f"{name}={value}\0".encode())
    total.update(str(base).encode())
    return total.hexdigest()[:12]


def tag_of(name: str, context: Context, arguments: Mapping[str, str]) -> tuple[str, str]:
    """What simulations call the image of a service, without a pull of what it is built on.

    Returns:
        The tag, and why it is another than theirs: "" if it is not. Its digest lacks the id of the
        image to build on then, and it ends in "-no-base".
    """
    base = arguments.get("BASE_IMAGE")
    found, why = None, ""
    if base is not None:
        try:
            with closing(Engine()) as engine:
                found = _inspect(engine, base)
        except SimcoreError as error:
            why = str(error)
        if found is None:
            why = why or f"the Docker Engine here does not have the image {base}"
    tag = f"simcore/{name}:{digest(context, arguments, found)}"
    return (f"{tag}-no-base" if why else tag), why


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _tar(context: Context) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, found in sorted(context.items()):
            data = found.read_bytes() if isinstance(found, Path) else found
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed
