"""Whatever is wrong with ns-3, with what it is given, or with what it does ends in one report.

Each test is a run of the command line, after which no process and no directory is left.

meter x 2 --[csma 10 Mbit/s]-- gateway --[p2p 10 Mbit/s, 1 ms]-- cloud      (island, alone)
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from firmware_devices import completed, manifest, program, refused, report_of, run, without
from ns3_native import require_ns3
from outsiders import left_of, outsiders
from simcore_netmodels.ns3 import wheel
from support import Project, until_none, without_progress

from simcore import open_run

pytestmark = pytest.mark.ns3

MODELS = """
import os
import shutil
import signal
from pathlib import Path


def strike(name):
    '''Send a signal to the process of ns-3.'''
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if b"simcore_netmodels.ns3.child" in command and int(parent) == os.getpid():
                os.kill(int(entry.name), signal.Signals[name])


def meter(node):
    while True:
        yield node.sleep("10ms")
        size, to = 100, "cloud"
        if node.now == 500_000_000 and node.index == 0:
            if "strike" in node.config:
                strike(node.config["strike"])
            if "remove" in node.config:
                shutil.rmtree(node.config["remove"])
            if "say" in node.config:
                Path(os.environ["READY"]).write_text(node.config["say"])
            size, to = node.config.get("size", size), node.config.get("to", to)
        node.send(to, "reading", size=size)
"""

SCENARIO = """
simcore: 1
name: packets
duration: 1s
nodes:
  meter: {count: 2, model: models.py:meter, config: {}}
  gateway: {tier: edge}
  cloud: {tier: cloud}
  island: {tier: cloud}
  boat: {tier: cloud}
network:
  model: ns3
  segments:
    - {kind: csma, nodes: [meter, gateway], rate: 10Mbit/s, delay: 1us}
    - {kind: p2p, between: [gateway, cloud], rate: 10Mbit/s, delay: 1ms}
    - {kind: p2p, between: [island, boat], rate: 10Mbit/s, delay: 1ms}
"""

MS = 10**6


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with outsiders(tmp_path) as made:
        made.write("models.py", MODELS)
        made.write("scenario.yaml", SCENARIO)
        yield made


@pytest.fixture(scope="module")
def library() -> None:
    """ns-3, and what is compiled against it."""
    require_ns3()
    wheel.library()


def config(**keys: Any) -> str:
    return f"--set=nodes.meter.config={json.dumps(keys)}"


def network(**keys: Any) -> list[str]:
    return [f"--set=network.{key}={json.dumps(value)}" for key, value in keys.items()]


def told_before_anything_starts(project: Project, *more: str) -> str:
    """What running and checking say alike."""
    shown = refused(project, *more)
    checked = project.simcore("validate", "scenario.yaml", *more)
    assert checked.code == 2
    assert shown.splitlines()[0] in checked.out + checked.err
    return shown


def readable_until(project: Project) -> int:
    """Results so far: when the last delivery was, ns."""
    with open_run(project.path / "run") as opened:
        (at,) = opened.connection.execute(
            "SELECT max(at) FROM messages WHERE fate = 'delivered'"
        ).fetchone()
    return int(at or 0)


def refused_by_ns3(project: Project, *more: str) -> str:
    """A run that ns-3 does not even begin: the first line of the report."""
    ended = run(project, *more)
    assert "at virtual time 0s\n" in ended.err, "no node is to blame"
    report = report_of(project, ended, "network")
    assert (report.rule, report.process) == ("participant-error", "exited with code 1")
    assert "waits for network to be ready" in report.text
    assert report.at == 0
    return report.first


# -- what is installed -----------------------------------------------------------------------------

INSTALL = "pip install --no-deps ns3==3.44.post0"


def first(project: Project, files: dict[str, str]) -> None:
    """Have files stand before all that is installed."""
    for name, text in files.items():
        file = project.path / "first" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    project.environment["PYTHONPATH"] = str(project.path / "first")


NONE = """
import importlib.metadata as metadata

installed = metadata.version


def version(name):
    if name == "ns3":
        raise metadata.PackageNotFoundError(name)
    return installed(name)


metadata.version = version
"""


def test_no_wheel(project: Project) -> None:
    first(project, {"sitecustomize.py": NONE})
    shown = told_before_anything_starts(project)
    assert shown.startswith(
        f"scenario.yaml:12:10: network.model: ns-3 is not installed: {INSTALL}\n"
    )
    ended = project.simcore("doctor")
    assert re.search(r"ns3 +.*ns-3 is not installed", ended.out), ended.out


def test_another_wheel(project: Project) -> None:
    first(project, {"ns3-3.43.post9.dist-info/METADATA": "Name: ns3\nVersion: 3.43.post9\n"})
    assert (
        f"12:10: network.model: ns-3 3.43.post9 is installed, and 3.44.post0 is needed: {INSTALL}\n"
        in told_before_anything_starts(project)
    )


def test_a_wheel_that_is_not_whole(project: Project) -> None:
    parts = {"ns3-3.44.post0.dist-info/METADATA": "Name: ns3\nVersion: 3.44.post0\n"}
    first(project, {**parts, "ns3/__init__.py": ""})
    assert (
        f"the package ns3 3.44.post0 has no headers: {INSTALL} --force-reinstall"
        in told_before_anything_starts(project)
    )


# -- the compiler ----------------------------------------------------------------------------------


@pytest.fixture
def cold(project: Project, library: None) -> Path:
    """The cache, with nothing in it; in the end nothing half done, either."""
    cache = project.path / "cache"
    project.environment["XDG_CACHE_HOME"] = str(cache)
    return cache / "simcore" / "builds"


def test_no_compiler(project: Project, cold: Path) -> None:
    without(project, "c++", "g++")
    assert (
        "12:10: network.model: ns-3 3.44.post0; there is no c++ in PATH: install a C++ compiler "
        "(Debian: apt-get install g++)\n" in told_before_anything_starts(project)
    )


def not_built(project: Project, cold: Path) -> str:
    """The report of a library that cannot be built."""
    ended = run(project)
    assert ended.code == 2, ended.err
    told, _, report = ended.err.rpartition("simcore: ")
    assert told in ("", "what connects simcore with ns-3 is compiled, once: that takes some 20 s\n")
    assert report.startswith("what connects simcore with ns-3 cannot be built: ")
    assert list(cold.iterdir()) == []
    return ended.err


def test_a_compiler_that_fails(project: Project, cold: Path) -> None:
    text = (
        '[ $1 = --version ] && exec echo 1.0\necho "fence.h:20: error: no such thing" >&2\nexit 1'
    )
    compiler = program(project, "compiler", text)
    project.environment["CXX"] = str(compiler)
    shown = not_built(project, cold)
    assert f"{compiler} -std=c++20" in shown and "participant.cc" in shown
    assert "failed with code 1:\n    fence.h:20: error: no such thing\n" in shown
    assert (
        f"CXX in the environment is {str(compiler)!r}: name a C++ compiler, or remove it" in shown
    )


def test_a_compiler_that_makes_nothing(project: Project, cold: Path) -> None:
    project.environment["CXX"] = str(program(project, "compiler", "exit 0"))
    assert "the build left no simcore-ns3.so" in not_built(project, cold)


def test_a_compiler_that_makes_something_else(project: Project, cold: Path) -> None:
    text = 'while [ $# -gt 1 ]; do\n[ "$1" = -o ] && echo nothing >"$2"\nshift\ndone'
    project.environment["CXX"] = str(program(project, "compiler", text))
    found = refused_by_ns3(project)
    assert "simcore-ns3.so: file too short: remove its folder, and it is built anew" in found


# -- what it is given ------------------------------------------------------------------------------


IMPOSSIBLE = """
network:
  model: ns3
  segments:
    - {kind: csma, nodes: [meter, gatway], queue: 0, rate: 10Mbit/s, delay: 1us}
    - {kind: p2p, between: [cloud, cloud], rate: 10Mbit/s, delay: 1ms}
    - {kind: p2p, between: [island, boat], standard: 802.11g, rate: 10Mbit/s, delay: 1ms}
  defaults:
    SegmentSize: 500
    ns3::PointToPointNetDevice::DataRate: 1Mbps
    ns3::PointToPointChannel::Delay: 1ms
    ns3::CsmaChannel::DataRate: 1Mbps
    ns3::CsmaChannel::Delay: 1ms
    ns3::DropTailQueue<Packet>::MaxSize: 5p
"""


def test_what_cannot_be(project: Project, library: None) -> None:
    """All at once, each with its place. What segments say is not said again without effect."""
    project.write("scenario.yaml", SCENARIO.partition("network:")[0] + IMPOSSIBLE.lstrip())
    shown = told_before_anything_starts(project)
    again = 'network.defaults."{}": has no effect: segments say it with {!r}'.format
    assert [line.split(": ", 1) for line in shown.splitlines()[:-1]] == [
        [f"scenario.yaml:{place}", problem]
        for place, problem in (
            (
                "14:35",
                "network.segments[0].nodes[1]: there is no node or group 'gatway' (did you mean "
                "'gateway'?)",
            ),
            ("14:51", "network.segments[0].queue: must be at least 1, got 0"),
            ("15:19", "network.segments[1].between: connects a node with itself"),
            (
                "16:44",
                "network.segments[2].standard: 'standard' has no effect on a segment of kind p2p",
            ),
            ("18:5", "network.defaults.SegmentSize: an attribute is written ns3::Class::Attribute"),
            ("19:5", again("ns3::PointToPointNetDevice::DataRate", "rate")),
            ("20:5", again("ns3::PointToPointChannel::Delay", "delay")),
            ("21:5", again("ns3::CsmaChannel::DataRate", "rate")),
            ("22:5", again("ns3::CsmaChannel::Delay", "delay")),
            ("23:5", again("ns3::DropTailQueue<Packet>::MaxSize", "queue")),
        )
    ]


def test_a_node_on_no_segment(project: Project, library: None) -> None:
    project.write("scenario.yaml", SCENARIO.replace("[island, boat]", "[boat, cloud]"))
    assert "network.segments: island is on no segment" in refused(project)


WIFI = [
    {"kind": "wifi", "nodes": ["meter", "gateway", "cloud"], "access_point": "gateway"},
    {"kind": "p2p", "between": ["island", "boat"], "rate": "1Mbit/s", "delay": "1ms"},
]


def test_a_station_out_of_reach(project: Project, library: None) -> None:
    places = network(segments=WIFI, positions={"meter-1": [4000, 0]})
    assert refused_by_ns3(project, *places).startswith(
        "network: meter-1 has not reached its access point after 60 s: bring it nearer with "
        "'positions'"
    )


def test_a_radio_that_nobody_hears(project: Project, library: None) -> None:
    """On a segment of 802.15.4; one that is heard now and then may be meant."""
    segments = [{"kind": "lrwpan", "nodes": WIFI[0]["nodes"]}, WIFI[1]]
    places = network(segments=segments, positions={"meter-1": [200, 0]})
    assert refused_by_ns3(project, *places).startswith(
        "network: meter-1 is out of reach of all others on lrwpan-0: bring it nearer with "
        "'positions'"
    )
    shutil.rmtree(project.path / "run")
    completed(project, *network(segments=segments, positions={"meter-1": [130, 0]}))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "ns3::TcpSocket::SegmentSice",
            "ns3::TcpSocket has no attribute SegmentSice (did you mean 'SegmentSize'?)",
        ),
        (
            "ns3::TcpSoket::SegmentSize",
            "ns-3 has no class ns3::TcpSoket (did you mean 'ns3::TcpSocket'?)",
        ),
        (
            "ns3::YansWifiPhy::TxPowerStart",
            "ns3::YansWifiPhy has no attribute TxPowerStart of its own: write "
            "ns3::WifiPhy::TxPowerStart",
        ),
        ("ns3::TcpSocket::Colour", "ns3::TcpSocket has no attribute Colour (rule:"),
        (
            "ns3::TcpSocketBase::Timestamp",
            "ns3::TcpSocketBase::Timestamp: '500' is no ns3::BooleanValue that it takes (bool)",
        ),
    ],
)
def test_an_attribute_that_ns3_does_not_take(
    project: Project, library: None, name: str, problem: str
) -> None:
    found = refused_by_ns3(project, *network(defaults={name: 500}))
    assert found.startswith(f"network.defaults: {problem}")


# -- what it does ----------------------------------------------------------------------------------


def test_a_fatal_error_while_it_is_built(project: Project, library: None) -> None:
    """The value is refused by ns-3 itself, which ends its process."""
    report = refused_by_ns3(project, *network(defaults={"ns3::TcpSocket::SegmentSize": "many"}))
    assert report.startswith(
        "ns-3 gave up when network.defaults: ns3::TcpSocket::SegmentSize was set to 'many': "
        'Attribute value "many" is not properly formatted'
    )
    log = (project.path / "run/logs/network.log").read_text()
    assert "uinteger.cc, line=" in log


TCP = [{"from": "meter", "to": "cloud"}]


def test_a_failed_assertion(project: Project, library: None) -> None:
    defaults = {"ns3::TcpSocket::SegmentSize": 0}
    ended = run(project, *network(defaults=defaults, tcp=TCP))
    report = report_of(project, ended, "network")
    assert re.match(
        r"network: ns-3 gave up when it was at 1\d{7} ns of virtual time: NS_ASSERT failed, "
        r'cond="m_tcb->m_segmentSize > 0", .*tcp-socket-base\.cc, line=',
        report.first,
    )


def test_a_crash(project: Project, library: None) -> None:
    """A rate of nothing, by which ns-3 divides."""
    pacing = {"EnablePacing": True, "MaxPacingRate": "0bps"}
    defaults = {f"ns3::TcpSocketState::{name}": value for name, value in pacing.items()}
    report = report_of(project, run(project, *network(defaults=defaults, tcp=TCP)), "network")
    assert (report.rule, report.process) == ("process-ended", "was killed by SIGFPE")


def test_killed(project: Project, library: None) -> None:
    report = report_of(project, run(project, config(strike="SIGKILL")), "network")
    assert report.first.startswith("network was killed by SIGKILL")
    assert report.process == "was killed by SIGKILL"
    assert "at virtual time 0.5s" in report.text
    assert 480 * MS < readable_until(project) < 500 * MS


def test_hung(project: Project, library: None) -> None:
    ended = run(project, config(strike="SIGSTOP"), *network(timeout="10s"))
    report = report_of(project, ended, "network")
    assert report.first == "network sent nothing within 10 s (rule: deadline)"
    assert report.process == "is stopped (SIGSTOP)"
    assert 480 * MS < readable_until(project) < 500 * MS


def test_simcore_is_killed(project: Project, library: None) -> None:
    """ns-3 does not outlive it."""
    says = config(strike="SIGSTOP", say="reached")
    with project.start("scenario.yaml", "--out", "run", says) as started:
        started.until("reached")
        number = started.process.pid
        assert left_of(number) != []
        started.process.kill()
        started.process.wait()
        until_none(lambda: left_of(number), "ns-3 has ended")


def test_figures_that_cannot_be_written(project: Project, library: None) -> None:
    ended = run(project, config(remove="run/ns3"))
    report = report_of(project, ended, "network")
    assert re.match(
        r"network: the figures cannot be written to /.*/run/ns3/figures\.json", report.first
    )
    assert 990 * MS < readable_until(project) < 1000 * MS


# -- messages --------------------------------------------------------------------------------------


def not_sent(project: Project, *more: str) -> str:
    """A run that ends with a message that cannot be sent; the first line of the report."""
    shutil.rmtree(project.path / "run", ignore_errors=True)
    with project.start("scenario.yaml", "--out", "run", *more) as started:
        ended = started.end()
    assert left_of(started.process.pid) == []
    assert ended.code == 3
    lines = without_progress(ended.err).splitlines()
    assert lines[1] == "  at virtual time 0.5s, node meter-0"
    assert "models.py" in ended.err, "the line that sends"
    assert "results so far are in run (exit reason: send_error)" in lines
    assert manifest(project)["exit"]["reason"] == "send_error"
    assert 480 * MS < readable_until(project) < 500 * MS
    return lines[0]


def test_larger_than_a_datagram(project: Project, library: None) -> None:
    assert not_sent(project, config(size=65_508)) == (
        "simcore: meter-0 sends 65508 bytes to cloud: a datagram carries 65507; send less, or have "
        "it go over TCP: 'tcp: [{from: meter-0, to: cloud}]'"
    )
    completed(project, config(size=65_507))


def test_what_it_recommends_does(project: Project, library: None) -> None:
    completed(project, config(size=200_000), *network(tcp=TCP))


def test_no_way(project: Project, library: None) -> None:
    assert not_sent(project, config(to="island")) == (
        "simcore: meter-0 cannot send to island: no segments lead there from meter-0"
    )


def test_nothing_of_it_is_left_in_the_way(project: Project, library: None) -> None:
    """What failed is run again, in the same folder, and is right."""
    run(project, config(strike="SIGKILL"))
    shutil.rmtree(project.path / "run")
    completed(project)
    assert os.path.getsize(project.path / "run/ns3/figures.json") > 0
