"""Files meant to hurt: each is refused with a problem, in bounded memory and work.

Time is bounded through the limits that are asserted here (bytes read, values made, names
expanded, suggestions looked for), not through a clock.
"""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest

from simcore.errors import ScenarioError
from simcore.scenario import load, loads
from simcore.scenario.problems import MAX_SUGGESTIONS
from simcore.scenario.reader import MAX_BYTES, MAX_DEPTH, MAX_VALUES, parse, read_file
from simcore.scenario.tree import plain

HEAD = "simcore: 1\nduration: 1s\n"
MIB = 2**20


@pytest.fixture
def small_memory():
    """Fails the test if more than 96 MiB are in use at once."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 96 * MIB


def messages(text, **kwargs):
    with pytest.raises(ScenarioError) as caught:
        loads(text, name="s", **kwargs)
    return [str(problem) for problem in caught.value.problems]


def file_messages(path):
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return [str(problem).removeprefix(f"{path}:").strip() for problem in caught.value.problems]


def test_alias_bomb(small_memory):
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    (problem,) = messages("\n".join(lines))
    assert problem == "s:6:5: holds more than 200,000 values once its aliases are expanded"


def test_alias_bomb_of_mappings(small_memory):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}" for i in range(1, 49)]
    (problem,) = messages("\n".join(lines))
    assert "holds more than 200,000 values" in problem


def test_merge_bomb(small_memory):
    wide = ", ".join(f"k{i}: 1" for i in range(5000))
    text = f"a: &a {{{wide}}}\nb: [" + "{<<: *a}, " * 20_000 + "]"
    (problem,) = messages(text)
    assert problem.endswith("merge keys bring in more than 200,000 values")


def test_aliases_cannot_nest_deeper_than_text():
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))
    (problem,) = messages(text)
    assert problem == "s:50:6: is nested more than 50 levels deep"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{b: "])
def test_deep_nesting(opening, small_memory):
    (problem,) = messages(opening * 150_000)
    assert problem.endswith("is nested more than 50 levels deep")


def test_nesting_is_allowed_up_to_the_limit():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(text, "s").tree.depth == MAX_DEPTH
    with pytest.raises(ScenarioError, match="nested"):
        parse(f"[{text}]", "s")


def test_values_are_allowed_up_to_the_limit():
    data, _ = plain(parse("[" + "0," * (MAX_VALUES - 1) + "]", "s").tree)
    assert len(data) == MAX_VALUES - 1
    with pytest.raises(ScenarioError, match="more than 200,000 values"):
        parse("[" + "0," * MAX_VALUES + "]", "s")


def test_a_file_of_100_mb_is_not_read(tmp_path):
    path = tmp_path / "big.yaml"
    with open(path, "wb") as stream:
        stream.truncate(100 * MIB)
    tracemalloc.start()
    assert file_messages(path) == ["is larger than 1 MiB, the limit for a scenario"]
    assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    tracemalloc.stop()


def test_a_file_may_have_the_limits_size(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes(b"a" * MAX_BYTES)
    assert len(read_file(path)) == MAX_BYTES
    path.write_bytes(b"a" * (MAX_BYTES + 1))
    assert file_messages(path) == ["is larger than 1 MiB, the limit for a scenario"]


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_an_endless_device(small_memory):
    assert file_messages(Path("/dev/zero")) == ["is larger than 1 MiB, the limit for a scenario"]


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs /dev/fd")
def test_a_pipe_is_read_to_its_end():
    reader, writer = os.pipe()
    try:
        os.write(writer, (HEAD + "nodes: {a: {}}\n").encode())
        os.close(writer)
        assert len(load(f"/dev/fd/{reader}").nodes) == 1
    finally:
        os.close(reader)


def test_a_directory(tmp_path):
    assert file_messages(tmp_path) == ["is a directory; name the scenario file in it"]


TEXT = HEAD + "description: gr\u00fc\u00df\nnodes: {a: {}}\n"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (TEXT.encode("utf-16"), "1:1: is UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "1:1: is UTF-16; save it as UTF-8"),
        (HEAD.encode("utf-16-le"), "1:2: the character U+0000 cannot stand in YAML text"),
        (TEXT.encode("latin-1"), "3:16: byte 0xfc is not UTF-8; save the file as UTF-8"),
        (HEAD.encode() + b"name: \xed\xa0\x80", "3:7: byte 0xed is not UTF-8; save the file as UTF-8"),
        (HEAD.encode() + b"name: a\x00b", "3:8: the character U+0000 cannot stand in YAML text"),
        (HEAD.encode() + b"name: \x1b[31m", "3:7: the character U+001B cannot stand in YAML text"),
        (b"", "1:1: the file is empty"),
        (b"\xef\xbb\xbf", "1:1: the file is empty"),
        (b"\x7fELF\x02\x01\x01", "1:1: the character U+007F cannot stand in YAML text"),
    ],
)  # fmt: skip
def test_what_is_not_utf8_text(tmp_path, data, problem):
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    assert file_messages(path) == [problem]


def test_a_byte_order_mark_is_fine_and_counts_for_nothing(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load(path).description == "gr\u00fc\u00df"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("simcore: 1", "simcore: 2").encode())
    assert file_messages(path) == ["1:10: simcore: must be 1, got 2"]


def test_random_bytes(tmp_path):
    rng = random.Random(1)
    path = tmp_path / "s.yaml"
    for length in (1, 10, 1000, 100_000):
        path.write_bytes(rng.randbytes(length))
        assert len(file_messages(path)) >= 1


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system [echo]",
        "!!python/name:os.system x",
        "!!binary aGk=",
        "!x {}",
        "! a",
    ],
)
def test_tags_construct_nothing(tag):
    (problem,) = messages(HEAD + f"nodes: {{a: {{}}}}\nname: {tag}\n")
    assert "is not allowed: a scenario holds plain values" in problem


def test_a_long_value_is_not_repeated_in_full():
    for text in ("x" * 900_000, "9" * 900_000, "[" + "z," * 100_000 + "]", "1" * 90 + "s"):
        for problem in messages(HEAD + f"nodes: {{a: {{}}}}\nseed: {text}\n"):
            assert len(problem) < 600
    for problem in messages(HEAD + "? " + "k" * 900_000 + "\n: 3\n"):
        assert len(problem) < 600


def test_billions_of_nodes_are_counted_and_not_made(small_memory):
    nodes = ", ".join(f"a{i}: {{count: 100000}}" for i in range(2000))
    text = (
        HEAD
        + f"nodes: {{{nodes}}}\nnetwork: {{model: latency, links: [{{between: [a0, a1-5], delay: 1s}}]}}\n"
    )
    assert messages(text) == ["s:3:1: nodes: 200,000,000 nodes in all; at most 200,000 are allowed"]


def test_thousands_of_problems_are_all_told_and_few_get_a_suggestion(monkeypatch, small_memory):
    looked_for = []

    def counting(word, candidates):
        looked_for.append(word)

    monkeypatch.setattr("simcore.scenario.problems.did_you_mean", counting)
    monkeypatch.setattr("simcore.scenario.names.did_you_mean", counting)
    links = "".join(f"    - {{between: [a, b{i}], delay: 1s, x{i}: 1}}\n" for i in range(600))
    assert (
        len(messages(HEAD + "nodes: {a: {}}\nnetwork:\n  model: latency\n  links:\n" + links))
        == 1200
    )
    assert len(looked_for) < 5 * MAX_SUGGESTIONS
