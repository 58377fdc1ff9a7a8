"""`validate` and `schema`: what they print, where, and with which exit code."""

from __future__ import annotations

import json

import pytest

from simcore.cli.main import main
from simcore.plugins import Plugins
from simcore.scenario import published_schema

GOOD = "simcore: 1\nduration: 10s\nnodes: {a: {count: 3}, b: {}}\nexpect: [delivered >= 0]\n"
BAD = "simcore: 1\nduration: 10\nnodes: {a: {cuont: 3}}\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)

    def call(*args):
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return call


def test_a_valid_file(run):
    assert run("validate", "good.yaml") == (
        0,
        "good.yaml: ok (4 nodes, network direct, 10 s, seed 1, 1 expectation)\n",
        "",
    )


def test_options_apply(run):
    code, out, _ = run(
        "validate", "good.yaml", "--set", "nodes.a.count=5", "--seed", "9", "--until", "2s"
    )
    assert code == 0
    assert out == "good.yaml: ok (6 nodes, network direct, 2 s, seed 9, 1 expectation)\n"


def test_all_problems_of_all_files(run):
    code, out, err = run("validate", "bad.yaml", "good.yaml", "missing.yaml")
    assert code == 2
    assert out.startswith("good.yaml: ok")
    assert err.splitlines() == [
        (
            "bad.yaml:2:11: duration: 10 has no unit: a duration needs one of ns, us, ms, s, min, h, d, "
            "as in 10ms"
        ),
        "bad.yaml:3:13: nodes.a.cuont: unknown key (did you mean 'count'?)",
        "missing.yaml: there is no such file",
        "3 problems",
    ]


def test_a_wrong_option(run):
    code, out, err = run("validate", "good.yaml", "--set", "nodes.c.count=5")
    assert (code, out) == (2, "")
    assert err.startswith("--set: nodes.c: there is no 'c' to set something in")


def test_without_a_file_it_says_how_to_call_it(run):
    code, _, err = run("validate")
    assert code == 2
    assert "Usage" in err


def test_a_shipped_example_is_found_by_name(run):
    assert run("validate", "quickstart")[0] == 0


def test_schema(run):
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out) == published_schema(Plugins())


def test_reference(run):
    code, out, _ = run("schema", "--reference")
    assert code == 0
    assert out.startswith("# Scenario reference\n")
