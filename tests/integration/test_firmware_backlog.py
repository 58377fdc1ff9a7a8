"""More messages on their way into a device than it may name as causes: nothing breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from firmware_builds import parrot
from support import require

from simcore.federation import Federation
from simcore.results.store import open_run
from simcore.scenario import loads

SCENARIO = """
simcore: 1
duration: 40s
nodes:
  gateway: {{model: models.py:hub}}
  dev: {{implementation: {engine}, firmware: meter}}
network: {{model: latency, links: [{{between: [gateway, dev], delay: 50ms}}]}}
"""
MODELS = """
def hub(node):
    yield node.sleep("100ms")
    for _ in range(400):
        node.send("dev", "command", "report")
    while True:
        yield node.receive()
"""


def ran(folder: Path, engine: str, name: str, window: str | None = None) -> tuple[str, int, str]:
    """Digest, reports that answer a command, and the device's log."""
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    text = SCENARIO.format(engine=engine) + (f"window: {window}" if window else "")
    digest = Federation(loads(text, base=folder), out=folder / name).run()
    with open_run(folder / name) as run:
        frame = run.messages()
    reports = frame[(frame.kind == "report") & frame.cause.notna()]
    log = folder / name / "logs" / "dev.log"
    return digest, len(reports), log.read_text(encoding="utf-8") if log.exists() else ""


def test_in_qemu_all_are_answered(tmp_path: Path) -> None:
    require("qemu-system-arm")
    runs = [ran(tmp_path, "qemu", f"{w}", w) for w in ("50ms", "7777us")]
    assert runs[0] == runs[1]
    assert runs[0][1:] == (400, "")


def test_natively_the_oldest_lose_their_cause(tmp_path: Path) -> None:
    """They are all handed over at once, and remembered from then on."""
    require("cc")
    _, reports, log = ran(tmp_path, "native", "run")
    entries = log.splitlines()
    assert reports + len(entries) == 400
    assert reports >= 256
    told = "sent without a cause, for re is none of the last 256 messages that came: gateway/"
    assert all(told in entry for entry in entries)


@pytest.mark.parametrize("window", ["30ms", "1ms"])
def test_no_answer_to_what_is_still_to_come(tmp_path: Path, window: str) -> None:
    """A cause that was guessed is none, though the message comes in the same window."""
    require("qemu-system-arm")
    elf = parrot(tmp_path / "built", "stm32f4")
    (tmp_path / "models.py").write_text(
        """
def hub(node):
    node.send("dev", "x", '{"dst":"hub","kind":"k","re":"hub/3","payload":1}\\n')
    yield node.sleep("20ms")
    node.send("dev", "x", "a\\n")
    node.send("dev", "x", "b\\n")
    while True:
        yield node.receive()
""",
        encoding="utf-8",
    )
    text = f"""
simcore: 1
duration: 200ms
window: {window}
nodes:
  hub: {{model: models.py:hub}}
  dev: {{implementation: qemu, firmware: {elf}}}
network: {{model: latency, links: [{{between: [hub, dev], delay: 30ms}}]}}
"""
    Federation(loads(text, base=tmp_path), out=tmp_path / "run").run()
    log = (tmp_path / "run" / "logs" / "dev.log").read_text(encoding="utf-8").splitlines()
    assert "sent without a cause" in log[0]
    assert log[0].endswith(": hub/3")
    assert len(log) == 3
