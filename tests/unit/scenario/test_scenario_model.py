"""What comes out of a valid file: defaults, expansion, overrides, and the same again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simcore.errors import ExitCode, ScenarioError, UsageError
from simcore.scenario import load, load_plain, loads

BASE = Path(__file__).parent / "errors"
TEXT = """\
simcore: 1
duration: 10s
nodes:
  meter: {count: 3, model: models.py:sensor, config: {period: 1s}}
  a.b: {tier: cloud}
  gateway: {tier: edge, service: echo, workers: 2}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: 5ms}
    - {between: [gateway, a.b], delay: 1ms}
"""


def read(text=TEXT, **kwargs):
    return loads(text, base=BASE, **kwargs)


def refused(text=TEXT, **kwargs):
    with pytest.raises(ScenarioError) as caught:
        loads(text, name="s", base=BASE, **kwargs)
    return [str(problem) for problem in caught.value.problems]


def test_defaults():
    scenario = read("simcore: 1\nduration: 1s\nnodes: {a: {}}\n")
    assert (scenario.name, scenario.description, scenario.seed) == ("scenario", "", 1)
    assert scenario.duration == 1_000_000_000
    assert scenario.network == {"model": "direct"}
    assert scenario.extensions == {}
    assert scenario.expect == ()
    (node,) = scenario.nodes
    assert (node.name, node.group, node.index, node.order) == ("a", "a", 0, 0)
    assert (node.tier, node.implementation) == ("device", "python_model")
    assert (node.options, node.config) == ({}, {})


def test_groups_expand_in_the_order_of_the_file():
    scenario = read()
    assert [spec.name for spec in scenario.nodes] == [
        "meter-0",
        "meter-1",
        "meter-2",
        "a.b",
        "gateway",
    ]
    assert [spec.order for spec in scenario.nodes] == [0, 1, 2, 3, 4]
    assert [spec.index for spec in scenario.groups["meter"]] == [0, 1, 2]
    assert scenario.nodes[4].options == {"service": "echo", "workers": 2}
    assert scenario.nodes[1].config == {"period": "1s"}


def test_a_group_of_one_has_a_member():
    scenario = read("simcore: 1\nduration: 1s\nnodes: {a: {count: 1}}\n")
    assert [spec.name for spec in scenario.nodes] == ["a-0"]


def test_select():
    scenario = read()
    assert [spec.name for spec in scenario.select("meter")] == ["meter-0", "meter-1", "meter-2"]
    assert [spec.name for spec in scenario.select("meter-2")] == ["meter-2"]
    assert [spec.name for spec in scenario.select("a.b")] == ["a.b"]


@pytest.mark.parametrize("name", ["metr", "meter-3", "meter-02", "gateway-0", "", "-1"])
def test_select_refuses_what_is_not_there(name):
    with pytest.raises(UsageError, match="no node or group"):
        read().select(name)


def test_the_name_of_a_file_is_the_default_name(tmp_path):
    path = tmp_path / "meters.yaml"
    path.write_text("simcore: 1\nduration: 1s\nnodes: {a: {}}\n")
    scenario = load(path)
    assert (scenario.name, scenario.path, scenario.base) == ("meters", path, tmp_path)


def test_overrides_replace_and_add():
    scenario = read(
        overrides=[
            "nodes.meter.count=50",
            "network.links.0.delay={min: 1ms, exponential: 2ms}",
            "name=x=y",
            "nodes.meter.config.period=2s",
        ],
        seed=7,
        until="1min",
    )
    assert len(scenario.groups["meter"]) == 50
    assert scenario.network["links"][0]["delay"] == {"min": "1ms", "exponential": "2ms"}
    assert scenario.name == "x=y"
    assert scenario.nodes[0].config == {"period": "2s"}
    assert (scenario.seed, scenario.duration) == (7, 60_000_000_000)
    assert scenario.resolved["duration"] == "1min"
    assert scenario.resolved["nodes"]["meter"]["count"] == 50


def test_the_last_override_wins():
    assert read(overrides=["seed=2", "seed=3"]).seed == 3


def test_an_override_changes_one_use_of_an_alias():
    text = "simcore: 1\nduration: 1s\nnodes:\n  a: &a {config: {x: 1}}\n  b: *a\n"
    scenario = read(text, overrides=["nodes.b.config.x=2"])
    assert [spec.config for spec in scenario.nodes] == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("nodes.metr.count=3", ("nodes.metr: there is no 'metr' to set something in; set it as a "
         "whole (did you mean 'meter'?)")),
        ("nodes.a.b.tier=edge", "nodes.a: keys that contain a dot cannot be addressed; change the file"),
        ("nodes.gateway.quue=3", "nodes.gateway.quue: unknown key (did you mean 'queue'?)"),
        ("nodes.meter.cuont=3", "nodes.meter.cuont: unknown key (did you mean 'count'?)"),
        ("nodes.meter={count: 3, cuont: 3}", "nodes.meter.cuont: unknown key"),
        ("nodes.meter.count=many", "nodes.meter.count: must be an integer, got 'many'"),
        ("network.links.2.delay=1ms", "network.links.2: '2' is no index of this list: 0 to 1"),
        ("network.links.x=1ms", "network.links.x: 'x' is no index of this list: 0 to 1"),
        ("seed.x=1", "seed.x: there is no 'x' to set something in; set it as a whole"),
        ("duration.x=1", "duration.x: 'x' cannot be set in a value that is no mapping or list"),
        ("seed", "'seed' is no override: write KEY.KEY=VALUE"),
        ("=3", "'=3' is no override: write KEY.KEY=VALUE"),
        ("nodes..x=3", "'nodes..x=3' is no override: write KEY.KEY=VALUE"),
        ("seed=[1", ("seed: YAML syntax: did not find expected ',' or ']' while parsing a flow "
         "sequence that starts at line 1, column 1")),
        ("seed=!!int 3", "seed: the tag !!int is not allowed: a scenario holds plain values"),
        ("seed=.nan", "seed: .nan is not a finite number"),
        ("seed=", "seed: must be an integer, got nothing"),
        ("network.links.1.between.0=gatewy", ("network.links[1].between[0]: there is no node or "
         "group 'gatewy' (did you mean 'gateway'?)")),
    ],
)  # fmt: skip
def test_a_wrong_override_is_named_with_its_option(override, problem):
    if override == "seed.x=1":
        problem = "seed: there is no 'seed' to set something in; set it as a whole"
    assert refused(overrides=[override]) == [f"--set: {problem}"]


def test_problems_of_options_come_after_those_of_the_file():
    assert refused(TEXT.replace("tier: edge", "tier: egde"), overrides=["seed=x"], until="5") == [
        (
            "s:6:19: nodes.gateway.tier: must be one of device, network, edge, cloud, got 'egde' "
            "(did you mean 'edge'?)"
        ),
        "--set: seed: must be an integer, got 'x'",
        (
            "--until: duration: '5' has no unit: a duration needs one of ns, us, ms, s, min, h, d, "
            "as in 10ms"
        ),
    ]


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed):
    (problem,) = refused(seed=seed)
    assert problem.startswith("--seed: seed: must be at ")


@pytest.mark.parametrize(
    "options", [{}, {"overrides": ["nodes.meter.count=5"], "seed": 9, "until": "3s"}]
)
def test_what_was_resolved_gives_the_same_scenario(options):
    scenario = read(
        TEXT + "expect: [delivered / sent >= 0.5]\nfaults: [{at: 1s, node: meter, crash: true}]\n",
        **options,
    )
    assert load_plain(scenario.resolved, base=BASE) == scenario
    assert loads(json.dumps(scenario.resolved, ensure_ascii=False), base=BASE) == scenario


def test_plain_data_holds_what_yaml_text_cannot():
    text = 'simcore: 1\nduration: 1s\nnodes: {a: {config: {x: "\\u2028 \\x7f \\0 \\U0001F600", y: 1e+20}}}\n'
    scenario = read(text)
    assert scenario.nodes[0].config == {"x": "\u2028 \x7f \0 \U0001f600", "y": 1e20}
    assert load_plain(scenario.resolved, base=BASE) == scenario


def test_equal_files_give_equal_scenarios_and_others_do_not():
    assert read() == read()
    assert read() != read(seed=2)


@pytest.mark.parametrize("name", ["nowhere.yaml", "", "a\0b"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / name)
    assert len(caught.value.problems) == 1
    assert caught.value.exit_code == ExitCode.INVALID
