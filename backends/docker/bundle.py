"""`python -m simcore_backends.docker.bundle`: all that it takes to run a node without simcore.

It writes a folder from which `docker build` and `docker run` put a service on a device, with the
config and environment it has in the scenario, the files that these or `files` name, and the limits
it has in a simulation:

    image/      to build the service's image in; missing with --image
    node/       to build the node's image in: that, and the node's files in /scenario
    image.args  arguments of the first build, one a line
    run.args    options for `docker run`, one a line
    node.env    what the service is told, for `docker run --env-file`
    names       names of the two images; the first is that in simulations

`scripts/deploy_to_edge.sh` does the rest; `docs/deployability.md` is the user's page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import click

import simcore
from simcore.cli.main import report_error
from simcore.errors import SimcoreError, UsageError
from simcore.plugins import Plugins
from simcore.scenario.model import Scenario

from ..mqtt.options import options_of, wanted
from ..service_keys import CALLABLE
from ..services.deploy.options import VARIABLE, read
from ..services.deploy.topics import Topics
from . import hardening, images

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")  # of a node, as in scenarios
_VARIABLE = re.compile(r"[^\s#]\S*")
_MQTT_KEYS = ("subscribe", "events")
"""Of a client of the scenario's broker: what deploy mode has as well."""
_DEPLOYS = re.compile(r"^CMD .*simcore_backends\.services\.deploy", re.MULTILINE)
"""In the Dockerfile of a service that can be deployed."""
_RECIPE = "ARG IMAGE\nFROM ${IMAGE}\nCOPY files /scenario\n"


class Deployed(NamedTuple):
    """A node that is to run without simcore.

    Attributes:
        service: as in a scenario.
        base: folder of the files that it names.
        options: keys of the node that say what its container has and may do.
        mqtt: what the scenario says of its MQTT; None: nothing.
    """

    name: str
    service: str
    base: Path
    config: Mapping[str, Any]
    seed: int
    options: Mapping[str, Any]
    mqtt: Mapping[str, Any] | None = None


def of_scenario(file: str, name: str) -> Deployed:
    """A node of a scenario.

    Raises:
        ScenarioError: the scenario is not valid.
        UsageError: it has no such node, or there is no service behind it.
    """
    scenario = simcore.load(file)
    for node in scenario.nodes:
        if node.name == name:
            break
    else:
        some = ", ".join(node.name for node in scenario.nodes[:10])
        raise UsageError(f"{file} has no node {name!r}; it has {some}")
    options = node.options
    if "service" not in options:
        raise UsageError(f"{name} of {file} has no 'service': only services can be deployed")
    if node.implementation != "docker":  # what limits a process is no option of a container
        options = {"environment": options.get("environment", {})}
    return Deployed(
        name,
        node.options["service"],
        scenario.base.absolute(),
        node.config,
        scenario.seed,
        options,
        _mqtt_of(scenario, name),
    )


def _mqtt_of(scenario: Scenario, name: str) -> dict[str, Any] | None:
    """What deploy mode is told of a node's MQTT; None if it is no client."""
    value = scenario.extensions.get("mqtt")
    if value is None:
        return None
    clients = value["clients"]
    members = {each: [node.name for node in scenario.select(each)] for each in clients}
    options = options_of(clients, members).get(name)
    if options is None:
        return None
    idle = [key for key in options if key not in _MQTT_KEYS]
    if idle:
        click.echo(
            f"simcore: {name}: of its keys in mqtt.clients, {', '.join(idle)} have no effect "
            "on a device, where one connection does for all; see docs/deployability.md",
            err=True,
        )
    client = wanted(options, name)
    found: dict[str, Any] = {"broker": value["broker"]}
    if client.filters:
        found["subscribe"] = [{"filter": text, "qos": qos} for text, qos in client.filters]
    return found | ({"events": True} if client.events else {})


def named_files(node: Deployed) -> list[str]:
    """Files of the base folder that the service's name and config name, sorted."""
    found = set()
    for text in (node.service, *_texts(node.config)):
        for name in (text, text.rpartition(":")[0]):
            if name and _is_file(node.base, name):
                found.add(PurePosixPath(name).as_posix())
    return sorted(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _is_file(base: Path, name: str) -> bool:
    path = PurePosixPath(name)
    try:
        return not path.is_absolute() and ".." not in path.parts and (base / name).is_file()
    except (OSError, ValueError):
        return False


def _contents(base: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The files of these names; of a folder, all that are in it.

    Raises:
        UsageError: there is none, or it lies outside of the base folder.
    """
    found = {}
    for name in names:
        folder = base / name
        inside = ".." not in PurePosixPath(name).parts and not PurePosixPath(name).is_absolute()
        if inside and folder.is_dir():
            for file in sorted(folder.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    found[file.relative_to(base).as_posix()] = file.read_bytes()
        elif _is_file(base, name):
            found[name] = folder.read_bytes()
        else:
            raise UsageError(f"there is no {name!r} below {base}")
    return found


def environment(node: Deployed) -> dict[str, str]:
    """What the scenario has in the node's environment, and what deploy mode is told in it.

    Raises:
        UsageError: a variable cannot stand in a file for `docker run --env-file`.
    """
    given = node.options.get("environment", {})
    for key, text in given.items():
        if not _VARIABLE.fullmatch(key) or "\n" in text or "\r" in text:
            raise UsageError(
                f"the environment variable {key!r} cannot be handed to Docker: its name holds a "
                "space or begins with '#', or its value has several lines"
            )
    service = node.service
    if not CALLABLE.fullmatch(service):
        found = _installed(service)
        service = f"{found.__module__}:{found.__qualname__}"
    told = {"NAME": node.name, "SERVICE": service, "SEED": str(node.seed)}
    told["CONFIG"] = _json(node.config)
    if node.mqtt is not None:
        told["MQTT"] = _json(node.mqtt)
    deploy = {f"SIMCORE_DEPLOY_{key}": value for key, value in told.items()}
    return {"PYTHONHASHSEED": "0", **given, **deploy}  # as in a simulation's container


def check_told(file: str) -> None:
    """Leave with a word if the program on the device would refuse what it is told.

    Args:
        file: of environment variables, as written here and added to by `scripts/deploy_to_edge.sh`.
    """
    lines = Path(file).read_text("utf-8").splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    for key in ("BASE", "PASSWORD_FILE", "CONFIG", "MQTT"):
        name = f"{VARIABLE}{key}"
        if key in ("BASE", "PASSWORD_FILE") or told.get(name, "").startswith("@"):
            told.pop(name, None)  # files of the device's
    try:
        options = read([], told)
        Topics(options.prefix, options.name)
    except UsageError as error:
        raise SystemExit(str(error)) from None


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=dict)


def _installed(name: str) -> type:
    known = Plugins().service_names()
    if name not in known:
        raise UsageError(
            f"no service {name!r} is installed: write file.py:Class, or one of {', '.join(known)}"
        )
    return Plugins().service(name)


def run_options(node: Deployed) -> list[str]:
    """Options for `docker run` that allow the container what it is allowed in a simulation.

    But for two: it reaches the broker over the network, and its log is kept, 10 MB of it.
    """
    allow = node.options.get("allow", ())
    settings = hardening.settings(node.options.get("limits", {}), allow)
    found = ["--init", f"--memory={settings['Memory']}", f"--memory-swap={settings['MemorySwap']}"]
    found += [f"--pids-limit={settings['PidsLimit']}", f"--ipc={settings['IpcMode']}"]
    found += [f"--tmpfs={place}:{how}" for place, how in settings["Tmpfs"].items()]
    found += [f"--cap-drop={each}" for each in settings.get("CapDrop", ())]
    found += [f"--security-opt={each}" for each in settings.get("SecurityOpt", ())]
    if settings["ReadonlyRootfs"]:
        found.append("--read-only")
    if "root" not in allow:
        found.append(f"--user={hardening.USER}")
    if "NanoCpus" in settings:
        found.append(f"--cpus={settings['NanoCpus'] / 1e9:g}")
    if "CpusetCpus" in settings:
        found.append(f"--cpuset-cpus={settings['CpusetCpus']}")
    if "ShmSize" in settings:
        found.append(f"--shm-size={settings['ShmSize']}")
    return [*found, "--log-driver=json-file", "--log-opt=max-size=5m", "--log-opt=max-file=2"]


def write(folder: Path, node: Deployed, image: str | None, more: Sequence[str]) -> None:
    """Write a bundle.

    Args:
        folder: where; it is made, and must be empty if it is there.
        node: what is to be deployed.
        image: the image with the service and what it needs; None: simcore's own.
        more: further files and folders of the base folder.

    Raises:
        UsageError: something is not there.
    """
    if not _NAME.fullmatch(node.name):
        raise UsageError(f"{node.name!r} is no name of a node: letters, digits, and . _ - in them")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is there already and not empty")
    arguments: dict[str, str] = {}
    if image is None:
        for key in ("image", "build"):
            if key in node.options:
                raise UsageError(
                    f"{node.name} has its own {key!r} in the scenario: give --image, the "
                    "name of one that has simcore's deploy mode as well"
                )
        name = images.PLAIN if CALLABLE.fullmatch(node.service) else node.service
        lies = images.folder_of(_installed(name))
        if not (lies / "Dockerfile").is_file():
            raise UsageError(f"the service {name} comes without a Dockerfile: give --image")
        context, arguments = images.context_of(lies), images.build_arguments()
        if not _DEPLOYS.search((lies / "Dockerfile").read_text("utf-8")):
            raise UsageError(
                f"the image of the service {name} is for simulations only: on a device, have what "
                "it stands for, or give --image"
            )
        image, why = images.tag_of(name, context, arguments)
        if why:
            said = f"simulations name it otherwise, for the digest lacks the id of its base: {why}"
            click.echo(f"simcore: {image}: {said}", err=True)
        _write(folder / "image", context)
    wanted = [*named_files(node), *node.options.get("files", ()), *more]
    files = _contents(node.base, (PurePosixPath(name).as_posix() for name in wanted))
    entries: images.Context = {f"files/{name}": data for name, data in files.items()}
    entries["Dockerfile"] = _RECIPE.encode()
    _write(folder / "node", entries)
    (folder / "node" / "files").mkdir(exist_ok=True)
    word = "-".join(re.findall(r"[a-z0-9]+", node.name.lower()))  # what may name an image
    tag = f"simcore-deployed/{word}:{images.digest(entries, {'IMAGE': image}, None)}"
    _lines(folder / "image.args", [f"{key}={value}" for key, value in arguments.items()])
    _lines(folder / "run.args", run_options(node))
    _lines(folder / "node.env", [f"{key}={text}" for key, text in environment(node).items()])
    _lines(folder / "names", [image, tag])


def _write(folder: Path, context: images.Context) -> None:
    for name, found in context.items():
        data = found.read_bytes() if isinstance(found, Path) else found
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o644)  # in the container nobody reads it
        for each in file.relative_to(folder).parents:
            (folder / each).chmod(0o755)


def _lines(file: Path, lines: Iterable[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _config(text: str) -> Mapping[str, Any]:
    try:
        config = json.loads(Path(text[1:]).read_text("utf-8") if text[:1] == "@" else text)
    except (OSError, ValueError) as error:
        raise UsageError(f"--config is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError('--config is no JSON object, as {"kind": "pong"}')
    return config


@click.command(context_settings={"max_content_width": 100})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the node.")
@click.option("--scenario", help="Take all that is said of the node, and the seed, from this file.")
@click.option("--service", help="Instead: the service, as in a scenario.")
@click.option("--config", default="{}", help="Its config, as JSON or @FILE.")
@click.option("--base", default=".", help="Folder of the files that it names.")
@click.option("--seed", default=1, help="Of its random numbers.")
@click.option("--file", "files", multiple=True, help="A further file or folder that it needs.")
@click.option("--image", help="An image that has the service and what it needs.")
def main(
    folder: Path,
    name: str,
    scenario: str | None,
    service: str | None,
    config: str,
    base: str,
    seed: int,
    files: tuple[str, ...],
    image: str | None,
) -> None:
    """Write a folder from which Docker puts a service of a scenario on a device."""
    try:
        if (scenario is None) == (service is None):
            raise UsageError("give --scenario or --service, one of them")
        if scenario is not None:
            node = of_scenario(scenario, name)
        else:
            node = Deployed(name, service or "", Path(base).absolute(), _config(config), seed, {})
        write(folder, node, image, files)
    except SimcoreError as error:
        report_error(error)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
