#!/usr/bin/env python3
"""Counts the instructions that operations take, and prints the table.

    bench/meter.py                      all machines, all rows (make meter)
    bench/meter.py --machine aia        only virt, aclint or aia; repeatable
    bench/meter.py --rows a,b           only these rows (bench/meter/rows.tsv)
    bench/meter.py --rounds N           of each row (1000)
    bench/meter.py --append "WORDS"     Rouse's command line, such as sched=rr
    bench/meter.py --by symbol          what each function takes, not each stage
    bench/meter.py --native             the payload on the firmware alone
    bench/meter.py --scaling [POLICY..] wake and pick with 2 to 2,000 vCPUs
    bench/meter.py --linux              Linux to its init, inside and outside
    bench/meter.py --trace              a record of a trace, on and off
    bench/meter.py --accept             accept what one hart takes now: writes
                                        bench/meter/accepted.tsv
    bench/meter.py --kernel BIN --hypervisor ELF [--initrd FILE]
                                        another hypervisor: see docs/meter.md

docs/meter.md says how it counts. Results land in build/bench/results.
"""

import argparse
import math
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import results  # noqa: E402
from meter import guard, linux, scaling, table, trace_cost  # noqa: E402
from meter.figures import Figures  # noqa: E402
from meter.images import MeterError  # noqa: E402
from meter.machine import GUEST, MACHINES, TOP, Run  # noqa: E402

LABS = TOP / "guests" / "labs"
ELF = GUEST.with_suffix(".elf")
OTHER = ("other_integer", "other_fp", "other_vector")
FAULT = ("fault_4k", "fault_2m")
QUEUED = ("ipi_queued", "plic_queued")
POLICIES = ("rr", "fp", "credit")


def options(argv):
    p = argparse.ArgumentParser(usage=__doc__, add_help=False)
    p.add_argument("--machine", action="append", choices=MACHINES)
    p.add_argument("--rows", default="")
    p.add_argument("--rounds", type=int, default=1000)
    p.add_argument("--sleep-us", type=int, default=5000)
    p.add_argument("--append", default="")
    p.add_argument("--accept", action="store_true")
    p.add_argument("--by", choices=("stage", "symbol"), default="stage")
    p.add_argument("--native", action="store_true")
    p.add_argument("--scaling", nargs="*")
    p.add_argument("--linux", action="store_true")
    p.add_argument("--trace", action="store_true")
    p.add_argument("--kernel")
    p.add_argument("--initrd")
    p.add_argument("--hypervisor")
    p.add_argument("--memory", default="1G")
    p.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    return p.parse_args(argv)


def bootargs(opt, names):
    out = f"rounds={opt.rounds} sleep_us={opt.sleep_us} settle_us=50000"
    return f"{out} rows={','.join(names)}" if names else out


def runs(opt, key):
    """The machines to start for one kind of host."""
    wanted = opt.rows.split(",") if opt.rows else []
    mine = [n for n in wanted if n not in OTHER + FAULT + QUEUED]
    usual = {"machine": MACHINES[key], "timeout": 150 + opt.rounds * 0.5,
             "by_symbol": opt.by == "symbol", "memory": opt.memory}
    if opt.kernel:
        yield Run(f"{key}-foreign", append=opt.append, **usual).guest(
            ELF).foreign(opt.kernel, opt.hypervisor, opt.initrd)
        return
    if opt.native:
        yield Run(f"{key}-native", append="far=1", **usual).guest(ELF).native(
            bootargs(opt, mine))
        return
    usual["append"] = opt.append
    if mine or not wanted:
        yield Run(key, **usual).guest(ELF).rouse(LABS / "meter.dts",
                                                 bootargs(opt, mine))
    if set(QUEUED) & set(wanted) or not wanted:
        yield Run(f"{key}-queued", **usual).guest(ELF).rouse(
            LABS / "meter-queued.dts", f"rounds={opt.rounds} settle_us=50000")
    for name in OTHER:
        if name in wanted or not wanted:
            yield Run(f"{key}-{name}", harts=1, **usual).guest(ELF).rouse(
                LABS / "meter-pair.dts",
                f"rounds={opt.rounds} dirty={name.partition('_')[2]}")
    if set(FAULT) & set(wanted) or not wanted:
        yield Run(f"{key}-fault", harts=1, options=guard.ICOUNT,
                  **usual).guest(ELF).rouse(LABS / "meter-fault.dts")


def measure(opt, key):
    """{row name: Figures} of a kind of host, and why others are missing."""
    found, missing = {}, {}
    for run in runs(opt, key):
        rounds, skipped = run.rounds()
        missing.update(skipped)
        for name, done in rounds.done.items():
            found[name] = Figures(done, run.map.buckets)
        for name, reasons in rounds.dropped.items():
            missing[name] = "; ".join(f"{n} rounds dropped: {why}"
                                      for why, n in reasons.items())
    # What one machine skips another does.
    for name in [n for n in missing if n in found and "dropped" not in
                 missing[n]]:
        del missing[name]
    return found, missing


def operations(opt):
    tables = {}
    what = "native" if opt.native else opt.kernel or opt.append
    for key in opt.machine or MACHINES:
        tables[key], missing = measure(opt, key)
        table.show(key, f"{MACHINES[key]} {what}".strip(), tables[key], missing)
    if opt.by == "stage":
        name = "meter_native" if opt.native else \
            "meter_foreign" if opt.kernel else "meter"
        print(table.store(name, "Instructions of an operation", tables,
                          results.conditions(harts=2, append=opt.append,
                                             machine=",".join(tables),
                                             seed=1)))


def grow(opt):
    """Wake and pick with more and more vCPUs on one hart."""
    lines, base = [], {}
    print("scaling: medians of instructions on one hart\n"
          "  policy  vcpus row    n median  p99  of first  per doubling")
    for policy in opt.scaling or POLICIES:
        for vcpus in scaling.SIZES:
            for row, f in sorted(scaling.measure(policy, vcpus).items()):
                first, size = base.setdefault((policy, row),
                                              (f.median, vcpus))
                steps = math.log2(vcpus / size) or 1
                line = [policy, vcpus, row, f.n, f.median, f.p99,
                        round(100 * f.median / first, 1),
                        round((f.median - first) / steps, 1)]
                lines.append(line)
                print("  {:7} {:5} {:4} {:6} {:6} {:6} {:6} % {:7}".format(
                    *line), flush=True)
    c, unit = table.column, "instructions"
    print(results.write(
        "meter_scaling", "Wake and pick, by vCPUs on a hart",
        "What do a wake and a pick cost with 2 to 2,000 vCPUs on a hart?",
        [c("policy"), c("vcpus"), c("row"), c("n", "rounds"),
         c("median", unit), c("p99", unit), c("of_first", "%"),
         c("per_doubling", unit)], lines,
        results.conditions(machine="virt", harts=1, append="", seed=1)))


def boot(opt):
    lines = []
    for key in opt.machine or ["virt"]:
        native, inside = linux.measure(key, opt.append)
        ratio = inside / native
        print(f"{MACHINES[key]} {opt.append}: Linux to its init: native "
              f"{native / 1e7:.4f} s, under Rouse {inside / 1e7:.4f} s: "
              f"{ratio:.4f} times, target 1.05, "
              f"{'reached' if ratio <= 1.05 else 'NOT reached'}")
        lines.append([MACHINES[key], native / 1e7, inside / 1e7,
                      round(ratio, 5), 1.05, 1.57])
    c = table.column
    print(results.write(
        "meter_linux", "Linux to its init",
        "How much longer does Linux take to its init in a guest?",
        [c("machine"), c("native", "s"), c("inside", "s"), c("ratio"),
         c("target"), c("peer")], lines,
        results.conditions(harts=1, append=opt.append, seed=1)))


def record():
    """A trace record, on and off."""
    c, unit, lines = table.column, "instructions", []
    print("a trace record, with its hook  on (target "
          f"{trace_cost.TARGET_ON})  off (target {trace_cost.TARGET_OFF})")
    for word, row, records, on, off in trace_cost.measure():
        print(f"  {word:7} {records} in {row:10} {on:15.1f} {off:15}")
        lines.append([word, row, records, round(on, 1), trace_cost.TARGET_ON,
                      off, trace_cost.TARGET_OFF])
    print(results.write(
        "meter_trace", "A trace record, on and off",
        "What does a record cost while its class is on, and while it is off?",
        [c("class"), c("row"), c("records", "records", "in a round"),
         c("on", unit), c("target_on", unit), c("off", unit),
         c("target_off", unit)], lines,
        results.conditions(machine="virt", harts=1, append="", seed=1)))


def accept():
    found = guard.measure()
    was = guard.accepted() if guard.FILE.exists() else {}
    guard.accept(found)
    for name, f in found.items():
        print(f"{name}: {was.get(name, ['none'])[0]} -> {f.median}")


def main(argv):
    opt = options(argv)
    try:
        if opt.accept:
            accept()
        elif opt.scaling is not None:
            grow(opt)
        elif opt.linux:
            boot(opt)
        elif opt.trace:
            record()
        else:
            operations(opt)
    except MeterError as error:
        sys.exit(f"meter: {error}")


main(sys.argv[1:])
