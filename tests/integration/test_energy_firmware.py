"""Energy of devices that run firmware: instructions that are counted, kinds that are declared.

    meter (x 2, firmware) <-> gateway

Neither the length of windows nor what else the machine does may change a digit of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import simpy
from support import ROOT, require

from simcore import Federation, open_run
from simcore.results.energy import node_energies
from simcore.scenario import load

MS = 10**6
METER = "{idle: 39.6mW, active: 132mW, radio: {device: at86rf233, overhead: 17B}}"


@pytest.fixture(autouse=True, scope="module")
def qemu() -> None:
    require("qemu-system-arm")


def run(folder: Path, engine: str, *overrides: str, drive: Any = None) -> tuple[str, list[Any]]:
    """Digest, and all rows of energy and faults."""
    scenario = load(
        ROOT / "scenarios" / f"firmware_{engine}.yaml",
        overrides=["nodes.meter.count=2", *overrides],
        until="5s",
    )
    if drive is None:
        federation = Federation(scenario, out=folder)
        digest = federation.run()
    else:
        env = simpy.Environment()
        with Federation(scenario, env, out=folder) as federation:
            drive(env)
        digest = str(federation.digest)
    with open_run(folder) as done:
        rows = done.connection.execute("SELECT * FROM energies ORDER BY rowid").fetchall()
        rows += done.connection.execute("SELECT at, kind, target FROM fault").fetchall()
    return digest, rows


def in_slices(env: simpy.Environment) -> None:
    for second in range(1, 6):
        env.run(until=second * 10**9)


@pytest.mark.parametrize("battery", [None, "100mJ"])
def test_energy_does_not_depend_on_windows(tmp_path, battery):
    """With a battery of 100 mJ a meter lasts two and a half seconds."""
    more = [f"energy={{meter: {METER}}}"]
    if battery is not None:
        more.append(f"energy.meter.battery={battery}")
    first = run(tmp_path / "1", "qemu", *more)
    assert run(tmp_path / "2", "qemu", *more, "window=777us") == first
    assert run(tmp_path / "3", "qemu", *more, "window=3ms", drive=in_slices) == first
    ends = [row for row in first[1] if row[1] == "battery"]
    assert ends == ([(2_600 * MS, "battery", f"meter-{i}") for i in (0, 1)] if battery else [])


def test_instructions_are_what_a_processor_draws(tmp_path):
    """125 million a second, so 8 ns each: active while it executes, idle while it sleeps."""
    run(tmp_path / "1", "qemu", f"energy={{meter: {METER}}}")
    run(tmp_path / "2", "qemu", "energy={meter: {idle: 39.6mW, instruction: 2nJ}}")
    with open_run(tmp_path / "1") as by_time, open_run(tmp_path / "2") as by_count:
        told = dict(by_time.connection.execute("SELECT name, instructions FROM participant"))
        one, other = node_energies(by_time.connection), node_energies(by_count.connection)
    for name, node in one.items():
        assert node.instructions == told[name] > 10_000
        executed = 8 * node.instructions
        assert node.times["active"] == executed
        assert node.parts["active"] == pytest.approx(132e-3 * executed / 1e9)
        assert node.parts["idle"] == pytest.approx(39.6e-3 * (5 - executed / 1e9))
        assert node.costs.instruction == pytest.approx(132e-3 * 8e-9)
        assert other[name].parts["active"] == pytest.approx(2e-9 * node.instructions)
        assert other[name].times == {k: v for k, v in node.times.items() if k in ("idle", "active")}


def test_instructions_count_instead_of_what_the_scenario_says(tmp_path):
    """So that a scenario serves both native firmware and QEMU."""
    counted = run(tmp_path / "1", "qemu", f"energy={{meter: {METER}}}")
    told = METER.replace("}}", "}, computing: {image: 1s}}")
    assert run(tmp_path / "2", "qemu", f"energy={{meter: {told}}}") == counted


def test_a_device_that_starts_again_counts_from_zero(tmp_path):
    fault = "faults=[{at: 1s, for: 1s, node: meter-0, crash: true}]"
    run(tmp_path / "run", "qemu", f"energy={{meter: {METER}}}", fault)
    with open_run(tmp_path / "run") as done:
        lives = done.connection.execute(
            "SELECT life, ns + (SELECT ns FROM energies i WHERE i.node = e.node AND "
            "i.life = e.life AND part = 'idle'), instructions FROM energies e "
            "WHERE node = 'meter-0' AND part = 'active'"
        ).fetchall()
        told = done.connection.execute(
            "SELECT life, instructions FROM participant WHERE name = 'meter-0' ORDER BY life"
        ).fetchall()
    assert [(life, time) for life, time, _ in lives] == [(1, 1_000 * MS), (2, 3_000 * MS)]
    assert [(life, count) for life, _, count in lives] == told


def test_native_firmware_computes_what_the_scenario_says(tmp_path):
    """It takes no virtual time itself; each image that it sends stands for 37 ms."""
    meter = f"{METER[:-1]}, computing: {{image: 37ms}}}}"
    run(tmp_path / "run", "native", f"energy={{meter: {meter}}}")
    with open_run(tmp_path / "run") as done:
        images = done.connection.execute(
            "SELECT count(*), sum(size) FROM messages WHERE source = 'meter-0' AND kind = 'image'"
        ).fetchone()
        every = done.connection.execute(
            "SELECT count(*), sum(size) FROM messages WHERE source = 'meter-0'"
        ).fetchone()
        node = node_energies(done.connection)["meter-0"]
    assert node.times["active"] == 37 * MS * images[0] > 0
    assert node.sent == every[1] + 17 * every[0]
    assert node.parts["tx"] == pytest.approx(node.sent * 32e-6 * 13.8e-3 * 3)
