"""What of an expectation can be told before a run: shares lie between 0 and 1.

Who writes `accuracy(inference) >= 95` means `95%`. No run ever meets it, and `lost / sent <= 2` is
met by every run, so neither says anything of the one that it stands for.
"""

from __future__ import annotations

import math

from simcore.expect.tree import (
    REASONS,
    Count,
    Expectation,
    Inferred,
    Literal,
    Negative,
    Node,
    Operation,
    terms_of,
)

_Bounds = tuple[float, float]
_FATES = (("delivered", None), ("in_flight", None), *(("lost", why) for why in (*REASONS, None)))
"""What can become of a message: one of these."""


def told_beforehand(expectation: Expectation) -> str | None:
    """Why an expectation comes out the same in every run, and what to write; None if it may not."""
    left, right = expectation.left, expectation.right
    for share, number in ((left, right), (right, left)):
        bounds, given = _bounds(share), _bounds(number)
        if bounds is None or given is None or bounds[0] == bounds[1] or given[0] != given[1]:
            continue
        (low, high), value = bounds, given[0]
        if not low <= value <= high:
            range_ = f"{share} is between {low:g} and {high:g}"
            if high <= 1 and low <= value / 100 <= high and _lacks_percent(number):
                return f"{range_}, as shares are: write {number}%"
            return f"{range_}: to compare it with {number} tells nothing of a run"
    return None


def _lacks_percent(node: Node) -> bool:
    """Whether it is a number that a percent sign can follow."""
    node = node.operand if isinstance(node, Negative) else node
    return isinstance(node, Literal) and not node.text.endswith("%")


def _bounds(node: Node) -> _Bounds | None:
    """Between what a sum, product or quotient of shares and numbers lies; None of all else."""
    if isinstance(node, Literal):
        return float(node.value), float(node.value)
    if isinstance(node, Inferred):
        return (0.0, 1.0) if node.is_share else None
    if isinstance(node, Negative):
        inner = _bounds(node.operand)
        return None if inner is None else (-inner[1], -inner[0])
    if not isinstance(node, Operation):
        return None
    if node.operator == "/" and _is_part(node.left, node.right):
        return 0.0, 1.0
    left, right = _bounds(node.left), _bounds(node.right)
    if left is None or right is None or (node.operator == "/" and right[0] <= 0 <= right[1]):
        return None
    ends = [_join(node.operator, a, b) for a in left for b in right]
    return (min(ends), max(ends)) if all(map(math.isfinite, ends)) else None


def _join(operator: str, a: float, b: float) -> float:
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    return a * b if operator == "*" else a / b


def _is_part(some: Node, all_: Node) -> bool:
    """Whether one counts some of the messages that the other counts, in whatever sums."""
    kinds = {term.kind for term in (*terms_of(some), *terms_of(all_)) if isinstance(term, Count)}
    for kind in (*kinds, None):
        for what, reason in _FATES:
            message = Count(what, reason, kind)
            part, whole = _times(some, message), _times(all_, message)
            if part is None or whole is None or not 0 <= part <= whole:
                return False
    return True


def _times(node: Node, message: Count) -> int | None:
    """How many times sums and differences of counts count a message; None of all else.

    Args:
        message: one of this fate and kind; without a kind: of one that is not named.
    """
    if isinstance(node, Count):
        fits = (
            node.what in ("sent", message.what)
            and node.reason in (None, message.reason)
            and node.kind in (None, message.kind)
        )
        return int(fits)
    if isinstance(node, Negative):
        inner = _times(node.operand, message)
        return None if inner is None else -inner
    if not isinstance(node, Operation) or node.operator not in "+-":
        return None
    left, right = _times(node.left, message), _times(node.right, message)
    if left is None or right is None:
        return None
    return left + right if node.operator == "+" else left - right
