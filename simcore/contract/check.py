"""Examines a program: the plain exchange first, then the rules of conduct."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import Any

from simcore.contract.acts import (
    ITEMS,
    NEEDS,
    NEEDS_INPUTS,
    VARIATIONS,
    NotExamined,
    Variation,
    acts,
    exchange,
)
from simcore.contract.conversation import Lost
from simcore.contract.door import Ground
from simcore.contract.plan import Plan, Post
from simcore.contract.report import Report
from simcore.contract.rules import RULES, Finding
from simcore.contract.sending import Manner
from simcore.contract.session import Exchange, Session, derived
from simcore.participant import Kind


class _Broken(Exception):
    """A rule was broken in an act."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding


def check(plan: Plan) -> Report:
    """Examine a program.

    Args:
        plan: what to start, and what to send to it.

    Returns:
        Which rules it keeps and breaks.

    Raises:
        LaunchError: it cannot be started.
        UsageError: it asks for more exchanges than a session may have.
    """
    with Ground() as ground:
        return _Kit(plan, ground).check()


class _Kit:
    """Examines one program."""

    def __init__(self, plan: Plan, ground: Ground) -> None:
        self._plan = plan
        self._ground = ground
        self._findings: dict[str, Finding] = {}
        self._unexamined: dict[str, str] = {}
        self._basic: frozenset[str] = frozenset()
        self._kind: Kind = plan.kind or "reactive"
        self._grain = 1
        self._ready = False
        self._exchanges: list[Exchange] = []
        self._starts = 0
        self._lost_by = ""

    def check(self) -> Report:
        """Examine all rules."""
        plain = self._exchange_plainly()
        self._basic = frozenset(self._findings)
        wanted = [
            rule.id
            for rule in RULES.values()
            if self._kind in rule.kinds and rule.id not in self._plan.skip
        ]
        if not plain:
            why = f"the exchange did not come to its end, for {self._lost_by} was broken"
            self._unexamined = {rule: why for rule in wanted if rule not in self._findings}
        else:
            self._examine_conduct(set(wanted))
        return Report(
            list(self._plan.command),
            self._kind if self._ready else None,
            self._plan.transport,
            self._starts,
            wanted,
            {rule: found for rule, found in self._findings.items() if rule in wanted},
            {rule: why for rule, why in self._unexamined.items() if rule in wanted},
        )

    def _exchange_plainly(self) -> bool:
        """The exchange that all others are compared with; whether it came to its end."""
        with self._session(self._collect, Manner(strict=True), "exchange") as session:
            try:
                session.begin()
                exchange(session, Post(self._plan))
                session.shut_down()
                if session.wrong:
                    self._unexamined["fate"] = "an answer broke another rule"
            except Lost:
                return False
            finally:
                self._kind, self._grain = session.kind, session.grain
                self._ready = session.ready
                self._exchanges = session.exchanges
        return True

    def _collect(self, finding: Finding) -> None:
        self._lost_by = finding.rule
        known = self._findings.setdefault(finding.rule, finding)
        known.count += known is not finding

    def _examine_conduct(self, wanted: set[str]) -> None:
        if not self._plan.samples:
            for rule in NEEDS_INPUTS & wanted:
                self._unexamined[rule] = "nothing is sent to it"
            wanted -= NEEDS_INPUTS
        self._examine_items([rule for rule in ITEMS if rule in wanted])
        for variation in VARIATIONS:
            if variation.rule in wanted:
                self._examine(variation.rule, partial(self._vary, variation))
        for rule, act in acts(self._grain, self._plan.duration).items():
            if rule in wanted:
                self._examine(rule, partial(self._act, rule, act))

    def _examine(self, rule: str, examine: Callable[[], None]) -> bool:
        """Run an act in the name of its rule; whether it came to its end."""
        need = NEEDS.get(rule)
        try:
            if need in self._findings:
                raise NotExamined(f"{need} is broken")
            examine()
        except _Broken as broken:
            self._findings[rule] = derived(broken.finding, rule)
        except NotExamined as why:
            self._unexamined[rule] = str(why)
            return True
        except Lost:
            self._unexamined[rule] = "a rule of frames was broken, as in the exchange"
        else:
            return True
        return False

    def _act(self, rule: str, act: Callable[[Session, Post], None]) -> None:
        with self._session(self._attribute, Manner(), rule) as session:
            act(session, Post(self._plan))

    def _examine_items(self, rules: list[str]) -> None:
        """In one session, and in a new one after each rule that is broken."""
        todo = list(rules)
        while todo:
            with self._session(self._attribute, Manner(), todo[0]) as session:
                post = Post(self._plan)
                while todo and self._examine(todo[0], partial(self._item, todo[0], session, post)):
                    del todo[0]
                del todo[:1]  # broken

    def _item(self, rule: str, session: Session, post: Post) -> None:
        session.where = rule
        if not session.begun:
            session.begin()
        ITEMS[rule](session, post)

    def _vary(self, variation: Variation) -> None:
        with self._session(self._attribute, variation.manner, variation.rule) as session:
            session.begin()
            exchange(session, Post(self._plan))
            if "repeatable" in self._findings:
                raise NotExamined("its answers are not repeatable, so they cannot be compared")
            self._compare(session, variation)

    def _compare(self, session: Session, variation: Variation) -> None:
        """Hold answers against those of the plain exchange."""
        before, after = self._exchanges, session.exchanges
        if self._basic and not variation.exact:
            raise NotExamined(f"{min(self._basic)} was broken, so what it does cannot be compared")
        if variation.exact:
            for number, (one, other) in enumerate(zip(before, after, strict=False), 1):
                if one.came != other.came:
                    raise _Broken(_different(variation, f"ADVANCE {number}", one.sent, one.came,
                                             other.came))  # fmt: skip
            if len(before) != len(after):
                raise _Broken(_different(variation, "exchange", "", f"{len(before)} exchanges",
                                         f"{len(after)} exchanges"))  # fmt: skip
            return
        first, second = (
            sorted(text for each in exchanges for text in each.outcome)
            for exchanges in (before, after)
        )
        if first == second:
            return
        lacking = next((each for each in first if each not in second), "nothing")
        more = next((each for each in second if each not in first), "nothing")
        raise _Broken(_different(variation, "exchange", "", lacking, more))

    def _attribute(self, finding: Finding) -> None:
        """What goes wrong in an act counts for its rule, unless it did so before."""
        if finding.rule not in self._basic:
            raise _Broken(finding)

    @contextmanager
    def _session(self, note: Callable[[Finding], None], manner: Manner, where: str) -> Any:
        session = Session(self._ground, self._plan, note, manner, where)
        self._starts += 1
        try:
            yield session
        finally:
            session.kill()


def _different(variation: Variation, where: str, sent: str, before: str, after: str) -> Finding:
    says = {
        "repeatable": "a second start answered something else",
        "pace": "it answered something else when simcore paused",
        "pieces": "it answered something else when frames came in pieces",
        "unknown-field": "it answered something else when frames had further fields",
        "split-window": "it did something else when it was let go in smaller steps",
        "keeps-inputs": "it did something else when it had all inputs at once",
    }[variation.rule]
    return Finding(
        variation.rule,
        f"{says}: first {_short(before)}, then {_short(after)}",
        f"{variation.rule}, {where}",
        _short(sent),
        _short(after),
    )


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."
