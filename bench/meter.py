#!/usr/bin/env python3
"""Counts the instructions that operations take, and prints the table.

    bench/meter.py                      all machines, all rows (make meter)
    bench/meter.py --machine aia        only virt, aclint or aia; repeatable
    bench/meter.py --rows a,b           only these rows (bench/meter/rows.tsv)
    bench/meter.py --rounds N           of each row (1000)
    bench/meter.py --append "WORDS"     Rouse's command line, such as sched=rr
    bench/meter.py --by symbol          what each function takes, not each stage
    bench/meter.py --native             the payload on the firmware alone

    bench/meter.py --accept             accept what one hart takes now: writes
                                        bench/meter/accepted.tsv

docs/meter.md says how it counts. Results: build/bench/results/meter.json.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from meter import guard  # noqa: E402
from meter.figures import Figures, words  # noqa: E402
from meter.images import MeterError  # noqa: E402
from meter.machine import GUEST, MACHINES, TOP, Run, rows  # noqa: E402

LABS = TOP / "guests" / "labs"
OTHER = ("other_integer", "other_fp", "other_vector")


def options(argv):
    p = argparse.ArgumentParser(usage=__doc__, add_help=False)
    p.add_argument("--machine", action="append", choices=MACHINES)
    p.add_argument("--rows", default="")
    p.add_argument("--rounds", type=int, default=1000)
    p.add_argument("--sleep-us", type=int, default=5000)
    p.add_argument("--append", default="")
    p.add_argument("--accept", action="store_true")
    p.add_argument("--icount", action="store_true")
    p.add_argument("--by", choices=("stage", "symbol"), default="stage")
    p.add_argument("--native", action="store_true")
    p.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    return p.parse_args(argv)


def bootargs(opt, names):
    out = f"rounds={opt.rounds} sleep_us={opt.sleep_us}"
    return f"{out} rows={','.join(names)}" if names else out


def runs(opt, key):
    """The machines to start for one kind of host."""
    wanted = opt.rows.split(",") if opt.rows else []
    mine = [n for n in wanted if n not in OTHER]
    usual = {"timeout": 60 + opt.rounds * 0.15, "by_symbol": opt.by == "symbol",
             "options": ["-icount", "shift=0,sleep=off"] if opt.icount else []}
    if opt.native:
        yield Run(f"{key}-native", MACHINES[key], append="far=1",
                  **usual).guest(GUEST.with_suffix(".elf")).native(
                      bootargs(opt, mine))
        return
    if mine or not wanted:
        yield Run(key, MACHINES[key], append=opt.append, **usual).guest(
            GUEST.with_suffix(".elf")).rouse(LABS / "meter.dts",
                                             bootargs(opt, mine))
    for name in OTHER:
        if name in wanted or not wanted:
            dirty = name.partition("_")[2]
            yield Run(f"{key}-{name}", MACHINES[key], harts=1,
                      append=opt.append, **usual).guest(
                          GUEST.with_suffix(".elf")).rouse(
                LABS / "meter-pair.dts",
                f"rounds={opt.rounds} dirty={dirty}")


def measure(opt, key):
    """{row name: Figures} of a kind of host, and why others are missing."""
    found, missing = {}, {}
    for run in runs(opt, key):
        rounds, skipped = run.rounds()
        missing.update(skipped)
        for name, done in rounds.done.items():
            found[name] = Figures(done, run.map.buckets)
        for name, reasons in rounds.dropped.items():
            for why, n in reasons.items():
                missing[name] = f"{n} rounds dropped: {why}"
    return found, missing


def show(opt, key, found, missing):
    head = ("row", "n", "min", "q1", "median", "mean", "q3", "p99", "max",
            "target", "peer", "")
    lines = [head]
    notes = []
    for row in rows():
        f = found.get(row.name)
        if f:
            target, peer = row.target(key == "virt")
            verdict = "" if not target else \
                "reached" if f.median <= target else "NOT reached"
            lines.append((row.name, f.n, f.min, f.q1, f.median,
                          f"{f.mean:.1f}", f.q3, f.p99, f.max, target or "",
                          peer or "", verdict))
            notes.append(f"{row.name}: " + words(f.stages()) + "; " +
                         words({m: n for m, n in f.modes().items() if n}))
            late, more = f.outliers()
            if late:
                notes.append(f"    {late} of {f.n} take over 1.1 medians; "
                             f"more there: {words(more)}")
        if row.name in missing:
            notes.append(f"{row.name}: {missing[row.name]}")
    print(f"{MACHINES[key]}{', native' if opt.native else ''}")
    widths = [max(len(str(line[i])) for line in lines)
              for i in range(len(head))]
    for line in lines:
        print("  " + str(line[0]).ljust(widths[0]) + " " + " ".join(
            str(w).rjust(width) for w, width in zip(line[1:], widths[1:])))
    print("".join(f"    {note}\n" for note in notes))


def accept():
    found = guard.measure()
    was = guard.accepted() if guard.FILE.exists() else {}
    guard.accept(found)
    for name, f in found.items():
        print(f"{name}: {was.get(name, 'none')} -> {f.median}")


def main(argv):
    opt = options(argv)
    try:
        if opt.accept:
            return accept()
        for key in opt.machine or MACHINES:
            show(opt, key, *measure(opt, key))
    except MeterError as error:
        sys.exit(f"meter: {error}")


main(sys.argv[1:])
