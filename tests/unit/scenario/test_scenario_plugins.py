"""A third party's plug-ins take part in schema, checks, positions and result."""

from __future__ import annotations

import pytest
from dummies import Carrier, Robot, Storms, plugins

from simcore.errors import ScenarioError, UsageError
from simcore.scenario import loads, published_schema

TEXT = """\
simcore: 1
duration: 10s
nodes:
  team: {count: 2, implementation: robot, leader: boss, speed: 3, config: {any: thing}}
  boss: {implementation: robot, leader: team-1, tier: edge}
network:
  model: carrier
  flights:
    - {to: team, takes: 2s}
storms: [wind]
"""


def problems(text, **kwargs):
    with pytest.raises(ScenarioError) as caught:
        loads(text, name="s", plugins=plugins(**kwargs))
    return [str(problem) for problem in caught.value.problems]


def test_a_scenario_of_foreign_parts_loads():
    scenario = loads(TEXT, plugins=plugins())
    assert [spec.name for spec in scenario.nodes] == ["team-0", "team-1", "boss"]
    assert scenario.nodes[0].implementation == "robot"
    assert scenario.nodes[0].options == {"leader": "boss", "speed": 3}
    assert scenario.nodes[0].config == {"any": "thing"}
    assert scenario.network == {"model": "carrier", "flights": [{"to": "team", "takes": "2s"}]}
    assert scenario.extensions == {"storms": ["wind"]}
    assert "storms" in scenario.resolved


def test_a_checker_knows_the_names_and_the_duration():
    carrier = Carrier()
    loads(TEXT, plugins=plugins(netmodels={"carrier": carrier}))
    ((_, groups, names, duration),) = carrier.seen
    assert groups == {"team": ("team-0", "team-1"), "boss": ("boss",)}
    assert names == ("team-0", "team-1", "boss")
    assert duration == 10_000_000_000


def test_foreign_problems_have_places_and_suggestions():
    text = TEXT.replace("leader: boss", "leader: bos, map: nowhere.txt").replace(
        "wind", "wind, hail, wind"
    )
    text = text.replace("to: team,", "to: nest,").replace(
        "  team:", "  nest: {implementation: robot, leader: boss}\n  team:"
    )
    assert problems(text) == [
        "s:5:51: nodes.team.leader: there is no node or group 'bos' (did you mean 'boss'?)",
        "s:5:61: nodes.team.map: there is no such file: 'nowhere.txt'",
        "s:10:12: network.flights[0].to: never flies home (did you mean 'rest'?)",
        "s:11:22: storms[2]: a second wind",
    ]


def test_a_references_format_is_checked_in_an_entry_that_is_wrong_otherwise():
    assert problems(TEXT.replace("to: team, takes: 2s", "to: tem, takes: 2")) == [
        "s:9:12: network.flights[0].to: there is no node or group 'tem' (did you mean 'team'?)",
        (
            "s:9:24: network.flights[0].takes: 2 has no unit: a duration needs one of "
            "ns, us, ms, s, min, h, d, as in 10ms"
        ),
    ]


def test_a_plugin_that_stumbles_over_what_is_reported_already_is_no_crash():
    # Robot.check and Carrier.check take required keys for granted.
    assert problems(TEXT.replace("leader: team-1, ", "").replace("to: team, ", "")) == [
        "s:5:3: nodes.boss: missing key 'leader'",
        "s:9:7: network.flights[0]: missing key 'to'",
    ]


def test_a_plugin_that_stumbles_over_a_valid_value_is_a_bug_and_shows():
    class Broken(Robot):
        def check(self, value, path, checker):
            raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        loads(TEXT, plugins=plugins(backends={"robot": Broken()}))


def test_definitions_of_a_fragment_work_and_are_limits_in_words():
    assert problems(TEXT.replace("speed: 3", "speed: 0")) == [
        "s:4:64: nodes.team.speed: must be greater than 0, got 0"
    ]


def test_places_are_those_of_the_file_after_wrong_items():
    assert problems(TEXT.replace("[wind]", "[wnd, wind, 3, wind]")) == [
        "s:10:10: storms[0]: must be one of wind, hail, got 'wnd' (did you mean 'wind'?)",
        "s:10:21: storms[2]: must be one of wind, hail, got 3",
        "s:10:21: storms[2]: must be text, got 3",
        "s:10:24: storms[3]: a second wind",
    ]


@pytest.mark.parametrize("kind", ["properties", "$defs"])
def test_plugins_that_contradict_each_other_are_refused(kind):
    class Other(Robot):
        pass

    Other.schema = {"type": "object", kind: {"count" if kind == "properties" else "speed": {}}}
    with pytest.raises(UsageError, match=r"count|speed"):
        published_schema(plugins(backends={"robot": Robot(), "zombie": Other()}))


def test_an_extension_cannot_take_a_key_of_the_format():
    with pytest.raises(UsageError, match="'seed'"):
        published_schema(plugins(extensions={"seed": Robot()}))


def test_what_a_wrong_model_leaves_unchecked_is_not_shown_to_others():
    seen = []

    class Curious(Storms):
        def check(self, value, path, checker):
            seen.append((checker.data, checker.incomplete(("network", "flights"))))

    text = TEXT.replace("model: carrier", "model: carier").replace(
        "team-1, tier", "team-1, speed: fast, tier"
    )
    extra = {"extensions": {"storms": Curious()}}
    assert len(problems(text, **extra)) == 2
    ((data, incomplete),) = seen
    assert "network" not in data
    assert incomplete
    assert data["nodes"]["boss"] == {"implementation": "robot", "leader": "team-1", "tier": "edge"}
