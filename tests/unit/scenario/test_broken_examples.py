"""The shipped examples with parts deleted, replaced and added: refused or fine, never a traceback."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from simcore.errors import ScenarioError
from simcore.plugins import Plugins
from simcore.scenario import load_plain

EXAMPLES = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
VALUES: list[Any] = [
    None, True, 3, -1, 2.5, 10**30, "", "x", "5ms", "1%", "250kbit/s", "meter", "meter-1", "\0", "a:b",
    [], {}, [1], ["meter", "gateway"], [{"at": "1s"}], {"min": "1ms"}, {"min": 3, "exponential": "1ms"},
    {"model": "latency"}, "latency",
]  # fmt: skip
KEYS = ["x", "from", "to", "rate", "count", "link", "node", "via", "model", "delay"]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in some data."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from places(value[key])


def break_it(data: Any, rng: random.Random) -> None:
    found = list(places(data))
    container, key = rng.choice(found) if found else (data, None)
    way = rng.random()
    if way < 0.25 and key is not None:
        del container[key]
    elif way < 0.85 and key is not None:
        container[key] = copy.deepcopy(rng.choice(VALUES))
    elif isinstance(container, dict):
        container[rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))
    else:
        container.append(copy.deepcopy(rng.choice(VALUES)))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_broken_examples_are_refused_in_plain_words(path):
    rng = random.Random(path.stem)
    plugins = Plugins()
    whole = yaml.safe_load(path.read_text())
    refused = 0
    for _ in range(150):
        data = copy.deepcopy(whole)
        for _ in range(rng.randint(1, 4)):
            break_it(data, rng)
        try:
            load_plain(data, base=path.parent, plugins=plugins)
        except ScenarioError as error:
            refused += 1
            for problem in error.problems:
                assert "under any of" not in problem.message
                assert "\n" not in str(problem)
                assert len(str(problem)) < 600
    assert refused > 75
