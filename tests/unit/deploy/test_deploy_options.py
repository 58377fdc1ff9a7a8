"""What a deployed service is told, and what it refuses to be told."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from simcore_backends.services.deploy.logs import start_logging
from simcore_backends.services.deploy.mqtt import Given
from simcore_backends.services.deploy.options import read

from simcore import UsageError

GIVEN = ["--service", "echo", "--name", "gateway", "--broker", "edge"]


def test_what_holds_without_options() -> None:
    options = read(GIVEN, {})
    assert (options.service, options.name, options.base) == ("echo", "gateway", Path.cwd())
    assert (options.config, options.seed, options.life) == ({}, 1, 1)
    assert options.mqtt == Given("broker", (), False)
    assert (options.prefix, options.client, options.log) == ("simcore", "simcore-gateway", "plain")
    access = options.access
    assert (access.host, access.port, access.qos) == ("edge", 1883, 1)
    assert (access.user, access.password, access.tls, access.authority) == (None, None, False, None)


def test_each_option_is_a_variable_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n", encoding="utf-8")
    given = {
        "service": "other",
        "name": "node-7",
        "broker": "[::1]:99",
        "config": '{"a":[1]}',
        "mqtt": '{"broker":"hub"}',
        "base": str(tmp_path),
        "seed": "42",
        "life": "3",
        "prefix": "plant/7",
        "qos": "2",
        "user": "me",
        "password-file": str(tmp_path / "secret"),
        "ca": "ca.pem",
        "client-id": "it",
        "log": "json",
    }
    by_option = read([word for key, text in given.items() for word in (f"--{key}", text)], {})
    variables = {
        f"SIMCORE_DEPLOY_{key.replace('-', '_').upper()}": text for key, text in given.items()
    }
    assert read([], variables) == by_option
    assert (by_option.access.host, by_option.access.port) == ("::1", 99)
    assert (by_option.config, by_option.seed, by_option.life) == ({"a": [1]}, 42, 3)
    assert (by_option.access.password, by_option.access.tls) == ("from file", True)
    assert str(by_option.access) == "[::1]:99"
    assert read(["--name", "mine"], variables).name == "mine"


def test_a_password_may_be_in_the_environment_and_not_among_the_options() -> None:
    options = read([*GIVEN, "--user", "me"], {"SIMCORE_DEPLOY_PASSWORD": "secret"})
    assert options.access.password == "secret"
    with pytest.raises(UsageError, match="--password"):
        read([*GIVEN, "--user", "me", "--password", "secret"], {})


@pytest.mark.parametrize(
    ("options", "variables"),
    [(["--tls"], {}), ([], {"SIMCORE_DEPLOY_TLS": "yes"}), (["--ca", "f"], {})],
)
def test_tls_has_a_port_of_its_own(options: list[str], variables: dict[str, str]) -> None:
    access = read([*GIVEN, *options], variables).access
    assert (access.tls, access.port) == (True, 8883)


def test_what_a_scenario_says_of_mqtt() -> None:
    text = '{"broker":"hub","subscribe":[{"filter":"a/#","qos":2},{"filter":"b"}],"events":true}'
    assert read([*GIVEN, "--mqtt", text], {}).mqtt == Given("hub", (("a/#", 2), ("b", 0)), True)
    config = ["--config", '{"broker":"mine"}']
    assert read([*GIVEN, *config], {}).mqtt.broker == "mine"  # as the functions of mqtt take it
    assert read([*GIVEN, *config, "--mqtt", '{"broker":"hub"}'], {}).mqtt.broker == "hub"
    assert read([*GIVEN, "--config", '{"broker":{}}'], {}).mqtt.broker == "broker"


def test_config_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"kind": "pong"}', encoding="utf-8")
    assert read([*GIVEN, "--config", f"@{file}"], {}).config == {"kind": "pong"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--broker", "edge:x"], "write a host, or host:port"),
        (["--broker", "edge:0"], "write a host, or host:port"),
        (["--broker", "edge:65536"], "write a host, or host:port"),
        (["--broker", ":1883"], "write a host, or host:port"),
        (["--broker", "::1"], "in brackets"),
        (["--config", "{"], "--config is no JSON"),
        (["--config", "[1]"], "write a JSON object"),
        (["--config", '{"a":NaN}'], "it holds NaN"),
        (["--config", "@nowhere.json"], "nowhere.json cannot be read"),
        (["--mqtt", "hub"], "--mqtt is no JSON"),
        (["--mqtt", "[]"], "write a JSON object, as"),
        (["--mqtt", '{"brokr":"hub"}'], "--mqtt makes no sense"),
        (["--mqtt", '{"broker":7}'], "--mqtt makes no sense"),
        (["--mqtt", '{"events":"yes"}'], "--mqtt makes no sense"),
        (["--mqtt", '{"subscribe":["a"]}'], "--mqtt makes no sense"),
        (["--mqtt", '{"subscribe":[{"qos":1}]}'], "--mqtt makes no sense"),
        (["--mqtt", '{"subscribe":[{"filter":"a","qs":1}]}'], "--mqtt makes no sense"),
        (["--mqtt", '{"subscribe":[{"filter":"a","qos":1.0}]}'], "--mqtt makes no sense"),
        (["--base", "nowhere"], "there is no such folder"),
        (["--seed", "-1"], "--seed is '-1': a whole number from 0"),
        (["--life", "0"], "a whole number from 1"),
        (["--qos", "3"], "a whole number from 0 to 2"),
        (["--log", "xml"], "plain or json"),
        (["--password-file", "nowhere", "--user", "me"], "nowhere cannot be read"),
        (["--colour"], "--colour"),
        (["--brok", "edge"], "--brok"),
    ],
)
def test_what_makes_no_sense(options: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read([*GIVEN, *options], {})


def test_a_password_needs_a_user() -> None:
    with pytest.raises(UsageError, match="no --user"):
        read(GIVEN, {"SIMCORE_DEPLOY_PASSWORD": "secret"})


def test_yes_or_no() -> None:
    assert not read(GIVEN, {"SIMCORE_DEPLOY_TLS": "no"}).access.tls
    with pytest.raises(UsageError, match="yes or no"):
        read(GIVEN, {"SIMCORE_DEPLOY_TLS": "maybe"})


@pytest.mark.parametrize("missing", ["service", "name", "broker"])
def test_what_cannot_be_left_out(missing: str) -> None:
    at = GIVEN.index(f"--{missing}")
    with pytest.raises(UsageError, match=f"--{missing} is missing"):
        read(GIVEN[:at] + GIVEN[at + 2 :], {})


@pytest.fixture
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _failing() -> None:
    try:
        raise RuntimeError('a "quoted" word\nand a line')
    except RuntimeError:
        logging.getLogger("simcore").exception("it is %s", "broken")


@pytest.mark.usefixtures("_logging")
def test_log_lines_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("json")
    _failing()
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["message"]) == ("ERROR", "it is broken")
    assert 'RuntimeError: a "quoted" word\nand a line' in fields["traceback"]
    assert fields["time"].endswith("Z")


@pytest.mark.usefixtures("_logging")
def test_log_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("plain")
    _failing()
    first, *more = capsys.readouterr().err.splitlines()
    assert first.endswith("Z ERROR it is broken")
    assert more[0] == "Traceback (most recent call last):"
    assert sys.stderr.writable()
