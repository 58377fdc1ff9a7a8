"""`python -m simcore contract`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from broken import MODES
from support import ROOT

from simcore.cli.main import main
from simcore.contract.acts import ITEMS, NEEDS, VARIATIONS, acts
from simcore.contract.rules import CONDUCT, RULES, rules_table

HERE = Path(__file__).parent
GENEROUS = ["--timeout", "60s", "--start-timeout", "60s", "--pause", "0s"]


@pytest.fixture
def contract(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["contract", *arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


def program(mode: str) -> list[str]:
    file = "broken.py" if mode in MODES else "participants.py"
    return ["--", sys.executable, "-S", "-E", str(HERE / file), mode]


def test_all_rules_kept(contract) -> None:
    code, out, err = contract(*GENEROUS, *program("reactive"))
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith("participants.py reactive: reactive, unix, 10 starts")
    count = sum("reactive" in rule.kinds for rule in RULES.values())
    assert out.splitlines()[-1] == f"{count} rules: {count} kept, 0 broken"


def test_a_broken_rule_is_shown_with_what_was_sent_and_came(contract) -> None:
    code, out, _ = contract(*GENEROUS, *program("unknown_destination"))
    assert code == 1
    lines = out.splitlines()
    begin = lines.index("broken: unknown-destination, 11 times, at first in exchange, ADVANCE 1")
    rule, what, sent, came = lines[begin + 1 : begin + 5]
    assert rule == f"  rule: {RULES['unknown-destination'].sentence}"
    assert what == "  what: DONE: outputs[0].dst: there is no node 'pear'"
    assert sent.startswith('  sent: {"type":"ADVANCE","seq":1,"until":125000000,"inputs":[{')
    assert came.startswith('  came: {"type": "DONE", "seq": 1, "now": 125000000')


def test_a_program_that_raises_is_shown_with_its_log(contract) -> None:
    code, out, _ = contract(*GENEROUS, *program("Raises"))
    assert code == 1
    assert "  what: ERROR: AssertionError: " in out
    assert "  its last lines:\n" in out and "\n    AssertionError\n" in out
    assert "not examined: all other rules: the exchange did not come to its end" in out


def test_json(contract) -> None:
    code, out, _ = contract("--json", *GENEROUS, *program("wrong_name"))
    assert code == 1
    report = json.loads(out)
    assert (report["kind"], report["transport"], report["starts"]) == ("reactive", "unix", 10)
    states = {each["id"]: each for each in report["rules"]}
    assert states["name"]["state"] == "broken"
    assert states["name"]["finding"]["says"] == "HELLO: name is 'somebody', not 'participant'"
    assert {each["state"] for name, each in states.items() if name != "name"} == {"kept"}


def test_what_is_skipped_is_neither_examined_nor_reported(contract) -> None:
    code, out, _ = contract("--skip", "name", *GENEROUS, *program("wrong_name"))
    assert code == 0
    assert "name" not in out.split("\n", 1)[1]


def test_a_program_that_nothing_is_sent_to(contract) -> None:
    code, out, _ = contract("--no-input", *GENEROUS, *program("SmallTable"))
    assert code == 0
    assert "many-inputs: nothing is sent to it" in out


def test_options_reach_the_program(contract, tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_text('{"n": 2}', encoding="utf-8")
    (tmp_path / "config.json").write_text('{"first": 10000000}', encoding="utf-8")
    code, out, _ = contract(
        *("--name", "clerk", "--node", "a", "--node", "b", "--peer", "x", "--peer", "y"),
        *("--input", "message=1", "--input", f"message=@{tmp_path / 'payload.json'}"),
        *("--config", f"@{tmp_path / 'config.json'}", "--duration", "80ms", "--json"),
        *("--kind", "reactive", *GENEROUS, *program("CannotBegin")),
    )
    findings = [each for each in json.loads(out)["rules"] if each["state"] == "broken"]
    assert not findings
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the command is missing"),
        (["--", "no-such-program"], "cannot be started: no-such-program is not in PATH"),
        (["--config", "[1]", "--", "x"], "--config: it has to be a JSON object"),
        (["--config", "{", "--", "x"], "--config: '{' is not JSON, nor @file"),
        (["--config", "@none.json", "--", "x"], "--config: '@none.json' is not JSON, nor @file"),
        (["--input", "reading", "--", "x"], "--input: 'reading' is not KIND=JSON"),
        (["--input", "reading=cold", "--", "x"], "--input: 'cold' is not JSON"),
        (["--input", "reading=NaN", "--", "x"], "--input: payload is nan"),
        (["--skip", "nxt", "--", "x"], "--skip: there is no rule 'nxt'"),
        (["--duration", "1", "--", "x"], "--duration: '1' has no unit"),
        (["--timeout", "0s", "--", "x"], "--timeout: must be more than 0"),
        (["--peer", "participant", "--", "x"], "participant cannot be both its node and a peer"),
        (["--transport", "pigeon", "--", "x"], "Invalid value for '--transport'"),
    ],
)
def test_what_cannot_be_examined_is_a_wrong_use(contract, arguments, message) -> None:
    code, out, err = contract(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_program_with_short_periods_needs_a_short_duration(contract, monkeypatch) -> None:
    monkeypatch.setattr("simcore.contract.driving._MOST", 100)
    code, out, err = contract(*GENEROUS, *program("restless"))
    assert (code, out) == (2, "")
    assert "more than 100 exchanges within 1000000000 ns: give a shorter --duration" in err


def test_rules_are_printed_as_the_page_shows_them(contract) -> None:
    code, out, _ = contract("--rules")
    assert (code, out) == (0, rules_table())
    assert out in (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")


def test_rules_have_the_ids_that_runs_report() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    table = page.partition("## Errors")[2].partition("\n## ")[0]
    reported = set(re.findall(r"^\| `([a-z0-9-]+)` \|", table, flags=re.MULTILINE))
    for name in ("answers", "remote", "protocol/frames", "protocol/listener"):
        source = (ROOT / "simcore" / f"{name}.py").read_text(encoding="utf-8")
        reported |= set(re.findall(r'ProtocolError\(\s*"([a-z-]+)"', source))
    assert len(reported) > 20
    assert reported - set(RULES) == {"start"}  # which is a wrong use of the kit


def test_each_rule_of_conduct_has_an_act() -> None:
    variations = {each.rule for each in VARIATIONS}
    assert {rule.id for rule in CONDUCT} == {*variations, *ITEMS, *acts(1, 1)}
    assert set(RULES) >= {*NEEDS, *NEEDS.values()}


def test_a_program_that_expects_something_else_gets_a_hint(contract, tmp_path) -> None:
    picky = tmp_path / "picky.py"
    picky.write_text(
        "from simcore.protocol.peer import serve\n"
        "class Picky:\n"
        "    def advance(self, peer, until, inputs):\n"
        "        for message in inputs:\n"
        "            peer.record('celsius', message.payload['celsius'])\n"
        "serve(Picky())\n"
    )
    line = [*GENEROUS, "--", sys.executable, str(picky)]
    code, _, err = contract(*line)
    assert (code, err) == (1, "hint: say what the program expects with --input KIND=JSON\n")
    code, _, err = contract("--input", 'reading={"celsius": 20.5}', *line)
    assert (code, err) == (0, "")
