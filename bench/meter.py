#!/usr/bin/env python3
"""Counts the instructions that operations take, and prints the table.

    bench/meter.py                      all machines, all rows (make meter)
    bench/meter.py --machine aia        only virt, aclint or aia; repeatable
    bench/meter.py --rows a,b           only these rows (bench/meter/rows.tsv)
    bench/meter.py --rounds N           of each row (1000)
    bench/meter.py --append "WORDS"     Rouse's command line, such as sched=rr
    bench/meter.py --explain            what made rounds take over 1.1 medians (or
                                        those of --rows, recorded), by traces
    bench/meter.py --by symbol          what each function takes, not each stage
    bench/meter.py --native             the payload on the firmware alone
    bench/meter.py --scaling [POLICY..] wake and pick with 2 to 2,000 vCPUs
    bench/meter.py --linux              Linux to its init, inside and outside
    bench/meter.py --trace              a record of a trace, on and off, and what
                                        operations take while a class is on
    bench/meter.py --accept             accept what one hart takes now: writes
                                        bench/meter/accepted.tsv
    bench/meter.py --kernel BIN --hypervisor ELF [--initrd FILE]
                                        another hypervisor: see docs/meter.md

docs/meter.md says how it counts. Results land in build/bench/results.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent / p)
                for p in (".", "../tools")]
import results  # noqa: E402
from meter import (  # noqa: E402
    explain, guard, linux, operations, scaling, table, trace_cost, trace_ways)
from meter.figures import words  # noqa: E402
from meter.images import MeterError  # noqa: E402
from meter.machine import MACHINES, rows  # noqa: E402
import matrix  # noqa: E402
from words import Parser, number  # noqa: E402


def options(argv):
    # argparse fills in what a % begins.
    p = Parser("meter", usage=__doc__.replace("%", "%%"), add_help=False)
    p.add_argument("--machine", action="append", choices=MACHINES)
    p.add_argument("--rows", default="")
    p.add_argument("--rounds", type=number(1), default=1000)
    p.add_argument("--sleep-us", type=number(1), default=5000)
    p.add_argument("--append", default="")
    p.add_argument("--accept", action="store_true")
    p.add_argument("--by", choices=("stage", "symbol"), default="stage")
    p.add_argument("--native", action="store_true")
    p.add_argument("--scaling", nargs="*")
    p.add_argument("--linux", action="store_true")
    p.add_argument("--trace", action="store_true")
    p.add_argument("--explain", action="store_true")
    p.add_argument("--kernel")
    p.add_argument("--initrd")
    p.add_argument("--hypervisor")
    p.add_argument("--memory", default="1G")
    p.set_defaults(prefix="", first="")
    p.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    return p.parse_args(argv)


def count(opt):
    tables = {}
    what = "native" if opt.native else opt.kernel or opt.append
    for key in opt.machine or MACHINES:
        tables[key], missing = operations.measure(opt, key)
        table.show(key, f"{MACHINES[key]} {what}".strip(), tables[key], missing)
    if opt.by == "stage":
        name = "meter_foreign" if opt.kernel else result_name(
            "meter_native" if opt.native else "meter", opt)
        if not any(tables.values()):
            raise MeterError("no row was measured, so nothing is written")
        print(table.store(name, tables, conditions()))


def conditions(**more):
    """Of all machines that were run."""
    ran = results.machine_conditions(results.take_ran())
    return results.conditions(**ran, seed=1, **more)


def result_name(whole, opt):
    """The result of all stays as it was when only some are asked."""
    some = opt.rows or opt.machine or opt.append or opt.scaling
    return f"{whole}_part" if some else whole


def write(name, what, lines, **more):
    print(results.write(name, what.TITLE, what.QUESTION, what.COLUMNS, lines,
                        conditions(**more)))


def grow(opt):
    """Wake and pick with more and more vCPUs on one hart."""
    found = {}
    print("scaling: medians of instructions on one hart\n"
          "  policy  vcpus row    n median  p99  of first  per doubling  stages")
    for policy in opt.scaling or matrix.sharing():
        for vcpus in scaling.SIZES:
            found[policy, vcpus] = scaling.measure(policy, vcpus)
            for line in scaling.lines_of(found)[-len(found[policy, vcpus]):]:
                print("  {:7} {:5} {:4} {:6} {:6} {:6} {:6} % {:7}".format(
                    *line), f" {words(found[policy, vcpus][line[2]]['stages'])}",
                    flush=True)
    lines = scaling.lines_of(found)
    print("".join(f"  {text}\n" for text in scaling.summary(lines)), end="")
    room = {p: matrix.rooms(p, 1) for p in matrix.policies()}
    write(result_name("meter_scaling", opt), scaling, lines,
          **results.room_conditions({p: n for p, n in room.items() if n}, ()))


def boot(opt):
    lines, initrd = [], linux.initramfs()
    for key in opt.machine or ["virt"]:
        offsets = linux.before(key, opt.append)
        runs = [linux.one(key, opt.append, seed, initrd, offsets)
                for seed in linux.SEEDS]
        native, inside, alike = linux.medians(runs)
        for who, ticks in (("native", native),
                           ("native with a guest's devices alone", alike)):
            print(f"{MACHINES[key]} {opt.append}: Linux to its init: {who} "
                  f"{ticks / 1e7:.4f} s, under Rouse {inside / 1e7:.4f} s: "
                  f"{inside / ticks:.4f} times, target {linux.TARGET}, "
                  + ("reached" if inside <= linux.TARGET * ticks else
                     "NOT reached"))
        lines += [linux.line_of(key, seed, *some)
                  for seed, some in zip(linux.SEEDS, runs)]
    write(result_name("meter_linux", opt), linux, lines)


def record():
    """A trace record, on and off."""
    lines = []
    print("a trace record, with its hook  records   on   at most   off "
          f"(targets: {trace_cost.TARGET_ON}, {trace_cost.TARGET_OFF})")
    for found in trace_cost.measure():
        lines.append(line := trace_cost.line_of(*found))
        shown = ["" if x is None else x for x in line]
        print("  {:7} {:24} {:5} {:6}    {:4} {:6}".format(
            *shown[:4], shown[5], shown[6]))
    write("meter_trace", trace_cost, lines)
    lines = trace_ways.measure(opt.rounds)
    trace_ways.show(lines)
    write("meter_trace_ways", trace_ways, lines)


def explain_rows(opt):
    names, lines = operations.wanted_rows(opt), []
    for key in opt.machine or MACHINES:
        if names:
            for row in rows():
                if row.name in names:
                    lines += explain.explain(opt, key, row)
        else:
            found, _ = operations.measure(opt, key)
            lines += explain.explain_late(opt, key, found)
    write(result_name("meter_outliers", opt), explain, lines)


def accept():
    found = guard.measure()
    was = guard.accepted() if guard.FILE.exists() else {}
    guard.accept(found)
    for name, f in found.items():
        print(f"{name}: {was.get(name, ['none'])[0]} -> {f.median}")


def unknown_row(opt):
    """What to say of the first wanted row that isn't measured so, or None."""
    known = operations.known_rows(opt)
    for name in operations.wanted_rows(opt):
        if name not in known:
            return f"no row {name}; there are {', '.join(known)}"
    return None


def main(argv):
    opt = options(argv)
    try:
        wrong = unknown_row(opt)
        if wrong:
            print(f"meter: {wrong}", file=sys.stderr)
            sys.exit(2)
        if opt.accept:
            accept()
        elif opt.scaling is not None:
            grow(opt)
        elif opt.linux:
            boot(opt)
        elif opt.trace:
            record()
        elif opt.explain:
            explain_rows(opt)
        else:
            count(opt)
    except MeterError as error:
        sys.exit(f"meter: {error}")


main(sys.argv[1:])
