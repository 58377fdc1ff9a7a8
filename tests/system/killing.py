"""Whole runs that are killed at random moments, and what has to be true of what they leave.

           +--- meter-east (a program) --- a program that it started
simcore ---+
           +--- meter-west (a program) --- a program that it started, in a session of its own
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from guarded import Ward
from support import PATIENCE, Project

from simcore.errors import ExitCode
from simcore.results.store import DATABASE, MANIFEST

METERS = ("meter-east", "meter-west")
PROGRAM = Path(__file__).parent / "participants" / "counting.py"

MODELS = """
def desk(node):
    number = 0
    while True:
        number += 1
        for meter in ("meter-east", "meter-west"):
            node.send(meter, "question", {"number": number, "text": "x" * 50})
        yield node.sleep("1ms")
"""

SCENARIO = """
simcore: 1
name: killed
duration: 1000h
nodes:
  desk: {model: models.py:desk}
  meter-east:
    implementation: process
    command: [%(python)s, counting.py]
    config: {signal_at: %(count)d, own_session: false}
  meter-west:
    implementation: process
    command: [%(python)s, counting.py]
    config: {signal_at: 0, own_session: true}
"""


class Killing:
    """Kills one run after the other.

    Args:
        ward: watches over all that is started.
        project: folder of the scenario.
        seed: of victims and moments.

    Attributes:
        counts: runs and participants that were killed, reports that named the participant,
            databases that could be read, and their rows.
    """

    def __init__(self, ward: Ward, project: Path, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._ward = ward
        self._project = Project(project, ward.environment)
        self._project.write("models.py", MODELS)
        shutil.copy(PROGRAM, project)
        self._random = random.Random(seed)

    def kill_one(self) -> None:
        """Start a run, kill it or one of its participants, and look at what is left."""
        draw = self._random
        out = self._project.path / "out"
        shutil.rmtree(out, ignore_errors=True)
        victim = draw.choice(("simcore", "simcore", *METERS))
        # Half of all moments lie at the first exchange or before it, where most happens.
        count = draw.choice((1, draw.randint(2, 3000)))
        early = victim == "simcore" and draw.random() < 0.4
        wait = draw.uniform(0, 1.0 if early else 0.02)
        moment = f"{victim} {'at its start' if early else f'at exchange {count}'} + {wait:.4f} s"
        self._project.write("scenario.yaml", SCENARIO % {"python": sys.executable, "count": count})
        with self._project.start("run", "scenario.yaml", "--quiet", "--out", out) as run:
            if not early:
                run.until("counted")
            time.sleep(wait)  # what is chosen at random is the moment
            if victim == "simcore":
                run.send(signal.SIGKILL)
            else:
                pid = self._project.path / f"{victim}.pid"
                os.kill(int(pid.read_text(encoding="ascii")), signal.SIGKILL)
            _, report = run.process.communicate(timeout=PATIENCE)
            left = self._ward.left()
        assert left == [], f"{moment}: {left}"
        if victim == "simcore":
            assert run.process.returncode == -signal.SIGKILL, f"{moment}: {report}"
        else:
            assert run.process.returncode == ExitCode.FAILED, f"{moment}: {report}"
            self._check_report(victim, report, out)
        self.counts["runs" if victim == "simcore" else "participants"] += 1
        if (out / DATABASE).exists():
            self._check_database(out)
        else:
            assert early, f"{moment}: exchanges took place, and no database is there"

    def _check_report(self, victim: str, report: str, out: Path) -> None:
        """Both reports name the participant, and how it ended."""
        message = json.loads((out / MANIFEST).read_bytes())["exit"]["message"]
        for text in (report, message):
            assert f"{victim} was killed by SIGKILL" in text, report
            assert "\n  pending: " in text and "\n  last DONE: " in text, report
        self.counts["reports"] += 1

    def _check_database(self, out: Path) -> None:
        """Each row can be read, though nobody closed the file."""
        with closing(sqlite3.connect(out / DATABASE)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            tables = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
            for (name,) in connection.execute(tables).fetchall():
                for row in connection.execute(f'SELECT * FROM "{name}"'):
                    self.counts["rows"] += len(row) > 0
        self.counts["databases"] += 1


@contextmanager
def killing(seed: int) -> Iterator[Killing]:
    """A place for it, whose path is short, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        project = Path(folder) / "project"
        project.mkdir()
        ward = Ward(Path(folder))
        try:
            yield Killing(ward, project, seed)
        finally:
            ward.end()
