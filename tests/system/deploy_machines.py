"""Stand-ins for `docker` and `ssh`, as strict as these: a machine to deploy from, and one to go to.

Each machine is a folder with its images and containers (JSON), what kind of machine it is, and the
commands that it was given. `python deploy_machines.py docker ...` is its `docker`. What the real
one refuses is refused: unknown options, images that are not there, names that are taken.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

PROGRAMS = ("docker", "ssh", "uname")
HOST = "pi@edge-1"

RUN = {
    *("detach", "init", "read-only"),
    *("name=", "restart=", "network=", "label=", "memory=", "memory-swap=", "pids-limit="),
    *("ipc=", "tmpfs=", "cap-drop=", "security-opt=", "user=", "cpus=", "cpuset-cpus="),
    *("shm-size=", "log-driver=", "log-opt=", "env-file="),
}
"""Options of `docker run` that are used; those that take a value end in =."""


@dataclass
class Machine:
    """A machine with Docker.

    Attributes:
        folder: where its state is.
    """

    folder: Path

    def prepare(self, system: str = "linux/amd64", processor: str = "x86_64") -> None:
        """Make it: a system as Docker calls it, a processor as uname does."""
        self.folder.mkdir()
        self.set("system", system)
        self.set("processor", processor)
        self.set("images", {})
        self.set("containers", {})
        self.set("calls", [])

    def get(self, name: str) -> Any:
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text("utf-8")) if file.exists() else None

    def set(self, name: str, value: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    def change(self, name: str, key: str, value: Any) -> None:
        """Set or, with None, remove an image or container."""
        found = self.get(name)
        if value is None:
            del found[key]
        else:
            found[key] = value
        self.set(name, found)

    def calls(self) -> list[list[str]]:
        """The `docker` commands that it was given."""
        found: list[list[str]] = self.get("calls")
        return found

    def verbs(self) -> list[str]:
        """The first words of those that change something."""
        asking = {"version", "image", "container", "logs"}
        return [call[0] for call in self.calls() if call[0] not in asking]


def environment(folder: Path, here: Machine, there: Machine) -> dict[str, str]:
    """What has a script find the stand-ins."""
    programs = folder / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        file = programs / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n', "utf-8")
        file.chmod(0o755)
    (programs / "sleep").write_text("#!/bin/sh\n", "utf-8")  # what is waited for is there at once
    (programs / "sleep").chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "MACHINE": str(here.folder),
        "OTHER_MACHINE": str(there.folder),
        "REGISTRY": str(folder / "registry.json"),
    }


def fail(text: str, code: int = 1) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    sys.exit(code)


def options(
    words: list[str], known: set[str], code: int = 1
) -> tuple[dict[str, list[str]], list[str]]:
    """The options before the first other word, and the rest, as Docker reads them."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).removeprefix("--").partition("=")
        if f"{name}=" in known:
            if not equals:
                value = rest.pop(0) if rest else fail(f"flag needs an argument: --{name}", code)
        elif name not in known or equals:
            fail(f"unknown flag: --{name}", code)
        found.setdefault(name, []).append(value)
    return found, rest


def one(rest: list[str]) -> str:
    if len(rest) != 1:
        fail(f'"docker" requires exactly 1 argument, and got {rest}')
    return rest[0]


def formatted(template: str, facts: dict[str, str]) -> None:
    """Print what a template asks for; each template is known, for the language is not."""
    if template not in facts:
        fail(f"template parsing error: {template}", 64)
    sys.stdout.write(f"{facts[template]}\n")


def docker_version(machine: Machine, words: list[str]) -> None:
    given, _ = options(words, {"format="})
    if machine.get("trouble") == "no engine":
        fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    facts = {
        "{{.Server.Version}}": "28.0",
        "{{.Server.Os}}/{{.Server.Arch}}": "/".join(machine.get("system").split("/")[:2]),
    }
    formatted(given["format"][0], facts)


def docker_build(machine: Machine, words: list[str]) -> None:
    given, rest = options(words, {"quiet", "tag=", "platform=", "build-arg="})
    context = Path(one(rest))
    arguments = dict(text.split("=", 1) for text in given.get("build-arg", ()))
    text = (context / "Dockerfile").read_text("utf-8")
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        if not (context / source).exists():
            fail(f"COPY failed: file not found in build context: {source}")
    system = given.get("platform", [machine.get("system")])[0]
    if "FROM ${IMAGE}" in text:
        base = machine.get("images").get(arguments["IMAGE"])
        if base is None:
            fail(f"pull access denied for {arguments['IMAGE']}")
        if machine.get("trouble") == "one platform":
            system = base["system"]
    elif machine.get("trouble") == "one platform":
        system = machine.get("system")
    files = sorted(file for file in context.rglob("*") if file.is_file())
    contents = [str(arguments), system, *(file.read_bytes().hex() for file in files)]
    identity = f"sha256:{sha256(json.dumps(contents).encode()).hexdigest()}"
    names = [file.relative_to(context).as_posix() for file in files]
    image = {"id": identity, "system": system, "files": names, "arguments": arguments}
    tag = given["tag"][0]
    if not re.fullmatch(r"[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*(?::[\w.-]{1,127})?", tag):
        fail(f'invalid argument "{tag}" for "-t, --tag" flag: invalid reference format', 125)
    machine.change("images", tag, image)
    sys.stdout.write(f"{identity}\n")


def docker_image(machine: Machine, words: list[str]) -> None:
    given, rest = options(words[1:], {"format="})
    image = machine.get("images").get(one(rest))
    if words[0] != "inspect" or image is None:
        fail(f"Error: No such image: {rest[0]}")
    variant = "{{if .Variant}}/{{.Variant}}{{end}}"
    facts = {"{{.Id}}": image["id"], "{{.Os}}/{{.Architecture}}" + variant: image["system"]}
    formatted(given["format"][0], facts)


def docker_save(machine: Machine, words: list[str]) -> None:
    tag = one(options(words, set())[1])
    json.dump([tag, machine.get("images")[tag]], sys.stdout)


def docker_load(machine: Machine, words: list[str]) -> None:
    if words:
        fail("docker load accepts no arguments")
    if machine.get("trouble") == "disk full":
        fail("write /manifest.json: no space left on device")
    tag, image = json.load(sys.stdin)
    machine.change("images", tag, image)
    sys.stdout.write(f"Loaded image: {tag}\n")


def registry() -> tuple[Path, dict[str, Any]]:
    file = Path(os.environ["REGISTRY"])
    return file, json.loads(file.read_text("utf-8")) if file.exists() else {}


def docker_push(machine: Machine, words: list[str]) -> None:
    tag = one(options(words, {"quiet"})[1])
    file, known = registry()
    file.write_text(json.dumps({**known, tag: machine.get("images")[tag]}), encoding="utf-8")


def docker_pull(machine: Machine, words: list[str]) -> None:
    tag = one(options(words, {"quiet"})[1])
    known = registry()[1]
    if tag not in known:
        fail(f"manifest for {tag} not found")
    machine.change("images", tag, known[tag])


def docker_container(machine: Machine, words: list[str]) -> None:
    given, rest = options(words[1:], {"format="})
    found = machine.get("containers").get(one(rest))
    if words[0] != "inspect" or found is None:
        fail(f"Error: No such container: {rest[0]}")
    labels = dict(each.split("=", 1) for each in found["options"].get("label", ()))
    facts = {
        '{{index .Config.Labels "simcore.deployed"}}': labels.get("simcore.deployed", ""),
        "{{.State.Status}} {{.RestartCount}}": f"{found['state']} {found.get('restarts', 0)}",
    }
    formatted(given["format"][0], facts)


def docker_logs(machine: Machine, words: list[str]) -> None:
    given, rest = options(words, {"tail=", "follow"})
    if one(rest) not in machine.get("containers"):
        fail(f"Error: No such container: {rest[0]}")
    lines = [f"line {number} of its log" for number in range(30)]
    sys.stderr.write("".join(f"{line}\n" for line in lines[-int(given["tail"][0]) :]))


def docker_stop(machine: Machine, words: list[str]) -> None:
    name = one(options(words, {"time="})[1])
    machine.change("containers", name, {**machine.get("containers")[name], "state": "exited"})


def docker_rm(machine: Machine, words: list[str]) -> None:
    name = one(options(words, set())[1])
    if machine.get("containers")[name]["state"] != "exited":
        fail("You cannot remove a running container")
    machine.change("containers", name, None)


def docker_run(machine: Machine, words: list[str]) -> None:
    given, rest = options(words, RUN, 125)
    (tag,) = rest
    (name,) = given["name"]
    if name in machine.get("containers"):
        fail(f'Conflict. The container name "/{name}" is already in use', 125)
    if tag not in machine.get("images"):
        docker_pull(machine, [tag])
    image = machine.get("images")[tag]
    if image["system"].split("/")[:2] != machine.get("system").split("/")[:2]:
        fail("exec format error", 125)
    lines = Path(given["env-file"][0]).read_text("utf-8").splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    state = {"options": given, "image": tag, "environment": variables, "state": "running"}
    if trouble := machine.get("crash"):
        status, restarts = trouble
        state |= {"state": status, "restarts": restarts}
    machine.change("containers", name, state)
    sys.stdout.write(f"{sha256(name.encode()).hexdigest()}\n")


def docker(machine: Machine, words: list[str]) -> None:
    calls = machine.calls()
    machine.set("calls", [*calls, words])
    known = {
        "version": docker_version,
        "build": docker_build,
        "image": docker_image,
        "save": docker_save,
        "load": docker_load,
        "push": docker_push,
        "pull": docker_pull,
        "container": docker_container,
        "logs": docker_logs,
        "stop": docker_stop,
        "rm": docker_rm,
        "run": docker_run,
    }
    if not words or words[0] not in known:
        fail(f"docker: {words[:1]} is not a docker command.")
    known[words[0]](machine, words[1:])


def ssh(words: list[str]) -> None:
    """Runs its words, joined by blanks, in a shell of the other machine."""
    while words and words[0] in ("-C", "--"):
        if words.pop(0) == "--":
            break
    if not words or words[0].startswith("-"):
        fail("usage: ssh [-C] destination [command]", 255)
    if words[0] != HOST:
        fail(f"ssh: Could not resolve hostname {words[0]}", 255)
    machine = {**os.environ, "MACHINE": os.environ["OTHER_MACHINE"]}
    # As the real one, it reads all that there is, whether the command wants it or not.
    given = sys.stdin.buffer.read()
    command = ["sh", "-c", " ".join(words[1:])]
    sys.exit(subprocess.run(command, env=machine, input=given, check=False).returncode)


if __name__ == "__main__":
    program, *arguments = sys.argv[1:]
    itself = Machine(Path(os.environ["MACHINE"]))
    if program == "ssh":
        ssh(arguments)
    elif program == "docker":
        docker(itself, arguments)
    elif arguments == ["-m"]:
        sys.stdout.write(f"{itself.get('processor')}\n")
    else:
        os.execv("/usr/bin/uname", ["uname", *arguments])
