"""The figures of one hart, and those that were accepted (accepted.tsv).

With one hart and -icount every run is the same to the instruction, so a figure
changes when the code on its way does, and for no other reason. The code is the
compiler's: the file names the one that was used, and what another one makes of the
same sources may take a little more.
"""

import re
from pathlib import Path

import results

from . import touch
from .figures import Figures
from .machine import GUEST, TOP, Run, rows

FILE = Path(__file__).resolve().parent / "accepted.tsv"
LABS = TOP / "guests" / "labs"
ICOUNT = ("-icount", "shift=0,sleep=off")
DIRT = ("integer", "fp", "vector")
# Another compiler's instructions may be so many times the accepted ones.
OTHER_COMPILER = 1.05
COMPILER = re.compile(r"# by gcc (\S+)$", re.M)


def _one(name, lab, words, append="", by_symbol=False):
    run = Run(name, harts=1, options=ICOUNT, append=append,
              by_symbol=by_symbol)
    run.guest(GUEST.with_suffix(".elf")).rouse(lab, words)
    rounds, _ = run.rounds()
    return {row: Figures(done, run.map.buckets)
            for row, done in rounds.done.items()}


def alone(append="", only=(), name="guard"):
    """Rows of one guest on one hart: {row: Figures}. A short sleep is as good
    as a long one here, since nothing else happens."""
    words = "rounds=40 sleep_us=100"
    if only:
        words += " rows=" + ",".join(only)
    return _one(name, LABS / "meter-one.dts", words, append)


def first_touch(frames=0):
    """Rows of memory that is touched for the first time, where so many more
    frames are taken (and some for the guest that has them)."""
    return _one(f"guard-fault-{frames}", touch.lab(10, frames), "")


def unsorted(stages):
    """{row: (share, symbol)} of the hypervisor's symbol that is the largest part
    of a row among those that no line of `stages` but the last one has."""
    found = _one("guard-symbols", LABS / "meter-one.dts",
                 "rounds=4 sleep_us=100", by_symbol=True)
    found.update(_one("guard-symbols-pair", LABS / "meter-pair.dts",
                      "rounds=4 dirty=integer", by_symbol=True))
    found.update(_one("guard-symbols-fault", touch.lab(1), "", by_symbol=True))
    return {row: largest_of(f, stages) for row, f in found.items()}


def largest_of(figures, stages):
    rest = [line[1] for line in stages.lines if line[0] == "hypervisor"][-1]
    return max(((n / figures.median, symbol) for (program, symbol, _), n in
                zip(figures.buckets, figures.typical)
                if program == "hypervisor" and
                stages.of(program, symbol)[1] == rest), default=(0, ""))


def measure():
    """All rows that one hart can do, in the order of the table."""
    found = alone()
    for dirt in DIRT:
        found.update(_one(f"guard-{dirt}", LABS / "meter-pair.dts",
                          f"rounds=40 dirty={dirt}"))
    found.update(first_touch())
    return {row.name: found[row.name] for row in rows() if row.name in found}


def allowed(path=FILE):
    """How many times what was accepted a row may take with this compiler."""
    named = COMPILER.search(path.read_text())
    return 1 if named and named[1] == results.compiler() else OTHER_COMPILER


def accepted(path=FILE):
    """{row: (median, upper quartile)} of what was accepted. The two differ
    where the rounds of one run do, as where divisions depend on the time."""
    lines = [line.split("\t") for line in path.read_text().splitlines()
             if line and not line.startswith("#")]
    return {name: (int(median), int(q3)) for name, median, q3 in lines}


def simulated(names, path=TOP / "bench" / "sim" / "costs"):
    """What the simulator takes for all of these costs ("exit + step"), under
    the usual policy."""
    lines = [line.split() for line in path.read_text().splitlines()
             if line and not line.startswith("#")]
    costs = dict(line for line in lines if len(line) == 2)
    return sum(int(costs[name]) for name in names.split(" + "))


def accept(found, path=FILE):
    path.write_text(
        "# Instructions of each operation on one hart, as accepted: median\n"
        "# and upper quartile. `make meter-accept` writes this file; the\n"
        "# commit says why.\n"
        f"# by gcc {results.compiler()}\n" +
        "".join(f"{name}\t{f.median}\t{f.q3}\n"
                for name, f in found.items()))


def complaints(found, limits, times=1):
    """One line for each row that grew, came, or went away. It grew if its
    median is more than so many times the accepted one, and no value that was
    usual then."""
    out = []
    for name in sorted(set(found) | set(limits)):
        if name not in limits:
            out.append(f"{name}: {found[name].median} instructions, and none "
                       f"are accepted yet")
        elif name not in found:
            out.append(f"{name}: {limits[name][0]} instructions are accepted, "
                       f"but it was not measured")
        elif found[name].median > limits[name][1] * times:
            out.append(f"{name}: {limits[name][0]} instructions are accepted, "
                       f"now {found[name].median}")
    return out


def better(found, limits):
    """Rows that take less than was accepted: {row: (accepted, now)}."""
    return {name: (limits[name][0], f.median) for name, f in found.items()
            if name in limits and f.median < limits[name][0]}
