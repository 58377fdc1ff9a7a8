"""The JUnit file of a run's expectations."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore.errors import ResultsError
from simcore.expect import Outcome
from simcore.results.junit import to_xml, write_junit

OUTCOMES = (
    Outcome("sent >= 1", True, 8, 1, "sent = 8 >= 1"),
    Outcome('p99(latency."a<b") <= 1ms', False, None, None, "no message of kind 'a<b' occurred"),
)


def test_passed_and_failed_cases(tmp_path):
    write_junit(tmp_path / "junit.xml", OUTCOMES, name="by-hand", wall_s=1.23456)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert suite.attrib == {
        "name": "by-hand",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
        "time": "1.235",
    }
    passed, failed = suite
    assert passed.get("name") == "sent >= 1" and passed.find("failure") is None
    assert failed.find("failure").get("message") == "no message of kind 'a<b' occurred"


def test_unwritable(tmp_path):
    with pytest.raises(ResultsError, match="cannot be written"):
        write_junit(tmp_path / "absent" / "junit.xml", OUTCOMES, name="by-hand")


@given(st.text())
def test_any_text_gives_a_file_that_parses(text):
    ElementTree.fromstring(to_xml([Outcome(text, False, None, None, text)], name=text).encode())
