"""The embedding example: a shop in SimPy, in seconds, that talks to a program outside it.

till (x 3, acted for by the shop) <-> stock (a process)
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

import simcore
from simcore.scenario.model import Scenario

FOLDER = Path(__file__).parents[2] / "scenarios" / "shop"

SERVICE = '''
class Stock:
    """What stock.py does, as a service in simcore's own process."""

    def start(self, ctx):
        self.items = dict(ctx.config["items"])
        self.lorries = 0

    def on_message(self, ctx, msg):
        item = msg.payload["item"]
        sold = self.items[item] > 0
        self.items[item] -= sold
        if sold and self.items[item] == ctx.config["low"]:
            self.lorries += 1
            ctx.set_timer(f"{item} {self.lorries}", f"{ctx.config['lorry_min']}min")
        ctx.compute("400ms")
        ctx.reply(msg, "answer", {"sold": sold})

    def on_timer(self, ctx, name):
        item = name.split()[0]
        self.items[item] += ctx.config["box"]
        ctx.record(f"left_{item}", self.items[item])
'''


@pytest.fixture
def shop() -> ModuleType:
    found = importlib.util.spec_from_file_location("shop", FOLDER / "shop.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def simulate(shop: ModuleType, scenario: Scenario) -> tuple[object, ...]:
    model, digest = shop.simulate(scenario)
    return digest, model.waits, model.sold, model.sold_out


def in_process(folder: Path, seed: int | None = None) -> Scenario:
    """The scenario with a service in place of the program."""
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    text = (folder / "shop.yaml").read_text(encoding="utf-8")
    text = text.replace("implementation: process", "service: service.py:Stock")
    text = re.sub(r"^ +command: .*\n", "", text, flags=re.MULTILINE)
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    return simcore.load(folder / "shop.yaml", seed=seed)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_service_in_place_of_the_program_changes_nothing(
    shop: ModuleType, seed: int | None, tmp_path: Path
) -> None:
    apart = simulate(shop, simcore.load(FOLDER / "shop.yaml", seed=seed))
    inside = simulate(shop, in_process(tmp_path / "shop", seed))
    assert apart == inside


def test_two_runs_are_the_same_and_another_seed_is_another(shop: ModuleType) -> None:
    runs = [simulate(shop, simcore.load(FOLDER / "shop.yaml", seed=s)) for s in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]


def test_the_stock_adds_up_and_answers_take_their_time(shop: ModuleType, tmp_path: Path) -> None:
    scenario = simcore.load(FOLDER / "shop.yaml")
    model, _ = shop.simulate(scenario, tmp_path / "run")
    config = next(node.config for node in scenario.nodes if node.name == "stock")
    with simcore.open_run(tmp_path / "run") as run:
        boxes = run.connection.execute("SELECT count(*) FROM measurement").fetchone()[0]
        answers = run.connection.execute(
            "SELECT computed, waited FROM messages WHERE kind = 'answer'"
        ).fetchall()
    assert model.sold_out > 0 and boxes > 0
    assert model.sold <= sum(config["items"].values()) + boxes * config["box"]
    assert {computed for computed, _ in answers} == {400_000_000}
    assert any(waited > 0 for _, waited in answers)  # two tills asked at once
