"""The three forms of the reference scenario differ in what they say they differ in."""

from __future__ import annotations

from typing import Any

import yaml
from support import ROOT


def written(name: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert found.pop("name") == name
    assert isinstance(found, dict)
    return found


def test_over_simulated_radios_only_the_network_is_another() -> None:
    full, radios = written("placement"), written("placement_lrwpan")
    assert (full.pop("network")["model"], radios.pop("network")["model"]) == ("latency", "ns3")
    assert radios == full


def test_in_the_light_form_only_what_runs_the_nodes_is_another() -> None:
    full, light = written("placement"), written("placement_light")
    same = full.keys() - {"nodes", "energy", "expect"}
    assert {key: light[key] for key in same} == {key: full[key] for key in same}
    assert light["nodes"].keys() == full["nodes"].keys()
    engines = {"implementation", "firmware", "model", "service", "config"}
    for name, node in full["nodes"].items():
        assert {key: node[key] for key in node.keys() - engines} == {
            key: light["nodes"][name][key] for key in light["nodes"][name].keys() - engines
        }
        for key in {"compute", "scale", "kind", "keep", "size"} & node.get("config", {}).keys():
            assert light["nodes"][name]["config"][key] == node["config"][key]
        assert light["nodes"][name].get("implementation", "python_model") == "python_model"
    # A model says itself how long it computes; of native firmware, the scenario says it.
    assert (
        full["energy"]["meter"].pop("computing")["reading"]
        == (light["nodes"]["meter"]["config"]["compute"])
    )
    assert light["energy"] == full["energy"]
