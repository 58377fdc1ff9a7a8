"""What a scenario expects of its run, as small formulas with a parser of their own.

A scenario is trusted code only through the models it names; a line under `expect` must not
become another way in, so nothing here is ever handed to `eval`. A parser of its own can also
say, before anything runs, which word is unknown, in which column, and that a duration is
being compared with a bare number.

Grammar (EBNF; spaces are free between tokens)::

    expectation = sum , comparison , sum ;
    comparison  = "<" | "<=" | ">" | ">=" | "==" | "!=" ;
    sum         = product , { ( "+" | "-" ) , product } ;
    product     = factor , { ( "*" | "/" ) , factor } ;
    factor      = "-" , factor | "(" , sum , ")" | literal | count | value ;
    literal     = number , [ "%" | unit ] ;
    count       = ( "sent" | "delivered" | "in_flight" ) , [ "." , name ]
                | "lost" , [ "." , reason ] , [ "." , name ] ;
    reason      = "loss" | "queue_full" | "link_down" | "node_down" ;
    value       = function , "(" , series , ")"
                | ratio , "(" , "inference" , [ "." , place ] , ")" ;
    function    = "p50" | "p90" | "p95" | "p99" | "mean" | "min" | "max" | "count" | "sum" ;
    series      = part , [ "." , name ] | "record" , "." , name
                | "inference" , "." , measure , [ "." , place ] ;
    ratio       = "accuracy" | "share" | "in_time" ;
    measure     = "latency" | "sampling" | "radio" | "wan" | "lan" | "queueing" | "computing"
                | "other" | "size" | "uplink" | "downlink" | "energy" | "confidence" ;
    place       = "device" | "edge" | "cloud" ;
    part        = "latency" | "network" | "queueing" | "computing" | "end_to_end" ;
    name        = identifier | '"' , { character | "\\" , any character } , '"' ;
    character   = any character but '"' and "\\" ;
    number      = digits , [ "." , digits ] , [ ( "e" | "E" ) , [ "+" | "-" ] , digits ] ;
    unit        = "ns" | "us" | "ms" | "s" | "min" | "h" | "d"
                | "B" | "kB" | "MB" | "GB" | "KiB" | "MiB" | "GiB"
                | "bit/s" | "kbit/s" | "Mbit/s" | "Gbit/s"
                | "aJ" | "pJ" | "nJ" | "uJ" | "mJ" | "J" | "kJ" | "mWh" | "Wh" | "kWh" ;

A `name` behind a count or a latency is a kind of message, behind `record` the name of a
measurement; one that is no identifier, or is spelt like a reason, is written in quotes:
`latency."my kind"`, `lost."loss"`. Durations count in ns, sizes in bytes, rates in bit/s, energies
in J and percentages as shares; a measurement has no known unit and compares with anything, so what
a model records in ns may be compared with `10ms`. Percentiles are those of
`simcore.results.metrics`. Latencies exist for delivered messages only.

Measures of an inference are those of `simcore.results.inferences`, over the inferences that have an
answer. `accuracy` is the share of right answers among those that could be
judged; `share` that of a place, and `in_time` that of answers within the deadline, among all
inferences.
"""

from simcore.expect.bounds import told_beforehand
from simcore.expect.evaluate import Figures, Outcome, evaluate
from simcore.expect.needs import lacking
from simcore.expect.parser import ExpectationError, parse
from simcore.expect.tree import Expectation

__all__ = [
    "Expectation",
    "ExpectationError",
    "Figures",
    "Outcome",
    "evaluate",
    "lacking",
    "parse",
    "told_beforehand",
]
