"""`scripts/deploy_to_edge.sh`, from one machine to another; what stands in for Docker is strict."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy_machines import HOST, Machine, environment
from simcore_backends.docker import images
from simcore_backends.services.echo import Echo
from support import ROOT, unavailable

SCRIPT = ROOT / "scripts" / "deploy_to_edge.sh"
NAME = "simcore-gateway"

SCENARIO = """\
simcore: 1
seed: 42
duration: 1s
nodes:
  gateway:
    tier: edge
    service: echo
    config: {kind: "it's $HOME", compute: {table: costs.txt}}
  meter: {count: 2}
  mine: {service: 'mine.py:Mine', config: {notes: [notes/a.txt]}}
"""


@dataclass
class Machines:
    """The machine that the script runs on, and one that it reaches by ssh."""

    folder: Path
    here: Machine
    there: Machine
    variables: dict[str, str]

    def deploy(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *words],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def gateway(self, *words: str, to: tuple[str, ...] = ("--target", HOST)) -> str:
        """Deploy the node `gateway`; what was printed."""
        ended = self.deploy(*GATEWAY, *to, *words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def refused(self, *words: str, to: tuple[str, ...] = ("--target", HOST)) -> str:
        """Have it refused; the last line of why."""
        ended = self.deploy(*GATEWAY, *to, *words)
        assert ended.returncode == 2, ended
        return ended.stderr.splitlines()[-1]


GATEWAY = ("--scenario", "scenario.yaml", "--name", "gateway", "--broker", "mqtt.local")


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    here, there = Machine(tmp_path / "here"), Machine(tmp_path / "there")
    here.prepare()
    there.prepare()
    (tmp_path / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    (tmp_path / "costs.txt").write_text("1ms\n", encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def start(self, ctx):\n        pass\n", "utf-8"
    )
    (tmp_path / "notes").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "notes" / name).write_text(name, encoding="utf-8")
    return Machines(tmp_path, here, there, environment(tmp_path, here, there))


def test_over_ssh(machines: Machines) -> None:
    out = machines.gateway()
    assert out.splitlines()[-2:] == [
        f"{NAME} runs on {HOST}; what it says is shown by",
        f"ssh -- {HOST} 'docker logs --follow {NAME}'",
    ]
    assert machines.here.verbs() == ["build", "build", "save"]
    assert machines.there.verbs() == ["load", "run"]
    container = machines.there.get("containers")[NAME]
    image = machines.there.get("images")[container["image"]]
    assert image["files"] == ["Dockerfile", "files/costs.txt"]
    assert list(machines.there.get("images")) == [container["image"]]
    service = machines.here.get("images")[image["arguments"]["IMAGE"]]
    assert "runtime/simcore/protocol/service.py" in service["files"]
    assert "runtime/simcore_backends/services/deploy/__main__.py" in service["files"]
    assert container["environment"] == {
        "PYTHONHASHSEED": "0",
        "SIMCORE_DEPLOY_NAME": "gateway",
        "SIMCORE_DEPLOY_SERVICE": "simcore_backends.services.echo:Echo",
        "SIMCORE_DEPLOY_SEED": "42",
        "SIMCORE_DEPLOY_CONFIG": '{"kind":"it\'s $HOME","compute":{"table":"costs.txt"}}',
        "SIMCORE_DEPLOY_BROKER": "mqtt.local",
    }
    options = container["options"]
    assert options["restart"] == ["unless-stopped"]
    assert options["network"] == ["bridge"]
    assert options["label"] == ["simcore.deployed=gateway"]
    assert options["memory"] == options["memory-swap"] == [str(2**30)]
    assert {"read-only", "init"} <= options.keys()
    assert (options["user"], options["cap-drop"]) == (["65534:65534"], ["ALL"])


def test_what_is_there_already_is_not_sent_again(machines: Machines) -> None:
    machines.gateway()
    machines.gateway()
    assert machines.here.verbs() == ["build", "build", "save", "build"]
    assert machines.there.verbs() == ["load", "run", "stop", "rm", "run"]


def test_the_image_that_simulations_have_is_taken(machines: Machines) -> None:
    name = _image_of_simulations()
    machines.here.change("images", name, {"id": "sha256:1", "system": "linux/amd64"})
    assert f"{name} is here already" in machines.gateway().splitlines()
    assert machines.here.verbs() == ["build", "save"]
    (image,) = machines.there.get("images").values()
    assert image["arguments"] == {"IMAGE": name}
    machines.gateway("--platform", "linux/amd64")
    assert machines.here.verbs() == ["build", "save", "build"]


def test_for_another_processor_the_image_of_simulations_stays_what_it_is(
    machines: Machines,
) -> None:
    name = _image_of_simulations()
    simulated = {"id": "sha256:1", "system": "linux/amd64"}
    machines.here.change("images", name, simulated)
    machines.there.set("system", "linux/arm64")
    machines.gateway("--platform", "linux/arm64")
    machines.gateway("--platform", "linux/arm64")
    assert machines.here.verbs() == ["build", "build", "save", "build"]
    found = machines.here.get("images")
    assert found[name] == simulated
    assert found[f"{name}-linux-arm64"]["system"] == "linux/arm64"


@pytest.mark.docker  # without docker-py, that is what is said
def test_an_image_on_a_base_that_is_not_known_is_built_each_time(machines: Machines) -> None:
    machines.variables |= {"SIMCORE_BASE_IMAGE": "lab/python:3", "DOCKER_HOST": "unix:///nowhere"}
    ended = machines.deploy(*GATEWAY, "--target", HOST)
    assert re.match(
        r"simcore: simcore/echo:\w{12}-no-base: simulations name it otherwise, for the digest lacks "
        "the id of its base: no Docker Engine answers at unix:///nowhere",
        ended.stderr,
    )
    machines.gateway()
    assert machines.here.verbs() == ["build", "build", "save", "build", "build"]


def _image_of_simulations() -> str:
    context = images.context_of(images.folder_of(Echo))
    return f"simcore/echo:{images.digest(context, images.build_arguments(), None)}"


def test_what_is_meant_for_its_caller_is_not_read(machines: Machines) -> None:
    command = f"{SCRIPT} {' '.join(GATEWAY)} --target {HOST} >script.log && cat"
    ended = subprocess.run(
        ["sh", "-c", command],
        cwd=machines.folder,
        env={**os.environ, **machines.variables},
        input="the next host\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "the next host\n"


def test_any_name_of_a_node_makes_an_image(machines: Machines) -> None:
    words = ("--service", "echo", "--name", "Gate__way..7-", "--broker", "b", "--target", HOST)
    assert machines.deploy(*words).returncode == 0
    (container,) = machines.there.get("containers").values()
    assert container["options"]["name"] == ["simcore-Gate__way..7-"]
    assert container["image"].startswith("simcore-deployed/gate-way-7:")


def test_this_machine(machines: Machines) -> None:
    machines.gateway(to=("--target", "local"))
    assert machines.here.verbs() == ["build", "build", "run"]
    assert machines.here.get("containers")[NAME]["state"] == "running"
    assert machines.there.calls() == []


def test_options_of_the_container(machines: Machines) -> None:
    (machines.folder / "more.env").write_text(
        '# access\nSIMCORE_DEPLOY_USER=me\nSIMCORE_DEPLOY_PASSWORD=it\'s "a" $ecret\n', "utf-8"
    )
    machines.gateway(
        *("--prefix", "plant 7/it's", "--env-file", "more.env"),
        *("--network", "host", "--restart", "on-failure:3"),
    )
    container = machines.there.get("containers")[NAME]
    assert container["environment"].items() >= {
        ("SIMCORE_DEPLOY_PREFIX", "plant 7/it's"),
        ("SIMCORE_DEPLOY_USER", "me"),
        ("SIMCORE_DEPLOY_PASSWORD", 'it\'s "a" $ecret'),
    }
    assert container["options"]["network"] == ["host"]
    assert container["options"]["restart"] == ["on-failure:3"]
    assert "ecret" not in json.dumps(machines.here.calls() + machines.there.calls())


def test_a_service_without_a_scenario(machines: Machines) -> None:
    ended = machines.deploy(
        *("--service", "echo", "--config", '{"kind": "pong"}', "--seed", "3", "--base", "notes"),
        *("--file", "b.txt", "--name", "gateway", "--broker", "b", "--target", HOST),
    )
    assert ended.returncode == 0, ended.stderr
    container = machines.there.get("containers")[NAME]
    assert container["environment"]["SIMCORE_DEPLOY_CONFIG"] == '{"kind":"pong"}'
    assert container["environment"]["SIMCORE_DEPLOY_SEED"] == "3"
    files = machines.there.get("images")[container["image"]]["files"]
    assert files == ["Dockerfile", "files/b.txt"]


def test_a_service_of_the_scenarios_own(machines: Machines) -> None:
    words = ("--scenario", "scenario.yaml", "--name", "mine", "--broker", "b", "--target", HOST)
    assert machines.deploy(*words, "--file", "notes").returncode == 0
    container = machines.there.get("containers")["simcore-mine"]
    assert container["environment"]["SIMCORE_DEPLOY_SERVICE"] == "mine.py:Mine"
    image = machines.there.get("images")[container["image"]]
    assert image["files"] == [
        *("Dockerfile", "files/mine.py", "files/notes/a.txt", "files/notes/b.txt")
    ]
    assert image["arguments"]["IMAGE"].startswith("simcore/echo:")


def test_an_image_of_the_users(machines: Machines) -> None:
    assert (
        "pull access denied"
        in machines.deploy(*GATEWAY, "--target", HOST, "--image", "mine:1").stderr
    )
    machines.here.change("images", "mine:1", {"id": "sha256:1", "system": "linux/amd64"})
    machines.gateway("--image", "mine:1")
    assert machines.here.verbs() == ["build", "build", "save"]


# -- processors


@pytest.mark.parametrize(
    ("target", "processor", "found"),
    [
        ("linux/arm64", "aarch64", "linux/arm64"),
        ("linux/arm", "armv7l", "linux/arm/v7"),
        ("linux/arm", "armv6l", "linux/arm/v6"),
        ("linux/arm", "aarch64", "linux/arm/v8"),
        ("windows/amd64", "x86_64", "windows/amd64"),
    ],
)
def test_another_processor_is_noticed_before_anything_is_sent(
    machines: Machines, target: str, processor: str, found: str
) -> None:
    machines.there.set("system", target)
    machines.there.set("processor", processor)
    assert machines.refused() == (
        f"deploy_to_edge.sh: the image is for linux/amd64 and {HOST} is {found}: "
        f"add --platform {found}"
    )
    assert machines.here.verbs() == ["build", "build"]
    assert machines.there.verbs() == []


@pytest.mark.parametrize(
    ("target", "processor", "platform"),
    [
        ("linux/arm64", "aarch64", "linux/arm64"),
        ("linux/arm64", "aarch64", "linux/arm64/v8"),
        ("linux/arm", "armv7l", "linux/arm/v7"),
        ("linux/arm", "armv7l", "linux/arm/v6"),
        ("linux/arm", "armv6l", "linux/arm"),
        ("linux/arm", "aarch64", "linux/arm/v7"),
    ],
)
def test_an_image_for_the_targets_processor(
    machines: Machines, target: str, processor: str, platform: str
) -> None:
    machines.there.set("system", target)
    machines.there.set("processor", processor)
    machines.gateway("--platform", platform)
    (image,) = machines.there.get("images").values()
    assert image["system"] == platform


def test_an_older_processor_of_the_same_family(machines: Machines) -> None:
    machines.there.set("system", "linux/arm")
    machines.there.set("processor", "armv6l")
    assert "is linux/arm/v6" in machines.refused("--platform", "linux/arm/v7")
    assert machines.there.verbs() == []


def test_a_base_image_for_one_processor_only(machines: Machines) -> None:
    machines.here.set("trouble", "one platform")
    machines.there.set("system", "linux/arm64")
    assert machines.refused("--platform", "linux/arm64").startswith(
        "deploy_to_edge.sh: the image is for linux/amd64, not for linux/arm64: "
    )
    assert machines.there.calls() == []


# -- a registry


def test_by_a_registry(machines: Machines) -> None:
    machines.gateway("--registry", "registry.example/team/")
    assert machines.here.verbs() == ["build", "build", "push"]
    assert machines.there.verbs() == ["pull", "run"]
    container = machines.there.get("containers")[NAME]
    assert container["image"].startswith("registry.example/team/gateway:")


def test_to_a_registry_alone_says_how_a_device_starts_it(machines: Machines) -> None:
    out = machines.gateway(to=("--registry", "registry.example/team"))
    assert machines.here.verbs() == ["build", "build", "push"]
    *_, says, command = out.splitlines()
    assert says == f"pushed; with {NAME}.env, a device starts it by"
    file = machines.folder / f"{NAME}.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    device = {**os.environ, **machines.variables, "MACHINE": str(machines.there.folder)}
    subprocess.run(["sh", "-c", command], cwd=machines.folder, env=device, check=True)
    container = machines.there.get("containers")[NAME]
    assert container["environment"]["SIMCORE_DEPLOY_BROKER"] == "mqtt.local"
    assert container["options"]["restart"] == ["unless-stopped"]


# -- a dry run


def _words(line: str) -> list[str]:
    """The words of a line, as a shell reads them."""
    told = subprocess.run(
        ["sh", "-c", f'for word in {line}; do printf "%s\\0" "$word"; done'],
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.split("\0")[:-1]


def test_a_dry_run_does_nothing_and_says_all(machines: Machines) -> None:
    more = "SIMCORE_DEPLOY_USER=me\nSIMCORE_DEPLOY_PASSWORD=secret\n"
    (machines.folder / "more.env").write_text(more, "utf-8")
    lines = machines.gateway("--dry-run", "--env-file", "more.env").splitlines()
    assert machines.here.calls() == machines.there.calls() == []
    machines.gateway("--env-file", "more.env")

    def without_places(words: list[str]) -> list[str]:
        return [Path(word).name if "/tmp" in word and ":" not in word else word for word in words]

    done = [call for call in machines.here.calls() if call[0] == "build"]
    for line, call in zip(lines[:2], done, strict=True):
        assert without_places(_words(line)) == without_places(["docker", *call])
    asked, sent, started = lines[2:5]
    first_asked, *_, ran, _, _, looked = machines.there.calls()
    over = ["ssh", "--", HOST]
    assert _words(asked)[:3] == over
    assert _words(_words(asked)[3]) == ["docker", *first_asked]
    first, second = sent.split(" | ")
    assert _words(first) == ["docker", *machines.here.calls()[-1]]
    assert _words(second) == ["ssh", "-C", "--", HOST, "docker", "load"]
    assert _words(started.removesuffix(" <<end"))[:3] == over
    assert _words(_words(started.removesuffix(" <<end"))[3]) == ["docker", *ran]
    told = machines.there.get("containers")[NAME]["environment"]
    told["SIMCORE_DEPLOY_PASSWORD"] = "..."
    assert lines[5:-1] == [*(f"{key}={value}" for key, value in told.items()), "end"]
    assert _words(lines[-1])[:3] == over
    assert _words(_words(lines[-1])[3]) == ["docker", *looked]


def test_a_dry_run_needs_no_docker(machines: Machines) -> None:
    machines.here.set("trouble", "no engine")
    assert "docker push --quiet registry.example/gateway:" in machines.gateway(
        "--dry-run", to=("--registry", "registry.example")
    )
    assert not (machines.folder / f"{NAME}.env").exists()


# -- trouble


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--name is missing"),
        (("--name", "gateway"), "--broker is missing"),
        (GATEWAY, "say where to: --target, --registry, or both"),
        ((*GATEWAY, "--target", "-oProxyCommand=x"), "a host does not begin with -"),
        ((*GATEWAY, "--colour"), "--colour is not known (try --help)"),
        ((*GATEWAY, "--target", HOST, "--broker", "x:port"), "host:port, as 10.0.0.2:1883"),
        ((*GATEWAY, "--target", HOST, "--prefix", "a/+"), "'a/+' is no beginning of a topic"),
        ((*GATEWAY, "--target", HOST, "--env-file", "qos.env"), "a whole number from 0 to 2"),
        ((*GATEWAY, "--target", HOST, "--env-file", "mqtt.env"), "--mqtt is no JSON"),
        ((*GATEWAY, "--target"), "--target needs a value"),
        ((*GATEWAY, "--target", ""), "--target needs a value"),
        ((*GATEWAY, "--colour", "red"), "--colour is not known (try --help)"),
        ((*GATEWAY, "gateway"), "gateway is not known (try --help)"),
        ((*GATEWAY, "--target", HOST, "--platform", "arm64"), "as linux/arm64"),
        ((*GATEWAY, "--target", HOST, "--env-file", "no.env"), "no.env: no such file"),
        ((*GATEWAY, "--target", HOST, "--env-file", "costs.txt"), "SIMCORE_DEPLOY_SOMETHING=VALUE"),
        ((*GATEWAY, "--target", HOST, "--file", "gone"), "there is no 'gone' below"),
        ((*GATEWAY, "--target", HOST, "--file", "../x"), "there is no '../x' below"),
        ((*GATEWAY, "--target", HOST, "--service", "echo"), "--scenario or --service, one of them"),
        (
            (*GATEWAY, "--target", HOST, "--name", "meter-1"),
            "meter-1 of scenario.yaml has no 'serv",
        ),
        ((*GATEWAY, "--target", HOST, "--name", "m"), "no node 'm'; it has gateway, meter-0, "),
        ((*GATEWAY, "--target", HOST, "--scenario", "no.yaml"), "no.yaml"),
        (
            ("--name", "a/b", *GATEWAY[4:], "--target", HOST, "--service", "echo"),
            "no name of a node",
        ),
        ((*GATEWAY[2:], "--target", HOST, "--service", "eccho"), "no service 'eccho' is installed"),
        ((*GATEWAY[2:], "--target", HOST, "--service", "echo", "--config", "["), "is no JSON"),
    ],
)
def test_what_makes_no_sense(machines: Machines, words: tuple[str, ...], says: str) -> None:
    (machines.folder / "qos.env").write_text("SIMCORE_DEPLOY_QOS=3\n", "utf-8")
    (machines.folder / "mqtt.env").write_text("SIMCORE_DEPLOY_MQTT={broker}\n", "utf-8")
    ended = machines.deploy(*words)
    assert ended.returncode == 2
    assert says in ended.stderr and "Traceback" not in ended.stderr
    assert machines.here.calls() == machines.there.calls() == []


def _no_engine_here(machines: Machines) -> None:
    machines.here.set("trouble", "no engine")


def _no_engine_there(machines: Machines) -> None:
    machines.there.set("trouble", "no engine")


def _disk_full(machines: Machines) -> None:
    machines.there.set("trouble", "disk full")


def _taken(machines: Machines) -> None:
    machines.there.change("containers", NAME, {"options": {}, "state": "running"})


@pytest.mark.parametrize(
    ("trouble", "says", "verbs"),
    [
        (_no_engine_here, "no Docker Engine answers here", []),
        (_no_engine_there, f"--target {HOST}: no Docker Engine answers there", []),
        (_disk_full, f"the image did not reach {HOST}", ["load"]),
        (_taken, f"a container {NAME} already, and this script did not make it", ["load"]),
    ],
)
def test_trouble_with_an_engine(
    machines: Machines, trouble: Callable[[Machines], None], says: str, verbs: list[str]
) -> None:
    trouble(machines)
    assert says in machines.refused()
    assert machines.there.verbs() == verbs


@pytest.mark.parametrize("state", [("restarting", 2), ("running", 1), ("exited", 0)])
def test_a_container_that_does_not_stay_up(machines: Machines, state: tuple[str, int]) -> None:
    machines.there.set("crash", state)
    ended = machines.deploy(*GATEWAY, "--target", HOST)
    assert ended.returncode == 2
    assert "runs on" not in ended.stdout
    *log, last = ended.stderr.splitlines()
    assert log == [f"line {number} of its log" for number in range(10, 30)]
    assert last == (
        f"deploy_to_edge.sh: {NAME} does not stay up on {HOST} (state and restarts: {state[0]} "
        f"{state[1]}; its last lines are above); it is left there: docker rm --force {NAME} ends it"
    )


def test_a_container_that_ends_after_some_seconds(machines: Machines) -> None:
    there = machines.there.folder
    (machines.folder / "bin" / "sleep").write_text(
        "#!/bin/sh\n"
        f'[ $1 = 3 ] && sed -i \'s/"running"/"restarting"/\' {there}/containers.json\n'
        "true\n",
        "utf-8",
    )
    assert "(state and restarts: restarting 0; " in machines.refused()


def test_a_host_that_cannot_be_reached(machines: Machines) -> None:
    last = machines.refused(to=("--target", "pi@nowhere"))
    assert last == "deploy_to_edge.sh: --target pi@nowhere: ssh cannot connect"


def test_what_cannot_be_built_is_not_sent(machines: Machines) -> None:
    assert machines.refused("--image", "gone:1").endswith(" cannot be built")
    assert machines.there.calls() == []


def test_without_simcore(machines: Machines) -> None:
    machines.variables["PYTHON"] = "no-such-python"
    machines.variables["PATH"] = f"{machines.folder / 'bin'}:/usr/bin:/bin"
    assert "simcore is not installed: set PYTHON" in machines.refused()


def test_nothing_is_left_in_the_folder_for_temporary_files(machines: Machines) -> None:
    folder = machines.folder / "temporary"
    folder.mkdir()
    machines.variables["TMPDIR"] = str(folder)
    machines.gateway()
    machines.refused("--file", "gone")
    assert list(folder.iterdir()) == []


def test_help_says_what_each_option_does(machines: Machines) -> None:
    out = machines.deploy("--help").stdout
    reading = SCRIPT.read_text(encoding="utf-8").partition("while [ $# -gt 0 ]")[2]
    options = set(re.findall(r"--[a-z-]{2,}", reading.partition("\ndone\n")[0]))
    assert options
    assert [each for each in sorted(options - {"--help"}) if f"  {each} " not in out] == []
    assert out.startswith("Puts a service of a scenario on a device")
    assert "set -euo" not in out


def test_the_bundle_needs_no_docker_library(machines: Machines) -> None:
    program = (
        "import sys; sys.modules['docker'] = None; "
        "from simcore_backends.docker.bundle import main; main()"
    )
    words = ["made", "--scenario", "scenario.yaml", "--name", "gateway"]
    subprocess.run([sys.executable, "-c", program, *words], cwd=machines.folder, check=True)
    assert sorted(file.name for file in (machines.folder / "made").iterdir()) == [
        *("image", "image.args", "names", "node", "node.env", "run.args")
    ]
    ended = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=machines.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "simcore: made is there already and not empty\n"


@pytest.mark.parametrize("script", ["deploy_to_edge.sh", "flash.sh"])
def test_shellcheck_has_nothing_to_say(script: str) -> None:
    place = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    checker = shutil.which("shellcheck", path=place)
    if checker is None:
        unavailable("shellcheck is not installed")
    told = subprocess.run(
        [checker, ROOT / "scripts" / script], capture_output=True, text=True, check=False
    )
    assert told.stdout == ""
