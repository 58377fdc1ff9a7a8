"""Opening runs: finished, killed, being written, read-only, and paths that are no runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest
from worlds import PLUGINS, world

from simcore import Federation
from simcore.errors import ExitCode, MissingDependency, ResultsError, UsageError
from simcore.results.columns import TABLES
from simcore.results.store import duration, open_run, snapshot

MS = 10**6


def test_messages_hold_the_parts_of_the_latency(make_run):
    with open_run(make_run()) as run:
        frame = run.messages().set_index("id")
    answer = frame.loc["gateway/1"]
    parts = [answer[part] // MS for part in ("latency", "network", "queueing", "computing")]
    assert parts == [50, 40, 7, 3]
    assert answer["end_to_end"] == 60 * MS
    assert answer["cause"] == "meter-0/1"
    assert frame["latency"].isna().sum() == 3  # two lost, one in flight
    assert list(frame.index[:2]) == ["meter-0/1", "meter-1/1"]  # by time of fate


def test_every_table_has_the_columns_it_promises(make_run):
    with open_run(make_run()) as run:
        frames = {
            "messages": run.messages(),
            "measurements": run.measurements(),
            "faults": run.faults(),
            "links": run.links(),
            "nodes": run.nodes(),
            "hops": run.hops(),
            "participants": run.participants(),
            "exchanges": run.exchanges(),
            "late": run.late(),
            "energy": run.energy(),
            "inferences": run.inferences(),
        }
    for table in TABLES:
        assert list(frames[table.name].columns) == [column.name for column in table.columns]
    lengths = {name: len(frame) for name, frame in frames.items()}
    assert lengths == {
        "messages": 8,
        "measurements": 10,
        "faults": 2,
        "links": 4,
        "nodes": 4,
        "hops": 2,
        "participants": 0,
        "exchanges": 0,
        "late": 0,
        "energy": 0,
        "inferences": 0,
    }
    texts = frames["measurements"].query("type == 'str'")
    assert list(texts["text"]) == ["busy", "idle", "busy"] and texts["value"].isna().all()


def test_participants_exchanges_and_lateness(make_run):
    with open_run(make_run(outside={})) as run:
        participants, exchanges, late = run.participants(), run.exchanges(), run.late()
    assert list(zip(participants.name, participants.life, strict=True)) == [
        ("gateway", 1), ("meter", 1), ("network", 1), ("meter", 2),
    ]  # fmt: skip
    assert list(participants.exchanges) == [2, 2, 2, 2]
    assert list(participants.waited) == [8000, 50_000, 7000, 50_000]
    assert participants.ended.isna().sum() == 1
    assert list(exchanges.reached // MS) == [0, 18, 20, 35, 50, 150]
    assert list(zip(late.id, late.destination, late.late // MS, strict=True)) == [
        ("meter-0/1", "gateway", 4), ("meter-1/1", "gateway", 3), ("gateway/1", "cloud", 1),
        ("cloud/1", "meter-0", 2), ("meter-0/2", "gateway", 1),
    ]  # fmt: skip


def test_a_run_of_before_there_were_participants(make_run):
    run = make_run()
    with sqlite3.connect(run / "run.sqlite") as connection:
        for table in ("participant", "exchange", "late"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DROP VIEW late_messages")
    connection.close()
    with open_run(run) as opened:
        assert len(opened.participants()) == len(opened.exchanges()) == len(opened.late()) == 0


def test_empty_run_gives_empty_frames_with_types(make_run):
    with open_run(make_run(messages=[], measurements=[], faults=[])) as run:
        assert len(run.messages()) == 0
        assert str(run.messages()["latency"].dtype) == "Int64"


def test_without_pandas_sql_still_works(make_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with open_run(make_run()) as run:
        assert run.connection.execute("SELECT count(*) FROM messages").fetchone() == (8,)
        with pytest.raises(MissingDependency, match=r"simcore\[report\]"):
            run.messages()


def test_the_connection_cannot_write(make_run):
    with open_run(make_run()) as run, pytest.raises(sqlite3.OperationalError, match="readonly"):
        run.connection.execute("DELETE FROM message")


def test_reads_what_is_committed_while_another_process_writes(make_run):
    directory = make_run(wal=True)
    writer = sqlite3.connect(directory / "run.sqlite", isolation_level=None)
    try:
        writer.execute("INSERT INTO fault VALUES (1, 3, 'begin', 'node_crash', 'cloud', '{}')")
        with open_run(directory) as run:
            count = "SELECT count(*) FROM fault"
            with snapshot(run.connection):
                assert run.connection.execute(count).fetchone() == (3,)
                writer.execute("INSERT INTO fault VALUES (2, 4, 'end', 'node_crash', 'cloud', '')")
                assert run.connection.execute(count).fetchone() == (3,)
            assert run.connection.execute(count).fetchone() == (4,)
    finally:
        writer.close()


@pytest.fixture
def killed(make_run):
    """A run whose writer was killed: the last fault is in the write-ahead log only."""
    directory = make_run(wal=True)
    script = """
        import os, signal, sqlite3, sys
        c = sqlite3.connect(sys.argv[1], isolation_level=None)
        c.execute("PRAGMA wal_autocheckpoint = 0")
        c.execute("INSERT INTO fault VALUES (1, 3, 'begin', 'node_crash', 'cloud', '{}')")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), directory / "run.sqlite"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (directory / "run.sqlite-wal").stat().st_size > 0
    return directory


def test_reads_a_killed_run(killed):
    with open_run(killed) as run:
        assert len(run.faults()) == 3


READER = """
    import os, sys
    from simcore.results.store import open_run
    if os.getuid() == 0:  # root may write anywhere; the interpreter may be root's own
        os.setgid(65534)
        os.setuid(65534)
    with open_run(sys.argv[1]) as run:
        print(run.connection.execute("SELECT count(*) FROM fault").fetchone()[0])
"""


def read_without_write_permission(directory):
    """What an unprivileged process reads in a copy of the run that it may not write to."""
    with tempfile.TemporaryDirectory() as parent:
        copy = Path(shutil.copytree(directory, Path(parent) / "run"))
        os.chmod(parent, 0o755)
        (copy / "run.sqlite-shm").unlink(missing_ok=True)
        for path in (*copy.iterdir(), copy):
            path.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(READER), copy],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        copy.chmod(0o755)
    return done.stdout.strip(), done.stderr


def test_reads_a_read_only_directory(make_run):
    assert read_without_write_permission(make_run(wal=True)) == ("2", "")


def test_reads_a_killed_run_in_a_read_only_directory(killed):
    assert read_without_write_permission(killed) == ("3", "")


def test_no_run_directory_names_a_way_out(make_run, tmp_path):
    run = make_run("first")
    cases = {
        tmp_path / "frist": f"did you mean {run}",
        tmp_path / "xyz": f"xyz does not exist; runs there: 1, for example {run}",
        tmp_path: f"runs in it: 1, for example {run}",
        run / "run.sqlite": f"give its run directory, {run}",
        tmp_path / "nowhere" / "run": "does not exist; give the directory that",
    }
    for path, words in cases.items():
        with pytest.raises(UsageError) as caught:
            open_run(path)
        assert words in str(caught.value)
        assert caught.value.exit_code is ExitCode.INVALID


def test_a_scenario_given_for_a_run(tmp_path):
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("simcore: 1")
    with pytest.raises(UsageError, match="to run a scenario: python -m simcore"):
        open_run(scenario)


def test_damaged_files_are_named(make_run):
    run = make_run()
    (run / "run.sqlite").write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(UsageError, match=r"run\.sqlite cannot be read as a database"):
        open_run(run)
    (run / "run.sqlite").unlink()
    with pytest.raises(UsageError, match=r"has no run\.sqlite"):
        open_run(run)
    (run / "manifest.json").write_text("{")
    with pytest.raises(UsageError, match=r"manifest\.json cannot be read"):
        open_run(run)


def test_damage_found_while_reading_is_reported(make_run):
    run = make_run()
    content = (run / "run.sqlite").read_bytes()
    page = int.from_bytes(content[16:18], "big")
    (run / "run.sqlite").write_bytes(content[:page] + b"\xff" * (len(content) - page))
    with (
        pytest.raises(UsageError, match=r"run\.sqlite cannot be read as a database"),
        open_run(run) as opened,
    ):
        opened.connection.execute("SELECT * FROM message").fetchall()


def test_runs_of_a_newer_version_are_refused(make_run):
    run = make_run()
    with sqlite3.connect(run / "run.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(UsageError, match="newer simcore"):
        open_run(run)
    (run / "manifest.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(UsageError, match="newer simcore"):
        open_run(run)


def test_duration_is_what_the_run_covered():
    assert duration({"duration_ns": 9, "times": {"virtual_ns": 5}}) == 5
    assert duration({"duration_ns": 9, "times": {"virtual_ns": None}}) == 9


# -- a run that ends while somebody looks at it


@pytest.mark.parametrize("looking", [False, True])
def test_a_run_ends_while_somebody_looks_at_it(tmp_path, looking):
    """Who reads keeps the write-ahead mode in use, and is no reason for a run to fail."""

    def model(node):
        node.record("number", 1)
        yield node.sleep("1ms")

    federation = Federation(world({"a": model}), plugins=PLUGINS, out=tmp_path / "run")
    with ExitStack() as readers:
        with federation:
            run = readers.enter_context(open_run(tmp_path / "run"))
            if looking:
                readers.enter_context(snapshot(run.connection))
                assert run.connection.execute("SELECT count(*) FROM measurement").fetchone()
            federation.env.run(until=federation.end)
        assert federation.digest
        with open_run(tmp_path / "run") as again:
            assert again.manifest["exit"]["reason"] == "completed"
            assert len(again.measurements()) == 1
    with open_run(tmp_path / "run") as run:
        assert len(run.measurements()) == 1


def test_two_runs_find_one_directory_empty(tmp_path, monkeypatch):
    path = tmp_path / "run"
    with Federation(world({"a": None}), plugins=PLUGINS, out=path):
        monkeypatch.setattr(Path, "iterdir", lambda _: iter(()))  # as it was a moment ago
        with pytest.raises(ResultsError, match="is not empty: a run never overwrites another"):
            Federation(world({"a": None}), plugins=PLUGINS, out=path)
        monkeypatch.undo()
    with open_run(path) as run:
        assert run.manifest["exit"]["reason"] == "completed"
