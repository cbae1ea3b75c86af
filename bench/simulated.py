"""The questions of bench/questions, asked of the simulator.

To a question, a Simulated is what bench.Bench is: it is given the same guests
and the same commands. What differs is the machine: guests' nodes become a
scenario of rouse-sim (docs/sim.md), and what came out is put into the words
that the guests themselves would have written, and into the listings' figures.
So a question is one text, whoever is asked.

    b = Simulated(folder, policies)
    b.begin("fairness")
    rows = question.measure(b, **case)

What has no counterpart in the simulator (Linux, changes while guests run,
counters of mails, how late a native WFI ends) raises Cannot.
"""

import random
import re
import subprocess
from collections import defaultdict

import bench
import results
from tracelib import form

SIM = bench.TOP / "build" / "sim" / "rouse-sim"
E = form.NUMBER
# shares.c looks at the time when it has done a piece of work: 500 times four
# instructions, and what is around them.
PIECE_INSTRUCTIONS = 2012
# As probe.c has them.
PERIOD_US, JITTER_US, RUN_US, WINDOW_MS = 2000, 1000, 50, 1000
FOREVER_US = 10 ** 9
# Knobs of a lab that a scenario has by the same name.
KNOBS = ("vcpus", "weight", "cap", "priority", "slice-us", "affinity", "wfi",
         "wfi-poll-us")


class Cannot(Exception):
    """It can't be simulated; the text says what."""


# --- guests -----------------------------------------------------------------


class Guest:
    """A lab's node for a guest, read."""

    def __init__(self, node):
        self.name = re.match(r"\s*([\w.-]+) \{", node)[1]
        values = {key: value.strip('"<>') for key, value in re.findall(
            r"^\s*([\w-]+) = (.*);$", node, re.M)}
        self.image = re.sub(r".*/|\.elf$", "", values["kernel"])
        self.args = dict(re.findall(r"(\w+)=(\S+)", values["bootargs"]))
        self.knobs = {k: values[k] for k in KNOBS if k in values}
        if self.knobs.get("affinity") == "all":
            del self.knobs["affinity"]
        self.vcpus = int(self.knobs.get("vcpus", 1))

    def number(self, name, otherwise):
        return int(self.args.get(name, otherwise))

    def at_us(self):
        """When it begins to write down what it sees."""
        at = self.number("at_ms", bench.wall_ms(0)) - bench.wall_ms(0)
        return 1000 * max(at, 0)

    def until_us(self):
        return self.at_us() + 1000 * self.number("ms", WINDOW_MS)

    def ends_us(self):
        return self.until_us() + 1000 * self.number("cooldown_ms", 0)

    def scenario(self, shift):
        """Its lines."""
        mode = self.args.get("mode", "hog")
        make = getattr(self, f"{self.image}_{mode}", None)
        if not make or ("at_ms" in self.args and self.image == "shares"
                        and mode != "hog"):
            raise Cannot(f"guest {self.name}: {self.image} {self.args}")
        # In the simulator a wait that the guest doesn't leave is no wait.
        if self.knobs.get("wfi") == "native":
            raise Cannot(f"guest {self.name}: how late a native WFI ends")
        does, *programs = make(PIECE_INSTRUCTIONS * 2 ** shift / 1000)
        knobs = "".join(f" {k}={v}" for k, v in self.knobs.items())
        return [f"guest {self.name}{knobs} {does}",
                *(f"program {self.name}:{i} {' '.join(steps)}"
                  for i, program in enumerate(programs)
                  for steps in program)]

    def shares_hog(self, piece_us):
        if "at_ms" not in self.args:
            return ["do=hog"]
        begin = self.at_us() - 1000 * self.number("warmup_ms", 0)
        return ["do=program",
                *[[[f"until={begin}", f"run={FOREVER_US}"]]] * self.vcpus]

    def shares_yielder(self, piece_us):
        return [f"do=yielder run-us={piece_us:.1f}"]

    def shares_pending(self, piece_us):
        """Its WFI finds something pending, so it never gives its CPU away."""
        return ["do=hog"]

    def shares_sleeper(self, piece_us):
        return [f"do=dodger period-us={self.number('tick_us', 10000)} "
                f"phase-us={self.number('phase_us', 0)} run-us={piece_us:.1f}"]

    def shares_boost(self, piece_us):
        return [f"do=clocked run-us={piece_us:.1f} "
                f"period-us={self.number('run_us', 100)} "
                f"sleep-us={self.number('sleep_us', 50)}"]

    def probe_turns(self, piece_us):
        return ["do=hog"]

    def moments(self):
        """Pauses up to the end, in us."""
        dice = random.Random(self.number("seed", 1))
        left = self.until_us() - self.at_us()
        while left > 0:
            pause = self.number("period_us", PERIOD_US) + dice.random() * \
                self.number("jitter_us", JITTER_US)
            left -= pause
            yield pause

    def probe_wake(self, piece_us):
        run = self.number("run_us", RUN_US)
        return ["do=program", [[f"until={self.at_us()}"], *(
            [f"sleep={pause:.1f}", f"run={run}"] for pause in self.moments())]]


# --- what is told of them ---------------------------------------------------


class Seen:
    """What bench.Between tells of two readings."""

    def __init__(self, rows, harts, ns):
        self.rows, self.harts, self.ns = rows, harts, ns

    def elapsed(self):
        return self.ns

    def held(self):
        return {name: row["share"] / 100 for name, row in self.rows.items()}

    def cpus(self, what):
        """What no guest has is idle time, all but what the hypervisor takes."""
        if what != "idle_ns":
            raise Cannot(f"the CPUs' {what}")
        idle = self.harts - sum(self.held().values())
        return [idle * self.ns / self.harts] * self.harts

    def vcpus(self, what):
        """Of guests with one vCPU."""
        if what == "runnable_ns":
            return {(name, 0): row["waiting"] / 100 * self.ns
                    for name, row in self.rows.items()}
        if what != "exits":
            raise Cannot(f"the vCPUs' {what}")
        return {(name, 0): row[what] for name, row in self.rows.items()}


class Run:
    """What bench.Run tells of a machine that has ended."""

    def __init__(self, guests, trace, begin, seen, read):
        self.guests = {g.name: g for g in guests}
        self.trace, self.begin = trace, begin
        self.seen, self.read = seen, read
        self.turns, self.late = defaultdict(list), defaultdict(list)
        self._take()

    def between(self):
        return self.seen

    def _take(self):
        """Turns and waits of each vCPU, in ticks since the begin."""
        who = {n.vcpu: (n.guest, n.index) for n in self.trace.names.values()}
        ran, due = {}, {}
        for time, event, _, vcpu, a, _ in self.trace.merged():
            if vcpu not in who:
                continue
            time -= self.begin
            if event == E["DISPATCH"]:
                ran[vcpu] = time
                if due.get(vcpu, form.NEVER) <= time:
                    self.late[who[vcpu]].append((time, time - due[vcpu]))
                due.pop(vcpu, None)
            elif event == E["WAKE"]:
                due[vcpu] = min(time, due.get(vcpu, time))
            elif event in (E["BLOCK"], E["SLICE_END"], E["PREEMPT"],
                           E["YIELD"], E["VCPU_OFF"]):
                if vcpu in ran:
                    self.turns[who[vcpu]].append((ran.pop(vcpu), time))
                if event == E["BLOCK"] and a != form.NEVER:
                    due[vcpu] = a - self.begin
        for vcpu, time in ran.items():
            self.turns[who[vcpu]].append((time, self.trace.taken - self.begin))

    def said(self, name):
        """What it would have printed."""
        g, per_us = self.guests[name], self.trace.hz // 1000000
        window = g.at_us() * per_us, g.until_us() * per_us
        tell = self._shares if g.image == "shares" else self._probe
        return "\n".join(line for hart in range(g.vcpus)
                         for line in tell(g, hart, *window))

    def _within(self, g, hart, first, last):
        """Its turns."""
        return [(max(start, first), min(end, last))
                for start, end in self.turns[g.name, hart]
                if end > first and start < last]

    def _shares(self, g, hart, first, last):
        """A tick is a loop."""
        loops = sum(e - s for s, e in self._within(g, hart, first, last))
        yield (f"shares: hart {hart} loops {loops} time_ns "
               f"{self.trace.ns(last - first)}")

    def _probe(self, g, hart, first, last):
        mode, notes = g.args.get("mode"), []
        if mode == "turns":
            notes = [f"turns {s}+{e - s}"
                     for s, e in self._within(g, hart, first, last)]
        elif mode == "wake":
            notes = [f"late {ticks}:1" for at, ticks in
                     self.late[g.name, hart] if first < at <= last]
        yield f"probe: hz {self.trace.hz} zero_ns 0"
        for note in notes:
            yield f"probe: hart {hart} {note}"
        yield f"probe: hart {hart} done {len(notes)} lost 0"


# --- machines ---------------------------------------------------------------


def timeline(steps, guests):
    """(moments of the readings, the end) in s, of a machine's commands."""
    at, read = 0, []
    by_name = {g.name: g for g in guests}
    for step in steps:
        word, _, rest = step.partition(" ")
        if step == bench.LISTS:
            read.append(at)
        elif word == "sleep":
            at += float(rest)
        elif step.startswith("guest wait "):
            at = max(at, *(by_name[n].ends_us() / 1e6
                           for n in step.split()[2:]))
        elif word != "watch":
            raise Cannot(f"the command {step}")
    return read, at


class Simulated(bench.Bench):
    def __init__(self, folder, policies, quick=False):
        super().__init__(quick)
        self.folder = folder
        self._policies = policies

    def boot(self, guests, steps, policy, harts, shift=3, seed=1, **_):
        """As bench.Bench's."""
        guests = [Guest(node) for node in guests]
        read, end = timeline(steps, guests)
        first, last = (read[0], read[-1]) if read else (0, end)
        number = next(self.numbers)
        scenario, result, trace = (self.folder / f"simulated-{number}.{kind}"
                                   for kind in ("sim", "json", "trace"))
        scenario.write_text("\n".join(
            [f"cpus {harts}", f"seconds {last - first:.3f}",
             f"warmup {first:.3f}", f"seed {seed}",
             *(line for g in guests for line in g.scenario(shift))]) + "\n")
        command = [SIM, "--quiet", "--json", result, "--trace", trace, "--set",
                   f"ns_per_instruction={2 ** shift}"]
        if policy:
            command += ["--policy", policy.name]
        subprocess.run([*command, scenario], cwd=bench.TOP, check=True,
                       timeout=300)
        rows = {r["guest"]: r for r in results.as_dicts(results.read(result))}
        taken = form.read(trace)
        trace.unlink()
        # The simulator's clocks begin at one second.
        return Run(guests, taken, taken.hz,
                   Seen(rows, harts, (last - first) * 1e9), read)
