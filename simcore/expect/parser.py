"""Text to tree: tokens and a recursive descent with one method per rule of the grammar.

It checks words and units on the way, so that whatever it returns can be evaluated; what it
refuses it refuses with a column, for `validate` points at the character.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from simcore import units
from simcore.errors import UnitError, UsageError
from simcore.expect.tree import (
    COMPARISONS,
    COUNTS,
    ENERGY,
    FUNCTIONS,
    MEASURES,
    PLACES,
    PLAIN,
    RATE,
    RATIOS,
    REASONS,
    SERIES,
    SIZE,
    TIME,
    Count,
    Dimension,
    Expectation,
    Inferred,
    Literal,
    Negative,
    Node,
    Operation,
    Value,
)

MAX_LENGTH = 1000
MAX_OPERATORS = 64
"""Most operators and parentheses in one expectation: keeps the tree far from Python's
recursion limit, and nobody can read more."""

_SERIES = (*SERIES, "record", "inference")
_WORDS = (*COUNTS, *FUNCTIONS, *RATIOS, *SERIES)
_DIMENSION_NAMES = {
    PLAIN: "a plain number",
    TIME: "a duration",
    SIZE: "a size",
    RATE: "a rate",
    ENERGY: "an energy",
}


def _joule(text: str) -> float:
    return units.energy(text) / 10**18


_UNITS: dict[str, tuple[Dimension, Callable[[str], float]]] = {
    **dict.fromkeys(("ns", "us", "ms", "s", "min", "h", "d"), (TIME, units.duration)),
    **dict.fromkeys(("B", "kB", "MB", "GB", "KiB", "MiB", "GiB"), (SIZE, units.size)),
    **dict.fromkeys(("bit/s", "kbit/s", "Mbit/s", "Gbit/s"), (RATE, units.rate)),
    **dict.fromkeys(("aJ", "pJ", "nJ", "uJ", "mJ", "J", "kJ"), (ENERGY, _joule)),
    **dict.fromkeys(("mWh", "Wh", "kWh"), (ENERGY, _joule)),
}


class ExpectationError(UsageError):
    """An expectation that cannot be read.

    Args:
        column: where in the text, counted from 1.
        message: what is wrong there, and what to write instead.
    """

    def __init__(self, column: int, message: str) -> None:
        self.column = column
        self.problem = message
        super().__init__(f"column {column}: {message}")


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)\s*
        (?P<unit>%|[A-Za-zµ]*bit/s(?![A-Za-z0-9_])|[A-Za-zµ_][A-Za-z0-9µ_]*)?
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<symbol><=|>=|==|!=|[<>+\-*/().])
    )""",
    re.ASCII | re.VERBOSE | re.DOTALL,
)
_NEAR_SYMBOLS = {"=": "==", "≤": "<=", "≥": ">=", "≠": "!=", "×": "*", "÷": "/", "'": '"'}


@dataclass(frozen=True, slots=True)
class _Token:
    type: str
    """number, word, quoted, symbol or end."""
    text: str
    column: int
    unit: str = ""
    unit_column: int = 0


def _tokens(text: str) -> Iterator[_Token]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position)
        what = str(match.lastgroup if match.lastgroup != "unit" else "number")
        start, unit = match.start(what) + 1, match["unit"] or ""
        yield _Token(what, match[what], start, unit, match.start("unit") + 1)
        position = match.end()
    yield _Token("end", "the end", end + 1)


def _unreadable(text: str, position: int) -> ExpectationError:
    while text[position].isspace():
        position += 1
    found = text[position]
    if found == '"':
        return ExpectationError(position + 1, "the quoted name has no closing quote")
    near = _NEAR_SYMBOLS.get(found)
    hint = f" (did you mean {near} ?)" if near else ""
    return ExpectationError(position + 1, f"{found!r} has no meaning here{hint}")


_Parsed = tuple[Node, Dimension]


class _Parser:
    """Recursive descent, one method per rule of the grammar; each returns node and dimension."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.position = 0
        self.operators = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def take(self) -> _Token:
        token = self.token
        if token.type != "end":
            self.position += 1
        return token

    def take_symbol(self, *symbols: str) -> _Token | None:
        token = self.token
        return self.take() if token.type == "symbol" and token.text in symbols else None

    def need_symbol(self, symbol: str, why: str) -> None:
        if not self.take_symbol(symbol):
            raise self.unexpected(f"{symbol!r} {why}")

    def unexpected(self, wanted: str) -> ExpectationError:
        found = self.token.text if self.token.type == "end" else repr(self.token.text)
        return ExpectationError(self.token.column, f"expected {wanted}, found {found}")

    def deeper(self, column: int) -> None:
        self.operators += 1
        if self.operators > MAX_OPERATORS:
            raise ExpectationError(
                column,
                f"more than {MAX_OPERATORS} operators and parentheses: write several expectations",
            )

    def expectation(self) -> Expectation:
        left, left_dimension = self.sum()
        sign = self.take_symbol(*COMPARISONS)
        if sign is None:
            raise self.unexpected(f"a comparison ({' '.join(COMPARISONS)})")
        right, right_dimension = self.sum()
        if self.token.type != "end":
            raise self.after_the_end()
        dimension = _same(left_dimension, right_dimension, sign, "compared with")
        return Expectation(left, sign.text, right, dimension, self.text)

    def after_the_end(self) -> ExpectationError:
        token = self.token
        if token.text in COMPARISONS:
            return ExpectationError(
                token.column,
                "an expectation has one comparison: write a second one on its own line",
            )
        if token.text in ("and", "or"):
            return _second_line(token.text, token.column)
        return self.unexpected("an operator or the end")

    def sum(self) -> _Parsed:
        node, dimension = self.product()
        while sign := self.take_symbol("+", "-"):
            self.deeper(sign.column)
            right, other = self.product()
            joined = "added to" if sign.text == "+" else "subtracted from"
            dimension = _same(dimension, other, sign, joined)
            node = Operation(sign.text, node, right)
        return node, dimension

    def product(self) -> _Parsed:
        node, dimension = self.factor()
        while sign := self.take_symbol("*", "/"):
            self.deeper(sign.column)
            right, other = self.factor()
            dimension = _multiply(dimension, other, 1 if sign.text == "*" else -1)
            node = Operation(sign.text, node, right)
        return node, dimension

    def factor(self) -> _Parsed:
        token = self.token
        if self.take_symbol("-"):
            self.deeper(token.column)
            node, dimension = self.factor()
            return Negative(node), dimension
        if self.take_symbol("("):
            self.deeper(token.column)
            inner = self.sum()
            self.need_symbol(")", "to close the parenthesis")
            return inner
        if token.type == "number":
            return _literal(self.take())
        if token.type == "word":
            return self.named()
        raise self.unexpected(
            "a number, a count such as 'sent', or a function such as 'p99(latency)'"
        )

    def named(self) -> _Parsed:
        token = self.take()
        word = token.text
        if word in FUNCTIONS:
            return self.value(token)
        if word in RATIOS:
            return self.ratio(word)
        if word in COUNTS:
            return self.count(word), PLAIN
        if word in (*SERIES, "record", "inference"):
            example = {"record": "record.NAME", "inference": "inference.latency"}.get(word, word)
            raise ExpectationError(
                token.column,
                f"{word!r} is a series: say which statistic, for example p95({example})",
            )
        raise ExpectationError(token.column, _unknown(word, "word", _WORDS))

    def count(self, what: str) -> Count:
        reason = kind = None
        if self.take_symbol("."):
            if what == "lost" and self.token.type == "word" and self.token.text in REASONS:
                reason = self.take().text
                kind = self.name("a kind of message") if self.take_symbol(".") else None
            else:
                kind = self.name("a kind of message" + (" or a reason" if what == "lost" else ""))
        return Count(what, reason, kind)

    def value(self, function: _Token) -> _Parsed:
        self.need_symbol("(", f"after the function {function.text!r}")
        token = self.token
        if token.type != "word":
            raise self.unexpected(
                f"a series ({', '.join(SERIES)}, record.NAME or inference.MEASURE)"
            )
        series, name = self.take().text, None
        if series in COUNTS:
            raise ExpectationError(
                token.column, f"{series!r} is a count already: leave {function.text}() out"
            )
        if series == "inference":
            return self.inferred(function.text)
        if series not in (*SERIES, "record"):
            raise ExpectationError(token.column, _unknown(series, "series", _SERIES))
        if self.take_symbol("."):
            name = self.name(
                "the name of a measurement" if series == "record" else "a kind of message"
            )
        elif series == "record":
            raise self.unexpected("'.' and the name of a measurement, as in record.temperature")
        self.need_symbol(")", "to close the parenthesis")
        known = None if series == "record" else TIME
        return Value(function.text, series, name), PLAIN if function.text == "count" else known

    def inferred(self, function: str) -> _Parsed:
        """What stands behind `inference` in a statistic."""
        if not self.take_symbol("."):
            raise self.unexpected("'.' and a measure, as in inference.latency")
        measure = self.one_of(MEASURES, "measure of an inference")
        place = self.one_of(PLACES, "place") if self.take_symbol(".") else None
        self.need_symbol(")", "to close the parenthesis")
        found = Inferred(function, measure, place)
        return found, found.dimension

    def ratio(self, function: str) -> _Parsed:
        self.need_symbol("(", f"after the function {function!r}")
        token = self.take()
        if token.text != "inference":
            raise ExpectationError(
                token.column, f"{function!r} is of inferences: write {function}(inference)"
            )
        place = self.one_of(PLACES, "place") if self.take_symbol(".") else None
        if function == "share" and place is None:
            raise self.unexpected("'.' and a place, as in share(inference.edge)")
        self.need_symbol(")", "to close the parenthesis")
        return Inferred(function, RATIOS[function], place), PLAIN

    def one_of(self, words: Sequence[str], what: str) -> str:
        token = self.token
        if token.type != "word":
            raise self.unexpected(f"a {what} ({', '.join(words)})")
        if token.text not in words:
            raise ExpectationError(token.column, _unknown(token.text, what, words))
        return self.take().text

    def name(self, what: str) -> str:
        if self.token.type == "word":
            return self.take().text
        if self.token.type == "quoted":
            return re.sub(r"\\(.)", r"\1", self.take().text[1:-1], flags=re.DOTALL)
        raise self.unexpected(f"{what} (in quotes if it is not an identifier)")


def _second_line(word: str, column: int) -> ExpectationError:
    return ExpectationError(
        column, f"{word!r} is not part of an expectation: write each on its own line"
    )


def _unknown(word: str, what: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, tuple(known), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else f"; known are {', '.join(known)}"
    return f"unknown {what} {word!r}{hint}"


def _literal(token: _Token) -> _Parsed:
    if token.unit == "%":
        return Literal(float(token.text) / 100, PLAIN, f"{token.text}%"), PLAIN
    if not token.unit:
        value = int(token.text) if token.text.isdigit() else float(token.text)
        if not math.isfinite(value):
            raise ExpectationError(token.column, f"{token.text} is too large")
        return Literal(value, PLAIN, token.text), PLAIN
    if token.unit in ("and", "or"):
        raise _second_line(token.unit, token.unit_column)
    if token.unit not in _UNITS:
        raise ExpectationError(token.unit_column, _unknown(token.unit, "unit", _UNITS))
    dimension, read = _UNITS[token.unit]
    text = token.text + token.unit
    try:
        return Literal(read(text), dimension, text), dimension
    except UnitError as error:
        raise ExpectationError(token.column, str(error)) from None


def _same(left: Dimension, right: Dimension, sign: _Token, joined: str) -> Dimension:
    if left is None or right is None:
        return left or right
    if left == right:
        return left
    names = [_DIMENSION_NAMES.get(d, "a product of units") for d in (left, right)]
    if joined != "compared with":
        names.reverse()  # `a - b`: b is subtracted from a
    hint = ": give the number a unit, as in 10ms" if {left, right} == {PLAIN, TIME} else ""
    raise ExpectationError(sign.column, f"{names[0]} cannot be {joined} {names[1]}{hint}")


def _multiply(left: Dimension, right: Dimension, power: int) -> Dimension:
    if left is None or right is None:
        return None
    a, b, c, d = (x + power * y for x, y in zip(left, right, strict=True))
    return a, b, c, d


def parse(text: str) -> Expectation:
    """Read one expectation, such as `p99(latency.reading) <= 150ms`.

    Raises:
        ExpectationError: (a `UsageError`) an unknown word, a syntax error, or units that do
            not go together; with the column and, where there is one, a suggestion.
    """
    if len(text) > MAX_LENGTH:
        raise ExpectationError(
            MAX_LENGTH, f"longer than {MAX_LENGTH} characters: write several expectations"
        )
    return _Parser(text).expectation()
