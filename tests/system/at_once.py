"""The attacks on harts that really run at once: their neighbours have what is
due to them there, too.

hostile.py counts time in instructions, and then QEMU runs one hart after the
other: no two ever meet at a lock or a cache line, and what only others that run
meanwhile make longer is never seen. Here each hart is a thread of the build
host, without -icount. Such a thread loses its core at any moment, for tens of
milliseconds, and time goes on meanwhile for whoever runs there. So nothing is
said of how long anything took. What is asked, beside an attack and then beside
the next, are proportions of one look of LOOK_S:

* what each neighbour that works was charged, of what is due to its weight: a
  policy makes up for a turn that took too long, whatever the reason;
* how much work it did in that time, of what it does beside `calm`, where its
  hart's thread had a core: time that the hypervisor takes in its turns and
  charges to nobody else;
* how much of its time the one that sleeps and wakes waited for a CPU;
* how much of the CPUs was nobody's, more than beside `calm`.

The medians of all looks count. When the build host is busy, some looks show the
build host, so there are more until the medians are as they should be, but never
more than LOOKS: what harms for as long as it goes on is in most of them. Also,
the attacker must be alive, the console answer and stop it, no CPU be silent.
"""

import re
from collections import namedtuple
from pathlib import Path
from statistics import median

import matrix
from fairness import readings
from harness import Case, Failure
from hostile import (ATTACKS, ENDLESS, GARBLES, ROUNDS, SLEEPERS,
                     STATES, Accounts, beside, due_of, promised, waited)
from labs import Shell, lab
from stays import AT_ONCE, short

LOOK_S = 0.3
FEW, LOOKS = 3, 40  # at least, at most
USUAL = 10          # of them at least, to know what is usual

# Where harts have most to do with each other.
TOGETHER = ("plic-wide", "plic-crowd", "plic-toggle", "ipi-all", "ipi-wake",
            "wake-at-once", "wake-in-a-row", "wake-by-ipi", "rfence",
            "fence-crowd", "hart-storm", "hart-masks", "reboot-all",
            "sse-storm", "uart-flood", "dbcn-flood", "self-modifying")

# Not the one whose lines stand in the midst of the console's.
EVERY = [attack for attack in (*ATTACKS, ENDLESS) if attack != GARBLES]

# Of what is due; and of the work beside `calm`. Where thirty others want the
# two cores of the build host, the medians of that were 0.73 to 1.3.
NEAR, SLOW = 0.1, 0.5
# Where turns are promised nobody makes up between CPUs for who has how many.
NEAR_OF_TURNS = 0.5
# How much of its time the sleeper may wait; where turns are promised it waits
# for everybody's, as in hostile.py.
WAITS, WAITS_FOR_ALL = 0.25, 0.85
# If a hart stands still while it has the sleeper, that is charged for tens of
# milliseconds: with much weight it has soon made up for them.
HEAVY = 8192
NOBODYS = 0.05  # of a CPU

NEVER_MS = 1000000
LOOPS = re.compile(r"\bs11 +(?:0x)?([0-9a-f]+)")

# Listings; the work that each did; how long each hart's thread had a core.
Look = namedtuple("Look", "accounts loops core_ns")


class Watched:
    """A machine in which one attack after the other is looked at."""

    def __init__(self, t):
        self.t, smp = t, t.args["smp"]
        self.promise = promised(t.args["policy"])
        self.bound, guests = beside(t.args["policy"], smp, SLEEPERS["vcpus"],
                                    f"work report_ms={NEVER_MS}", weight=HEAVY)
        self.sleeps = len(guests) > 1 + self.bound
        self.m = t.boot(lab=lab(*guests, scheduler=t.args["policy"],
                                boot=["watch off"]), smp=smp, mem="256M")
        boots = int(self.m.expect(r"harts, boot hart (\d+)", 60)[1])
        self.m.expect("^rouse> ", 60)
        self.shell = Shell(self.m)
        # The attacker's vCPUs are many, and not looked at.
        names = "hog0 waker" if self.sleeps else "hog0"
        hogs = " ".join(f"hog{i}:0" for i in range(self.bound))
        self.lists = (f"guest list -j; vcpu list -j {names}; sched cpus -j; "
                      f"vcpu regs -j {hogs}")
        # CPU 0 is the hart that boots, which the firmware draws by lot.
        self.threads = re.findall(r"CPU #\d+: thread_id=(\d+)",
                                  self.m.monitor("info cpus"))
        t.equal(len(self.threads), smp, "QEMU's threads")
        self.threads.insert(0, self.threads.pop(boots))
        self.usual = None   # medians beside `calm`

    def look(self, attack):
        """Once the time of a look has passed."""
        text = "\n".join(self.shell.run(f"sleep {LOOK_S}; {self.lists}"))
        loops = [int(n, 16) for n in LOOPS.findall(text)]
        self.t.equal(len(loops), self.bound, f"{attack}: registers")
        return Look(readings(text)[0], loops, self.core_ns())

    def core_ns(self):
        tasks = Path(f"/proc/{self.m.process.pid}/task")
        return [int((tasks / i / "schedstat").read_text().split()[0])
                for i in self.threads]

    def measure(self, attack, before, after):
        """Of one look: {what: number}."""
        fared = Accounts(before.accounts, after.accounts)
        got, due = fared.between.parts(), due_of(self.t, fared)
        row = {"nobodys": fared.cpu("host_ns")}
        for i in range(self.bound):
            row[f"hog{i} share"] = got[f"hog{i}"] / due
            row[f"hog{i} work"] = (
                (after.loops[i] - before.loops[i]) / got[f"hog{i}"]
                / (after.core_ns[i] - before.core_ns[i]))
        if self.sleeps:
            row["waited"] = waited(*[look.accounts["vcpu", "waker", 0]
                                     for look in (before, after)])
        with open(self.t.folder / "fared.tsv", "a") as out:
            numbers = "\t".join(f"{k} {v:.6f}" for k, v in row.items())
            out.write(f"{attack}\t{fared.between.elapsed() / 1e9:.3f} s\t"
                      f"{numbers}\n")
        return row

    def judge(self, attack, row):
        """row: medians."""
        usual = self.usual or row
        for i in range(self.bound):
            share = row[f"hog{i} share"]
            work = row[f"hog{i} work"] / usual[f"hog{i} work"]
            near = NEAR_OF_TURNS if self.promise in ROUNDS else NEAR
            self.t.check(share >= 1 - near,
                         f"{attack}: hog{i} had {100 * share:.0f} % of its due")
            self.t.check(work >= 1 - SLOW, f"{attack}: in its time hog{i} does "
                         f"{100 * work:.0f} % of what it does beside calm")
        part = row.get("waited", 0)
        most = WAITS_FOR_ALL if self.promise in ROUNDS else WAITS
        self.t.check(part <= most, f"{attack}: the sleeper waited for "
                     f"{100 * part:.0f} % of its time")
        if self.promise == "room":
            return  # what is done where nobody else waits isn't measured
        nobodys, most = row["nobodys"], usual["nobodys"] + NOBODYS
        self.t.check(nobodys <= most, f"{attack}: {nobodys:.3f} of a CPU were "
                     f"nobody's, {most:.3f} may be")

    def judge_alive(self, attack, first, last):
        """The attack goes on, and the sleeper wakes. (Where each vCPU has a CPU
        the attacker may have but one, and nobody who wakes it.)"""
        between = Accounts(first.accounts, last.accounts).between
        state = between.after["guest", "bad"]["state"]
        self.t.check(state in ("running", "starting", "stopping") and
                     (between.grown(("guest", "bad"), "guest_ns") > 0 or
                      between.grown(("guest", "bad"), "boots") > 0)
                     or attack in STATES or self.promise == "room",
                     f"{attack}: it is {state}, and stuck")
        self.t.check(not self.sleeps or
                     between.grown(("vcpu", "waker", 0), "wakes") > 0,
                     f"{attack}: the sleeper didn't wake")

    def phase(self, attack):
        self.t.equal(self.shell.run(f'set bad "bootargs=attack={attack}"; '
                                    "guest start bad"), [], "starting it")
        first = before = self.look(attack)
        rows, why = [], None
        while len(rows) < LOOKS:
            after = self.look(attack)
            rows.append(self.measure(attack, before, after))
            before = after
            if len(rows) < (FEW if self.usual else USUAL):
                continue
            row = {what: median(r[what] for r in rows) for what in rows[0]}
            try:
                self.judge(attack, row)
                why = None
                break
            except Failure as failure:
                why = failure
        if why:
            raise why
        self.usual = self.usual or row
        self.judge_alive(attack, first, after)
        said = self.shell.run("guest stop bad")
        self.t.check(said == [] or attack in STATES, f"stopping it: {said}")


def together(t):
    w = Watched(t)
    for attack in ("calm", *t.args["which"], "calm"):
        w.phase(attack)
    t.check("watchdog:" not in w.m.text, "a CPU did not answer")
    w.m.line("poweroff")
    t.equal(w.m.wait(), 0, "QEMU's status")


def stays(t):
    """The host's own part: how long it is away from what there is to do, in
    instructions, waits for locks left out (bench/meter/stays.c). So it is seen
    what an attacker pays for, too, while others wait."""
    policy, smp = t.args["policy"], t.args["smp"]
    _, t.args["guests"] = beside(policy, smp, SLEEPERS["vcpus"])
    t.args["steps"] = [step for attack in t.args["which"] for step in
                       (f'set bad "bootargs=attack={attack}"',
                        "guest start bad", f"sleep {LOOK_S}",
                        "guest stop bad")]
    t.args["how"] = {"scheduler": policy, "smp": smp, "options": (),
                     "machine": AT_ONCE}
    short(t)


def tests(full):
    cases = []
    for smp in (2, 4) if full else (2,):
        for policy in matrix.policies() if full else [matrix.default()]:
            args = {"timeout": 1800, "smp": smp, "policy": policy,
                    "which": EVERY if full else TOGETHER}
            cases.append(Case("no_attack_costs_a_neighbour_its_due_at_once,"
                              f"{smp}_harts,{policy}", together, **args))
            args["which"] = TOGETHER
            cases.append(Case("no_stay_is_long_beside_attacks_at_once_"
                              f"on_{smp}_harts_under_{policy}", stays,
                              by=["virq_raise"], **args))
    return cases
