"""What of an expectation can be told before a run: shares lie between 0 and 1.

Who writes `accuracy(inference) >= 95` means `95%`. No run ever meets it, and `lost / sent <= 2` is
met by every run, so neither says anything of the one that it stands for.
"""

from __future__ import annotations

import math

from simcore.expect.tree import Count, Expectation, Inferred, Literal, Negative, Node, Operation

_Bounds = tuple[float, float]


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
    """Whether one counts some of the messages that the other counts."""
    return (
        isinstance(some, Count)
        and isinstance(all_, Count)
        and all_.what in ("sent", some.what)
        and all_.reason in (None, some.reason)
        and all_.kind in (None, some.kind)
    )
