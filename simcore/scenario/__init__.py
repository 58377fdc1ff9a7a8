"""Scenarios: from a YAML file to a validated, expanded, frozen description of one experiment."""

from simcore.scenario.loader import load, load_plain, loads
from simcore.scenario.model import NodeSpec, Scenario
from simcore.scenario.problems import Problem, did_you_mean
from simcore.scenario.schema import published_schema

__all__ = [
    "NodeSpec",
    "Problem",
    "Scenario",
    "did_you_mean",
    "load",
    "load_plain",
    "loads",
    "published_schema",
]
