"""The reader: values as YAML's safe loader gives them, places of all keys, and never a traceback."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simcore.errors import ScenarioError
from simcore.scenario import reader
from simcore.scenario.loader import loads
from simcore.scenario.problems import Problem, did_you_mean, dotted
from simcore.scenario.reader import parse
from simcore.scenario.tree import place_of, plain


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def parser(request, monkeypatch):
    """Both of PyYAML's parsers, for it may have been built without libyaml."""
    if request.param == "python":
        monkeypatch.setattr(reader, "_LOADER", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


def values(text):
    document = parse(text, "s")
    assert document.problems == []
    return plain(document.tree)[0]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, 2.5, true, null, ~, '3', \"x\\ty\"]\nc: {d: -7, e: +3, f: 0x1F, g: 0b101, h: 1_000}",
        "a: yes\nb: NO\nc: Off\nd: 'yes'\ne: .5\nf: 5.\ng: -1.5e+3\nh: 1e\ni: 0x\nj: '~'",
        "a: |\n  line\n  line\nb: >\n  folded\n  text\nc: plain\n  goes on",
        "base: &base {a: 1, b: {c: 2}}\nx: {<<: *base, b: 3}\ny: {b: 4, <<: *base}\nz: *base",
        "one: &one {a: 1, k: 1}\ntwo: &two {a: 2, l: 2}\nx: {<<: [*one, *two], m: 3}",
        "{a: , b: }",
        "- - 1\n  - 2\n- {}\n- []",
        "? a\n: b\n",
        "'<<': 3\n",
    ],
)
def test_agrees_with_the_safe_loader(text):
    expected = yaml.safe_load(text)
    assert values(text) == expected
    assert repr(values(text)) == repr(expected)  # the order of keys, and 1 is not 1.0 or true


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("1:30", "1:30"),
        ("1e3", 1000.0),
        ("1.5e3", 1500.0),
        ("1e-3", 0.001),
        ("=", "="),
        ("<<", "<<"),
        ("0x", "0x"),
        ("1__0", 10),
    ],
)
def test_differs_from_the_safe_loader_where_that_surprises(text, value):
    assert values(text) == value
    assert type(values(text)) is type(value)


# YAML 1.1 takes 1e5 for text, this reader for a number.
_exponent = re.compile(r"[-+]?[0-9_.]+[eE][-+]?[0-9]+")
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda word: not _exponent.fullmatch(word)
)
_scalar = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    _text,
)
_data = st.recursive(
    _scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_data, st.booleans())
@example({"": {"a": [1.5, -0.0, "1.5", "no", "2024-01-01", "0o7", "~"]}}, True)
def test_agrees_with_the_safe_loader_on_any_data(data, flow):
    text = yaml.safe_dump(data, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    expected = yaml.safe_load(text)
    assert repr(values(text)) == repr(expected)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="ab:{}[]&*!|>?-,'\"\\#%@\n\t <~0.eux1", max_size=60))
@example("%YAML 9.9\n---\na")
@example('"\\UFFFFFFFF"')
@example('"\\ud800"')
@example("\ud800")
@example("&a *a")
@example("*a")
@example("<<: <<")
@example("a: !<\n")
@example("---\n---\n")
@example("0x" + "f" * 5000)
def test_any_text_is_read_or_refused(text):
    try:
        loads(text)
    except ScenarioError as error:
        assert error.problems
        assert all(isinstance(problem, Problem) for problem in error.problems)
        str(error).encode()
        assert "\n" not in str(error.problems[0])


def test_places():
    text = "a: 1\nb:\n  c: [x, {d: y}]\n  e: &n\n    f: 2\ng: *n\n"
    tree = parse(text, "s").tree
    places = {
        ("a",): (1, 4),
        ("b",): (2, 1),
        ("b", "c"): (3, 3),
        ("b", "c", 0): (3, 7),
        ("b", "c", 1): (3, 10),
        ("b", "c", 1, "d"): (3, 14),
        ("b", "e"): (4, 3),
        ("b", "e", "f"): (5, 8),
        ("g",): (6, 1),
        ("g", "f"): (5, 8),
        ("b", "missing", "x"): (2, 1),
        ("b", "c", 9): (3, 3),
    }
    assert {path: tuple(place_of(tree, path))[1:] for path in places} == places
    assert tuple(place_of(tree, ("a",), at_key=True))[1:] == (1, 1)


def test_columns_count_characters_not_bytes():
    tree = parse("{\u00fc\u00df\U0001f600: 1, b: 2}", "s").tree
    assert tuple(place_of(tree, ("b",)))[1:] == (1, 13)


def test_everything_wrong_that_can_be_read_past_is_told_at_once():
    document = parse("a: 1\na: !!int 2\n3: 4\nb: [.nan, 010]\n", "s")
    assert [(problem.line, problem.column) for problem in document.problems] == [
        (2, 1), (2, 4), (3, 1), (4, 5), (4, 11),
    ]  # fmt: skip
    data, invalid = plain(document.tree)
    assert data == {"a": 1, "b": [None, None]}
    assert invalid == {("b", 0), ("b", 1)}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a", 0, "b", 1), "a[0].b[1]"),
        (("a b", "c.d"), '"a b".c.d'),
        (("\x1b[2J",), '"\\u001b[2J"'),
    ],
)
def test_paths_are_written_safely(path, text):
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("modle", ["seed", "model"], "model"),
        ("Model", ["model"], "model"),
        ("xyz", ["model"], None),
        ("model", ["model"], None),
        ("x" * 10_000, ["x" * 10_001], None),
        ("node12", [f"node{i}" for i in range(100_000)], "node1"),
        ("a", [], None),
    ],
)
def test_did_you_mean(word, candidates, meant):
    found = did_you_mean(word, candidates)
    assert found == meant or (word == "node12" and found is not None and found.startswith("node"))
