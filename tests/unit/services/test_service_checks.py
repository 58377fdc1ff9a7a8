"""An installed service has its `config` checked before a run, whoever wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from simcore import Plugins, ScenarioError, loads


class Counter:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["step"],
        "properties": {
            "step": {"type": "integer", "minimum": 1},
            "name": {"type": "string"},
            "to": {"type": "string", "format": "node"},
            "every": {"type": "string", "format": "duration"},
        },
    }

    @staticmethod
    def check(config, path, checker):
        if config["step"] % 2:
            checker.problem((*path, "step"), "is odd")
        if config.get("name") == "":
            checker.problem((*path, "name"), "is empty")

    def on_message(self, ctx, msg):
        pass


class Free:
    """Says nothing of its config."""

    def on_message(self, ctx, msg):
        pass


class Wrong(Free):
    @staticmethod
    def check(config, path, checker):
        raise KeyError("a defect of its own")


def problems(config: str, service: str = "counter", **keys: Any) -> list[str]:
    text = f"""\
simcore: 1
duration: 1s
nodes:
  till:
    service: {service}
    config: {config}
"""
    services = {"counter": Counter, "free": Free, "wrong": Wrong}
    try:
        loads(text, plugins=Plugins(extra={"services": services}), **keys)
    except ScenarioError as error:
        return [str(problem).removeprefix("<string>:") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{step: 2, name: a, to: till, every: 1s}", []),
        ("{step: 3}", ["6:20: nodes.till.config.step: is odd"]),
        ("{}", ["6:5: nodes.till.config: missing key 'step'"]),
        (
            "{step: 0, name: '', to: tell, every: 5, cents: 1}",
            [
                "6:20: nodes.till.config.step: must be at least 1, got 0",
                "6:37: nodes.till.config.to: there is no node or group 'tell' (did you mean 'till'?)",
                "6:50: nodes.till.config.every: 5 has no unit: a duration needs one of ns, us, ms, s, min, h, d, as in 10ms",
                "6:53: nodes.till.config.cents: unknown key",
            ],
        ),
        (
            "{step: 3, name: '', cents: 1}",
            [
                "6:20: nodes.till.config.step: is odd",
                "6:29: nodes.till.config.name: is empty",
                "6:33: nodes.till.config.cents: unknown key",
            ],
        ),
    ],
)
def test_schema_and_check(config: str, expected: list[str]):
    found = problems(config)
    assert [line.partition(": a duration")[0] for line in found] == [
        line.partition(": a duration")[0] for line in expected
    ]


def test_a_service_may_take_anything():
    assert problems("{whatever: [1, 2]}", "free") == []


def test_an_option_is_named_as_what_is_wrong():
    found = problems("{step: 2}", overrides=["nodes.till.config.step=0"])
    assert len(found) == 1
    assert "--set" in found[0] and "must be at least 1" in found[0]


def test_a_check_that_raises_of_itself_is_a_defect_and_not_hidden():
    with pytest.raises(KeyError, match="a defect of its own"):
        problems("{}", "wrong")


def test_a_service_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch):
    def broken(self: Plugins, name: str) -> type:
        raise ImportError("no module named 'torchvision'")

    monkeypatch.setattr(Plugins, "service", broken)
    assert problems("{}") == [
        "5:14: nodes.till.service: the service 'counter' cannot be imported: "
        "ImportError: no module named 'torchvision'"
    ]
