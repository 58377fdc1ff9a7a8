"""The summary at the end of a run, whole, as it looks in a pipe and in a terminal."""

from __future__ import annotations

import io

import pytest
from by_hand import MANIFEST, MESSAGES, MS, OUTSIDE
from rich.console import Console

from simcore.expect import Outcome
from simcore.results import show
from simcore.results.metrics import Counts
from simcore.results.store import open_run
from simcore.results.summary import print_summary

OUTCOMES = (
    Outcome("sent >= 1", True, 8, 1, "sent = 8 >= 1"),
    Outcome("lost == 0", False, 2, 0, "lost = 2 is not == 0"),
)


def summary(directory, *, width=120, outcomes=(), terminal=False):
    target = io.StringIO()
    console = Console(file=target, width=width, force_terminal=terminal)
    with open_run(directory) as run:
        print_summary(run, console, outcomes)
    return target.getvalue()


def squeezed(text):
    """Without the padding of tables."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_everything_on_one_screen(make_run):
    directory = make_run()
    assert squeezed(summary(directory, outcomes=OUTCOMES)) == [
        "by-hand seed 7 digest 0123456789ab exact",
        "completed: 300 ms of virtual time in 150 ms (2 x real time); simcore's own share about 40 %",
        "",
        "Messages 8 sent, 5 delivered (62.5 %), 2 lost (25 %), 1 in flight",
        "lost to loss 1 (12.5 %), queue_full 1 (12.5 %)",
        "",
        "Latency, its mean split, and end-to-end time",
        "Flow kind delivered/sent p50 p95 p99 network queueing computing end-to-end p95",
        "meter -> gateway reading 3/4 20 ms 38 ms 39.6 ms 19.3 ms 4 ms 0 38 ms",
        "gateway -> cloud my kind 1/3 50 ms 50 ms 50 ms 40 ms 7 ms 3 ms 60 ms",
        "cloud -> meter command 1/1 30 ms 30 ms 30 ms 20 ms 0 10 ms 90 ms",
        "",
        "Measurements",
        "name N mean std error 95 % interval",
        "correct 4 75 % 21.7 % 30.1 % to 95.4 %",
        "state 3 busy (2), idle (1) - -",
        "temperature 3 23 2.0817 18.92 to 27.08",
        "",
        "Links worth a look",
        "link busy entered lost to queue mean/max",
        "gateway->cloud 80 % 3 33.3 % queue_full 1 1.5/4",
        "",
        "Faults",
        "from to kind target",
        "150 ms 200 ms link_down gateway->cloud",
        "",
        "Expectations 1 of 2 failed",
        "pass sent = 8 >= 1",
        "FAIL lost == 0",
        "lost = 2 is not == 0",
        "",
        f"Results {directory}",
        f"python -m simcore report {directory}",
        f"python -m simcore trace {directory} gateway/1",
        f"python -m simcore export {directory}",
    ]


def test_participants_windows_and_what_they_cost(make_run):
    directory = make_run(manifest=OUTSIDE, outside={})
    lines = squeezed(summary(directory))
    assert lines[0] == "by-hand seed 7 digest 0123456789ab quantum"
    first = lines.index("150 ms 200 ms link_down gateway->cloud") + 2
    assert lines[first:] == [
        "Participants 1 reactive, 1 free-running, 1 network; 6 exchanges; "
        "20 % of wall time waited for them",
        "Windows 6 of at most 50 ms, quantum 50 ms",
        "5 messages handed over late (62.5 %), by 4 ms at worst, 2.2 ms on average",
        "meter-0->gateway: 2, by 4 ms at worst",
        "meter-1->gateway: 1, by 3 ms at worst",
        "cloud->meter-0: 1, by 2 ms at worst",
        "... and 1 more link",
        "",
        f"Results {directory}",
        f"python -m simcore report {directory}",
        f"python -m simcore trace {directory} gateway/1",
        f"python -m simcore export {directory}",
        f"python -m simcore timeline {directory}",
    ]


def test_windows_without_a_quantum(make_run):
    none = {"messages": 0, "worst_ns": 0, "total_ns": 0}
    windows = {"count": 1, "length_ns": None, "grain_ns": 1, "quantum_ns": None, "late": none}
    lines = squeezed(summary(make_run(manifest={"windows": windows})))
    assert lines[lines.index("Windows 1 of any length") + 1] == ""


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(make_run, width):
    text = summary(make_run(manifest=OUTSIDE, outside={}), width=width)
    tables = [line for line in text.splitlines() if not line.lstrip().startswith(("python", "R"))]
    assert max(len(line.rstrip()) for line in tables) <= width
    own = "simcore's own share about 40 %"
    assert (f"\n  {own}\n" in text) == (width == 80) and own in text
    assert "…" not in text


def test_piped_output_is_plain(make_run):
    text = summary(make_run(), outcomes=OUTCOMES)
    assert text.isascii() and "\x1b" not in text
    assert "\x1b" in summary(make_run("again"), terminal=True)


def test_nothing_recorded_and_still_running(make_run):
    manifest = {"digest": None, "exit": {"reason": "running"}, "times": {"started": "now"}}
    directory = make_run(messages=[], measurements=[], faults=[], manifest=manifest)
    lines = squeezed(summary(directory))
    assert lines[0] == "by-hand seed 7 digest none (unfinished) exact"
    assert lines[1] == "running, or killed: no times yet"
    assert "Messages 0 sent, 0 delivered (-), 0 lost (-), 0 in flight" in lines
    assert not any("trace" in line for line in lines)


def test_many_flows_are_cut_to_the_busiest(make_run):
    quiet = [
        (f"meter-1/{n}", "cloud", f"kind-{n:02}", 1, n, n + 1, "delivered", None, n, 0, 0, 0)
        for n in range(2, 22)
    ]
    text = summary(make_run(messages=[*MESSAGES, *quiet]))
    assert "... and 8 more flows" in text and "reading" in text


@pytest.mark.parametrize(
    ("targets", "shown"),
    [
        (["meter-0->gateway", "meter-1->gateway"], ["meter-* -> gateway (2 links)"]),
        (["gateway->meter-0", "gateway->meter-1"], ["gateway -> meter-* (2 links)"]),
        (
            ["meter-0->gateway", "meter-1->gateway", "gateway->meter-0", "gateway->meter-1"],
            ["meter-* <-> gateway (4 links)"],
        ),
        (["meter-0->meter-1", "meter-1->meter-0"], ["meter-* <-> meter-* (2 links)"]),
        (["gateway->cloud", "cloud->gateway"], ["gateway <-> cloud (2 links)"]),
        (["meter-0", "meter-1"], ["meter-* (2 nodes)"]),
        (["meter-0", "gateway"], ["meter-0", "gateway"]),
        (["meter-0->gateway", "gateway->cloud"], ["meter-0->gateway", "gateway->cloud"]),
        (["no-node", "no-other"], ["no-node", "no-other"]),
    ],
)
def test_a_fault_of_a_group_is_one_row(make_run, targets, shown):
    faults = [
        (at, number, phase, "fault", target, "{}")
        for at, phase in ((150, "begin"), (200, "end"))
        for number, target in enumerate(targets, at)
    ]
    lines = squeezed(summary(make_run(faults=faults)))
    first = lines.index("from to kind target") + 1
    assert lines[first : first + len(shown)] == [f"150 ms 200 ms fault {name}" for name in shown]
    assert lines[first + len(shown)] == ""


def test_faults_that_end_apart_are_apart(make_run):
    faults = [
        (150, 1, "begin", "node_crash", "meter-0", "{}"),
        (150, 2, "begin", "node_crash", "meter-1", "{}"),
        (200, 3, "end", "node_crash", "meter-0", "{}"),
    ]
    lines = squeezed(summary(make_run(faults=faults)))
    assert "150 ms 200 ms node_crash meter-0" in lines and "150 ms - node_crash meter-1" in lines


def with_links(*entries):
    return {"resolved": {**MANIFEST["resolved"], "network": {"model": "x", "links": [*entries]}}}


@pytest.mark.parametrize("shared", [True, False])
def test_a_shared_medium_is_one_row(make_run, shared):
    links = [
        ("meter-0->gateway", "meter-0", "gateway", 30, 20, 0, 10, 0, 300, 240 * MS, 1.5, 4),
        ("meter-1->gateway", "meter-1", "gateway", 10, 10, 0, 0, 0, 100, 240 * MS, 1.5, 4),
        ("gateway->meter-1", "gateway", "meter-1", 10, 9, 1, 0, 0, 100, 240 * MS, 1.5, 4),
        ("gateway->cloud", "gateway", "cloud", 9, 9, 0, 0, 0, 90, 240 * MS, 1.5, 4),
    ]
    entry = {"between": ["meter", "gateway"], "delay": "1ms", "shared": shared}
    other = {"from": "gateway", "to": "cloud", "delay": "1ms"}
    lines = squeezed(summary(make_run(links=links, manifest=with_links(entry, other))))
    first = lines.index("link busy entered lost to queue mean/max") + 1
    rows = lines[first : lines.index("", first)]
    assert rows[-1] == "gateway->cloud 80 % 9 0 % - 1.5/4"
    if shared:
        merged = "meter <-> gateway (3 links share it) 80 % 50 22 % loss 1, queue_full 10 1.5/4"
        assert rows[:-1] == [merged]
    else:
        assert len(rows) == 4


def test_what_the_log_warns_of(make_run):
    directory = make_run()
    (directory / "logs").mkdir(exist_ok=True)
    (directory / "logs" / "simcore.log").write_text(
        "INFO simcore.time: 1ms grant a, 0 inputs\n"
        "WARNING simcore: the tool: there is no cc; the prebuilt one is used\n"
        "WARNING simcore.guard: [red]b\n"
    )
    rows = squeezed(summary(directory, width=500))
    at = rows.index(f"Warnings 2, in {directory}/logs/simcore.log")
    assert rows[at + 1 : at + 4] == [
        "the tool: there is no cc; the prebuilt one is used", "[red]b", ""
    ]  # fmt: skip
    assert not any(row.startswith("Warnings") for row in squeezed(summary(make_run("quiet"))))


def test_markup_and_control_characters_in_kinds_are_harmless(make_run):
    row = ("meter-0/1", "cloud", "[red]\x1b[2J\n", 1, 1, 2, "delivered", None, 1, 0, 0, 0)
    text = summary(make_run(messages=[row]))
    assert "[red]\\x1b[2J\\n" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.99999, ">99.9 %"), (0.0001, "<0.1 %"), (0.125, "12.5 %")],
)
def test_percent_never_rounds_to_all_or_nothing(value, shown):
    assert show.percent(value) == shown


def test_show():
    assert show.time(float("nan")) == "-" and show.time(0.0) == "0"
    assert show.time(1_234_567) == "1.23 ms" and show.time(0.5) == "0.5 ns"
    assert show.energy(0.0) == "0 J" and show.energy(0.0021) == "2.1 mJ"
    assert show.more(1, "link") == "... and 1 more link"
    assert show.number(1234567.0) == "1,234,567" and show.number(0.123456) == "0.12346"
    assert show.lost(Counts(10, 9, 0, {"loss": 1})) == "loss 1 (10 %)"
    assert show.digest(MANIFEST, 4) == "0123"
    assert show.command("report", "my run") == "python -m simcore report 'my run'"


def test_inferences_by_place(placed_run):
    manifest = {"resolved": {"placement": {"deadline": "24ms"}}}
    directory = placed_run(manifest=manifest)
    lines = squeezed(summary(directory))
    begin = lines.index("Inferences 5, 4 answered; accuracy 50 % (15 to 85); 60 % within 24 ms")
    assert lines[begin + 2 : begin + 16] == [
        "Inferences by place of the answer",
        "place N share accuracy (95 %) p50 p95 p99 uplink",
        "all 5 100 % 50 % (15 to 85) 18 ms 111 ms 123 ms 64.0 B",
        "device 2 40 % 50 % (9.5 to 90.5) 8.5 ms 11.7 ms 11.9 ms 46.0 B",
        "edge 1 20 % 100 % (20.7 to 100) 24 ms 24 ms 24 ms 72.0 B",
        "cloud 1 20 % 0 % (0 to 79.3) 126 ms 126 ms 126 ms 84.0 B",
        "none 1 20 % - - - - 72.0 B",
        "",
        "Mean latency split of inferences",
        "place sampling radio wan lan queueing computing other",
        "all 2.25 ms 7.5 ms 20 ms 1 ms 2 ms 8 ms 1 ms",
        "device 2.5 ms 0 0 0 0 6 ms 0",
        "edge 2 ms 16 ms 0 2 ms 1 ms 3 ms 0",
        "cloud 2 ms 14 ms 80 ms 2 ms 7 ms 17 ms 4 ms",
    ]
    assert f"python -m simcore trace {directory} --inference meter-1 1" in lines
    assert max(map(len, summary(directory, width=80).splitlines()[begin : begin + 16])) <= 80
