"""Tables as files: the same rows and columns in CSV and in Parquet."""

from __future__ import annotations

import csv
import sqlite3
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from simcore.cli.export import command
from simcore.errors import MissingDependency, ResultsError
from simcore.results.columns import TABLES
from simcore.results.export import export
from simcore.results.store import open_run


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_needs_neither_pandas_nor_pyarrow(make_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    directory = make_run()
    done = CliRunner().invoke(command, [str(directory)], standalone_mode=False)
    assert done.exception is None
    assert f"{directory / 'exports' / 'messages.csv'}  8 rows" in done.output
    messages = {row["id"]: row for row in rows_of(directory / "exports" / "messages.csv")}
    assert messages["gateway/1"]["latency"] == "50000000"
    assert messages["meter-0/3"]["latency"] == "" and messages["meter-0/3"]["fate"] == "loss"
    assert messages["meter-0/1"]["payload"] == '{"from": "meter-0/1"}'


def test_the_dictionary_explains_every_column(placed_run, tmp_path):
    directory = placed_run(outside={})
    with closing(sqlite3.connect(directory / "run.sqlite")) as connection:
        connection.execute("INSERT INTO energy VALUES (0, 1, 'idle', 0.5, 1000000000, 0, 0)")
        connection.commit()
    with open_run(directory) as run:
        export(run, tmp_path / "out")
    explained = {(row["table"], row["column"]) for row in rows_of(tmp_path / "out" / "columns.csv")}
    for table in TABLES:
        header = (tmp_path / "out" / f"{table.name}.csv").read_text().splitlines()[0].split(",")
        assert explained >= {(table.name, column) for column in header}


def test_a_run_without_participants_has_no_files_of_them(make_run, tmp_path):
    with open_run(make_run()) as run:
        names = [path.name for path, _ in export(run, tmp_path / "out")]
    assert not {
        "participants.csv",
        "exchanges.csv",
        "late.csv",
        "inferences.csv",
        "energy.csv",
    } & set(names)
    tables = {row["table"] for row in rows_of(tmp_path / "out" / "columns.csv")}
    assert {f"{table}.csv" for table in tables} == set(names)


def test_parquet_holds_the_same(make_run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_run(make_run()) as run:
        written = export(run, tmp_path, "parquet")
        frame = run.messages()
    assert [(path.name, count) for path, count in written] == [
        ("messages.parquet", 8),
        ("measurements.parquet", 10),
        ("faults.parquet", 2),
        ("links.parquet", 4),
        ("nodes.parquet", 4),
        ("hops.parquet", 2),
    ]
    table = parquet.read_table(tmp_path / "messages.parquet")
    assert table.column("latency").to_pylist() == [
        None if value is None else int(value)
        for value in frame["latency"].astype(object).where(frame["latency"].notna(), None)
    ]
    assert table.schema.field("sent").metadata[b"unit"] == b"ns"
    assert table.schema.metadata[b"simcore.seed"] == b"7"


def test_parquet_without_pyarrow(make_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with open_run(make_run()) as run, pytest.raises(MissingDependency, match="pyarrow"):
        export(run, tmp_path / "out", "parquet")
    assert not (tmp_path / "out").exists()


def test_unwritable_place(make_run, tmp_path):
    (tmp_path / "file").write_text("")
    with open_run(make_run()) as run, pytest.raises(ResultsError, match="--out"):
        export(run, tmp_path / "file" / "out")
