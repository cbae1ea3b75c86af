"""What the questions of bench/questions have in common: machines to ask.

A question is one file:

    TITLE, QUESTION     a headline, and what is asked, in a sentence or two
    COLUMNS             of its table: key(...), seed(), value(...), below
    cases(b)            [{...}]: machines that don't depend on one another;
                        `policy` (a Policy), `seed` and what else it likes
    measure(b, **case)  runs one and returns rows for the table, or
                        (rows, whatever its plots need); all of it as JSON has
                        it: names are texts
    plots(done)         what to draw (bench/report_plots.py says what there
                        is); done is [(case, rows, whatever), ...]
    rows(done)          the table's rows, if they are not simply all of those
    COST_S = 5          roughly what a machine takes, for the first estimate
    ALONE = True        nothing else may run meanwhile

Policies come from what the hypervisor that was built says of itself
(`sched list -j`), never from a list of names: b.policies().

Time is instructions: QEMU's -icount makes each take 2^shift ns, so that a run
is repeated exactly by its seed, however busy the build host is, and two
machines can run beside one another. The harts of such a machine take turns, so
nothing here compares moments on two harts; what a hart does between two moments
of its own, and how time is divided, is exact.
"""

import functools
import importlib.util
import itertools
import json
import re
import sys
import threading
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(TOP / "tests" / "system"), str(TOP / "bench")]

import harness  # noqa: E402
import results  # noqa: E402
from fairness import LISTS, Between, Claim, fair, readings  # noqa: E402,F401
from labs import LINE, guest, lab, linux  # noqa: E402,F401
from turns import (  # noqa: E402,F401
    Service, common, merged, shares_over_time, strip)

AUTOSTART = "\t\t\tautostart;\n"

# What the console says of a command that it can't do.
COMPLAINT = re.compile(r"^(sleep|watch|set|guest|guest \w+|vcpu \w+|sched \w+):"
                       r" .*", re.M)

QUESTIONS = TOP / "bench" / "questions"

# Beside the results.
LOGS = results.folder().parent / "logs"

# The real-time clock goes with the virtual one, so all guests' agree.
CLOCK = ["-rtc", "base=2026-01-01T00:00:00,clock=vm"]
CLOCK_BASE = 1767225600     # s since 1970


@functools.cache
def question(name, folder=QUESTIONS):
    """The module that its file is."""
    spec = importlib.util.spec_from_file_location(f"question_{name}",
                                                  folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- columns ----------------------------------------------------------------


def key(name, title, unit=""):
    """Rows are told apart by these."""
    return {"name": name, "unit": unit, "title": title, "role": "key"}


def seed():
    """Rows that differ by nothing else are the same measured again."""
    return {"name": "seed", "unit": "", "title": "seed", "role": "seed"}


def value(name, unit, title, better=None, noise=None, percent=None):
    """A figure. better: "less" or "more", if one of them is. noise, percent: a
    move up to this, in its unit or of what it was, says nothing; None: it's
    judged by what rows with other seeds differ, and exactly if there is one
    seed."""
    column = {"name": name, "unit": unit, "title": title, "role": "value"}
    if better:
        column["better"] = better
    if noise is not None:
        column["noise"] = noise
    if percent is not None:
        column["noise_percent"] = percent
    return column


# --- what runs --------------------------------------------------------------


class NoPolicy(harness.Failure):
    """One was asked for that there isn't."""


class Policy:
    """One that is registered, as `sched list -j` tells of it."""

    def __init__(self, listing):
        self.name = listing["name"]
        self.knobs = listing["knobs"]
        self.each = listing["units_per_cpu"]

    def has_room(self, vcpus, harts):
        return not self.each or vcpus <= self.each * harts

    def __str__(self):
        return self.name


class Run:
    """A machine that has ended: its console, and the readings of LISTS."""

    def __init__(self, text):
        self.text = text
        self.read = readings(text)

    def between(self, first=0, last=-1):
        return Between(self.read[first], self.read[last])

    def said(self, name):
        """All that a watched guest said, pieces of lines put together."""
        return "\n".join(re.findall(LINE.format(re.escape(name)) + "(.*)$",
                                    self.text, re.M))


class Bench:
    def __init__(self, quick=False, only_policies=(), logs=LOGS):
        self.quick, self.logs = quick, logs
        self.only = set(only_policies)
        self.numbers = itertools.count()
        self.local = threading.local()
        self._policies = None
        # {name: vCPUs a hart} of those that had no room for a question's.
        self.refused = {}
        self.lock = threading.Lock()
        self.memos, self.made = {}, {}

    def begin(self, question):
        """What this thread asks from now on. What it has run before is of no
        concern (results.take_ran)."""
        self.local.question = question
        self.refused = {}
        results.take_ran()

    def memo(self, what, make):
        """make(), once in this run; the others wait for it. Its machines are
        those of everybody who asks."""
        with self.lock:
            own = self.memos.setdefault(what, threading.Lock())
        with own:
            if what not in self.made:
                mine = results.take_ran()
                try:
                    self.made[what] = make(), results.take_ran()
                finally:
                    results.note_ran(*mine)
            made, machines = self.made[what]
            results.note_ran(*machines)
            return made

    # -- choices --

    def policies(self, vcpus=0, harts=1, knob=None):
        """Those that have room for so many vCPUs and look at that knob."""
        if self._policies is None:
            self._policies = self._ask_policies()
            unknown = self.only - {p.name for p in self._policies}
            if unknown:
                raise NoPolicy(
                    f"no policy {', '.join(sorted(unknown))}; there are "
                    + ", ".join(p.name for p in self._policies))
        wanted = [p for p in self._policies
                  if (knob is None or knob in p.knobs)
                  and (not self.only or p.name in self.only)]
        self.refused |= {p.name: p.each for p in wanted
                         if not p.has_room(vcpus, harts)}
        return [p for p in wanted if p.has_room(vcpus, harts)]

    def seeds(self, n=3):
        return list(range(1, 2 if self.quick else n + 1))

    def some(self, *values):
        """All of them, or the first in a quick run."""
        return values[:1] if self.quick else values

    def seconds(self, full, quick=1):
        return quick if self.quick else full

    def _ask_policies(self):
        self.begin("policies")
        nobody = guest("nobody", "hello", autostart=False)
        run = self.boot([nobody], ["sched list -j"], None, 1)
        found = [Policy(json.loads(line)) for line in re.findall(
            r'^\{"type":"policy".*\}$', run.text, re.M)]
        if not found:
            raise harness.Failure("the hypervisor lists no policy:\n"
                                  + run.text[-1000:])
        return found

    # -- machines --

    def boot(self, guests, steps, policy, harts, shift=3, seed=1, append="",
             limit=900, mem="1G", machine="virt"):
        """Starts guests, gives console commands, and ends. The first command
        comes when all guests run: how long that takes is nobody's business.
        Raises harness.Failure if it doesn't end well."""
        name = f"{self.local.question}-{next(self.numbers):03}"
        folder = self.logs / name
        folder.mkdir(parents=True, exist_ok=True)
        test = harness.Test(harness.Case(name, None, timeout=limit), folder)
        names = [re.match(r"\s*([\w.-]+) \{", g)[1] for g in guests
                 if AUTOSTART in g]
        guests = [g.replace(AUTOSTART, "") for g in guests]
        steps = ["guest start " + " ".join(names)] * bool(names) + list(steps)
        try:
            m = test.boot(
                lab=lab(*guests, scheduler=policy and policy.name, seed=seed,
                        boot=[*steps, "poweroff"]),
                smp=harts, mem=mem, append=append, machine=machine,
                options=["-icount", f"shift={shift},sleep=off", *CLOCK])
            status = m.wait(limit)
            if status:
                raise harness.Failure(f"QEMU's status is {status}, see "
                                      f"{m.log_path}\n{m._tail()}")
            wrong = COMPLAINT.search(m.text)
            if wrong:
                raise harness.Failure(f"a command failed, {wrong.group(0)!r}, "
                                      f"see {m.log_path}")
            results.note_ran(results.Machine(
                machine, harts, shift, harness.CPU, mem, append,
                policy.name if policy else results.told_policy(m.text),
                results.guest_packages("".join(guests))))
            return Run(m.text)
        finally:
            test.close()
            for archive in folder.glob("*.cpio"):
                archive.unlink()

    def measure(self, guests, policy, harts, seconds, warm=0.5, before=(),
                **more):
        """What happens to guests that have been at it for a while: a Between
        of two readings, `seconds` apart."""
        steps = ["watch off", f"sleep {warm}", *before, LISTS,
                 f"sleep {seconds}", LISTS]
        run = self.boot(guests, steps, policy, harts, **more)
        if len(run.read) != 2:
            raise harness.Failure(f"{len(run.read)} readings, expected 2")
        return run.between()


# --- guests -----------------------------------------------------------------


def hog(name, **knobs):
    return guest(name, "shares", **{"bootargs": "mode=hog ms=100000000",
                                    **knobs})


def wall_ms(at):
    """What guests' real-time clocks say so many seconds after the start."""
    return CLOCK_BASE * 1000 + round(at * 1000)


def probe(name, mode, seed=1, at=2.0, args="", **knobs):
    """A guest that writes down what it sees, from `at` seconds after the
    machine's start; see guests/baremetal/probe.c."""
    return guest(name, "probe", bootargs=f"mode={mode} seed={seed} "
                 f"at_ms={wall_ms(at)} {args}", **knobs)


class Notes:
    """What a probe has written: {hart: turns} in ns of the machine's clock,
    {hart: latency}."""

    def __init__(self, text):
        self.turns, self.late = {}, {}
        head = re.search(r"probe: hz (\d+) zero_ns (\d+)", text)
        if not head:
            raise harness.Failure("a probe has said nothing:\n" + text[-500:])
        tick = 1e9 / int(head[1])
        zero = int(head[2])
        for hart, body in re.findall(r"^probe: hart (\d+) turns (.*)$", text,
                                     re.M):
            for start, ticks in re.findall(r"(\d+)\+(\d+)", body):
                begin = zero + int(start) * tick
                self.turns.setdefault(int(hart), []).append(
                    (begin, begin + int(ticks) * tick))
        for hart, low, count in re.findall(
                r"^probe: hart (\d+) late (\d+):(\d+)", text, re.M):
            self.late.setdefault(int(hart), Latency()).add(
                int(low) * tick / 1000, int(count))
        for hart, count, lost in re.findall(
                r"^probe: hart (\d+) done (\d+) lost (\d+)", text, re.M):
            said = (len(self.turns.get(int(hart), ())) or
                    (self.late[int(hart)].count if int(hart) in self.late
                     else 0))
            if int(lost) or said != int(count):
                raise harness.Failure(f"of {count} notes of hart {hart} "
                                      f"{said} came, {lost} had no room")


class Latency:
    """A distribution of times, in us, as (value, how often)."""

    def __init__(self):
        self.values = []
        self.count = 0

    def add(self, us, count=1):
        self.values.append((us, count))
        self.count += count

    def merge(self, other):
        for us, count in other.values:
            self.add(us, count)
        return self

    def quantile(self, q):
        """The least value that at least that part doesn't exceed."""
        seen = 0
        for us, count in sorted(self.values):
            seen += count
            if seen >= q * self.count - 1e-9:
                return us
        return None

    def mean(self):
        return (sum(us * n for us, n in self.values) / self.count
                if self.count else None)

    def cdf(self):
        """[(value, part that doesn't exceed it)] for a plot."""
        seen, points, sums = 0, [], {}
        for us, count in self.values:
            sums[us] = sums.get(us, 0) + count
        for us in sorted(sums):
            seen += sums[us]
            points.append((round(us, 3), round(seen / self.count, 6)))
        return points

    def row(self):
        return [self.count, *(round(self.quantile(q), 1)
                              for q in (0.5, 0.9, 0.99, 1))]


# An instruction more anywhere moves who meets whom. The bins of probe.c are up
# to 3 % wide, and two say nothing; cyclictest's are 1 us. Of the 99th percentile
# a few samples decide, of the longest one.
LATENCY_COLUMNS = [
    value("n", "", "samples", noise=3, percent=2),
    value("p50", "us", "median", "less", 1, 6.5),
    value("p90", "us", "90th percentile", "less", 1.5, 6.5),
    value("p99", "us", "99th percentile", "less", 20, 10),
    value("max", "us", "longest", "less", 400, 25),
]


def jain(values):
    """Jain's index: 1 if all are equal, 1/n if one has all."""
    total = sum(values)
    squares = sum(v * v for v in values)
    return total * total / (len(values) * squares) if squares else 0.0
