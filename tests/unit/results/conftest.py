"""Run directories for the tests of results."""

from __future__ import annotations

import json
import sqlite3

import inferences_by_hand as placed
import pytest
from by_hand import MANIFEST, write_database


@pytest.fixture
def make_run(tmp_path):
    """Writes a run directory; keyword arguments replace parts of the one told above."""

    def make(name="run", *, manifest=None, wal=False, **tables):
        directory = tmp_path / name
        directory.mkdir()
        document = {**MANIFEST, **(manifest or {})}
        (directory / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
        connection = sqlite3.connect(directory / "run.sqlite")
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        write_database(connection, **tables)
        connection.commit()
        connection.close()
        return directory

    return make


@pytest.fixture
def placed_run(make_run):
    """Writes a run directory with the inferences told in `inferences_by_hand`, or with others."""

    def make(name="placed", *, inferences=placed.INFERENCES, **tables):
        told = {"messages": placed.MESSAGES, "measurements": [], "faults": [], "hops": []}
        directory = make_run(name, nodes=placed.NODES, **{**told, "links": [], **tables})
        connection = sqlite3.connect(directory / "run.sqlite")
        placed.write_inferences(connection, inferences)
        connection.commit()
        connection.close()
        return directory

    return make
