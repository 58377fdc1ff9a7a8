"""`logs/simcore.log`: made when there is something to say, and missed if it cannot be made."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from simcore.errors import ResultsError
from simcore.runner import _LogFile

LINE = logging.makeLogRecord({"msg": "grant sink"})


def test_it_is_made_with_its_first_line(tmp_path: Path) -> None:
    handler = _LogFile(tmp_path / "simcore.log", delay=True)
    assert list(tmp_path.iterdir()) == []
    handler.emit(LINE)
    handler.close()
    assert (tmp_path / "simcore.log").read_text() == "grant sink\n"


def test_one_that_cannot_be_made_is_reported_once(tmp_path: Path) -> None:
    handler = _LogFile(tmp_path / "absent" / "simcore.log", delay=True)
    with pytest.raises(ResultsError, match="cannot be written: No such file or directory"):
        handler.emit(LINE)
    handler.emit(LINE)  # the report of it is logged as well
    handler.close()
