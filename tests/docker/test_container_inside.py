"""What a container may do, seen from inside: every measure, every limit, and what lifts each.

One run has a container for each case. All run the same service, which looks around and prints what
it finds.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contained import contained, log_of, run
from docker import DockerClient

LOOKS = '''
import json
import os
import socket
import threading


def attempt(action):
    """Nothing, or the error's name."""
    try:
        action()
    except OSError as error:
        import errno
        return errno.errorcode.get(error.errno, str(error))
    except RuntimeError as error:
        return str(error)
    return None


def write(path, data=b"x"):
    with open(path, "wb") as file:
        file.write(data)


def execute():
    write("/tmp/program", b"#!/bin/sh\\nexit 0\\n")
    os.chmod("/tmp/program", 0o755)
    os.execv("/tmp/program", ["program"])


def fill():
    with open("/tmp/much", "wb") as file:
        for _ in range(65):
            file.write(bytes(2**20))


def threads():
    go, count = threading.Event(), 0
    try:
        while count < 1000:
            threading.Thread(target=go.wait).start()
            count += 1
    except RuntimeError:
        pass
    go.set()
    return count


def first(*names):
    """The content of the first file that is there: cgroups have two versions."""
    for name in names:
        if os.path.exists(name):
            with open(name) as file:
                return file.read().strip()


def size(folder):
    if os.path.exists(folder):
        status = os.statvfs(folder)
        return status.f_blocks * status.f_frsize


def connect():
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(("192.0.2.1", 9))


class Looks:
    def start(self, ctx):
        with open("/proc/self/status") as status:
            fields = dict(line.rstrip().split(":\\t", 1) for line in status if ":\\t" in line)
        with open("/proc/mounts") as mounts:
            places = {line.split()[1]: line.split()[3].split(",") for line in mounts}
        with open("/proc/1/cmdline") as init:
            first_process = init.read().split("\\0")[0]
        found = {
            "user": [os.getuid(), os.getgid(), os.getgroups()],
            "capabilities": [fields["CapEff"], fields["CapBnd"]],
            "no_new_privileges": fields["NoNewPrivs"],
            "seccomp": fields["Seccomp"],
            "root": attempt(lambda: write("/written")),
            "etc": attempt(lambda: write("/etc/passwd")),
            "scenario": attempt(lambda: write(ctx.path("written"))),
            "door": attempt(lambda: write("/run/simcore/written")),
            "own": attempt(lambda: write("/var/tmp/written")),
            "tmp": attempt(lambda: write("/tmp/written")),
            "tmp_program": attempt(execute),
            "tmp_full": attempt(fill),
            "tmp_options": [word for word in ("nosuid", "nodev", "noexec")
                            if word in places["/tmp"]],
            "shm": "/dev/shm" in places,
            "interfaces": sorted(os.listdir("/sys/class/net")),
            "outside": attempt(connect),
            "processes": threads(),
            "init": os.path.basename(first_process),
            "host": socket.gethostname(),
            "secret": os.environ.get("SECRET"),
            "hash_seed": os.environ["PYTHONHASHSEED"],
            "own_variable": os.environ.get("OWN"),
            "docker": os.path.exists("/var/run/docker.sock"),
            "directory": os.getcwd(),
            "memory": first("/sys/fs/cgroup/memory.max",
                            "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
            "cpus": first("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
            "processors": sorted(os.sched_getaffinity(0)),
            "shm_size": size("/dev/shm"),
        }
        if os.path.exists("/tmp/much"):
            os.remove("/tmp/much")
        print(json.dumps(found))
'''

SCENARIO = """
simcore: 1
duration: 10ms
nodes:
  sink: {}
  plain: &looks {implementation: docker, service: looks.py:Looks, image: IMAGE}
  root: {<<: *looks, allow: [root]}
  root_with_capabilities: {<<: *looks, allow: [root, capabilities]}
  write: {<<: *looks, allow: [write]}
  network: {<<: *looks, allow: [network]}
  capabilities: {<<: *looks, allow: [capabilities]}
  limited:
    <<: *looks
    limits: {memory: 256MiB, cpus: 0.5, cpu_set: '0', processes: 20, shm: 8MiB}
    environment: {OWN: mine, PYTHONHASHSEED: '7'}
network: {model: latency, links: [{between: [plain, sink], delay: 1ms}]}
"""


@pytest.fixture(scope="module")
def found(
    base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Any]]]:
    with contained(tmp_path_factory.mktemp("inside")) as project:
        project.environment["SECRET"] = "of simcore's own environment"
        project.write("looks.py", LOOKS)
        project.write("scenario.yaml", SCENARIO.replace("IMAGE", base_image))
        run(project)
        names = ["plain", "root", "root_with_capabilities", "write", "network", "capabilities"]
        yield {name: json.loads(log_of(project, name)) for name in [*names, "limited"]}


@pytest.fixture(scope="module")
def plain(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return found["plain"]


NONE = "0000000000000000"

HARDENED: dict[str, Any] = {
    "user": [65534, 65534, [65534]],
    "capabilities": [NONE, NONE],
    "no_new_privileges": "1",
    "seccomp": "2",
    "root": "EROFS",
    "etc": "EROFS",
    "scenario": "EROFS",
    "door": "EROFS",
    "own": "EROFS",
    "tmp": None,
    "tmp_program": "EACCES",
    "tmp_full": "ENOSPC",
    "tmp_options": ["nosuid", "nodev", "noexec"],
    "shm": False,
    "interfaces": ["lo"],
    "outside": "ENETUNREACH",
    "host": "container",
    "secret": None,
    "hash_seed": os.environ.get("PYTHONHASHSEED", "0"),
    "own_variable": None,
    "docker": False,
    "directory": "/scenario",
    "memory": str(1 << 30),
}


@pytest.mark.parametrize("measure", HARDENED)
def test_by_default(plain: dict[str, Any], measure: str) -> None:
    assert plain[measure] == HARDENED[measure]


def test_an_init_reaps_and_hands_on_signals(plain: dict[str, Any]) -> None:
    assert plain["init"] in ("docker-init", "tini", "init")


def test_threads_are_counted(found: dict[str, dict[str, Any]]) -> None:
    """The init and the main thread are two of them."""
    assert 250 <= found["plain"]["processes"] <= 254
    assert 14 <= found["limited"]["processes"] <= 18


LIFTED: dict[str, dict[str, Any]] = {
    # Without a capability, root may not write what is nobody's.
    "root": {"user": [0, 0, [0]]},
    "write": {"root": "EACCES", "etc": "EACCES", "own": None},
    "capabilities": {"capabilities": [NONE, "00000000a80425fb"], "no_new_privileges": "0"},
    "root_with_capabilities": {
        "user": [0, 0, [0]],
        "capabilities": ["00000000a80425fb", "00000000a80425fb"],
        "no_new_privileges": "0",
    },
}
# What differs from run to run, or is asked for above.
VARIES = {"processes"}


@pytest.mark.parametrize("word", LIFTED)
def test_each_word_lifts_its_own_thing(found: dict[str, dict[str, Any]], word: str) -> None:
    changed = {
        key: value
        for key, value in found[word].items()
        if value != found["plain"][key] and key not in VARIES
    }
    assert changed == LIFTED[word]


def test_network_is_a_network_and_nothing_else(found: dict[str, dict[str, Any]]) -> None:
    changed = {
        key
        for key, value in found["network"].items()
        if value != found["plain"][key] and key not in VARIES
    }
    assert changed == {"interfaces", "outside"}
    assert found["network"]["interfaces"] == ["eth0", "lo"]
    assert found["network"]["outside"] != "ENETUNREACH"


def test_limits_are_in_force(found: dict[str, dict[str, Any]]) -> None:
    limited = found["limited"]
    assert limited["memory"] == str(256 << 20)
    assert limited["cpus"] in ("50000", "50000 100000")
    assert limited["processors"] == [0]
    assert limited["shm"] and limited["shm_size"] == 8 << 20
    assert (limited["own_variable"], limited["hash_seed"]) == ("mine", "7")


def test_without_limits_all_processors_are_there(plain: dict[str, Any]) -> None:
    assert plain["processors"] == sorted(os.sched_getaffinity(0))
    assert plain["cpus"] in ("-1", "max 100000")


IMPOSSIBLE = {
    "cpu_set: '4000'": "refuses to create the container .*: Requested CPUs are not available",
    "cpus: 4000": "refuses to create the container .*: Range of CPUs is from 0.01 to ",
}


@pytest.mark.parametrize("limit", IMPOSSIBLE)
def test_limits_that_the_machine_does_not_have(tmp_path: Path, base_image: str, limit: str) -> None:
    with contained(tmp_path) as project:
        project.write("looks.py", LOOKS)
        key, _, value = limit.partition(": ")
        project.write("scenario.yaml", SCENARIO.replace("IMAGE", base_image))
        ended = project.simcore("scenario.yaml", f"--set=nodes.limited.limits.{key}={value}")
        assert ended.code == 3
        assert "limited cannot be started: the Docker Engine refuses to create " in ended.err
        assert re.search(IMPOSSIBLE[limit], ended.err), ended.err


def test_the_seccomp_profile_is_the_engines(engine: DockerClient, plain: dict[str, Any]) -> None:
    """Of an engine that has one; else the measure above could not be met."""
    options = engine.info()["SecurityOptions"]
    assert any("seccomp" in option for option in options), platform.platform()
