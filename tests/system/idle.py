"""Who sleeps is left alone: whatever Rouse does has a cause.

Machines are recorded, and of each wake, interrupt, doorbell, and end of a wait
it is asked what for (causes.py). How much there is of them is counted where
machines count instructions; where harts really run at once nothing is judged
that depends on how fast the build host is.
"""

import collections
import os
import re

import causes
import matrix
from harness import TOP, Case, socket_path
from labs import Shell, guest, lab, linux, said
from trace import Run, complete, rows
from tracelib import capture, model

KIB = 4096
# They wake at their timers and sleep nearly always.
ASLEEP = "mode=boost run_us=1 sleep_us=10000 ms=1000000"


def judge(t, trace, counted):
    bad = causes.problems(trace, counted)
    t.check(not bad, "\n".join([f"{len(bad)} things without a cause:",
                                *bad[:10]]))


def until_full(trace):
    """Of a trace that keeps its first records: as long as all of them did. How
    many a machine writes in a second depends on the build host."""
    ends = [c.records[-1][0] for c in trace.cpus if c.lost]
    for c in trace.cpus if ends else ():
        c.records = [r for r in c.records if r[0] <= min(ends)]
    return trace


class AtOnce:
    """A machine whose harts run at once, and late."""

    def __init__(self, t, guests, up, **options):
        path = socket_path("idle", self)
        self.m = t.boot(lab=lab(*guests, scheduler=t.args["policy"]),
                        options=["-qmp", f"unix:{path},server=on,wait=off"],
                        **options)
        self.m.expect(up, 300)
        self.qmp = capture.Qmp(path, 60)
        os.unlink(path)
        self.shell = Shell(self.m)
        self.shell.quiet()

    def record(self, before, seconds):
        self.shell.run(f"sleep {before}; trace on mode=fill size={KIB // 4}; "
                       f"sleep {seconds}; trace off", 120)
        return until_full(capture.from_qemu(
            self.qmp, TOP / "build" / "rouse.elf"))

    def end(self, t):
        self.m.line("poweroff")
        t.equal(self.m.wait(), 0, "QEMU's status")


def little_guests(policy, smp, wfi="trap"):
    """IPIs that come and go without end, timers, and hardly any work."""
    guests = [guest("ping", "pingpong", vcpus=2, wfi=wfi,
                    bootargs="rounds=100000000")]
    if matrix.rooms(policy, smp) is None:
        guests += [guest("tick", "tick", vcpus=2, wfi=wfi,
                         bootargs="hz=400 seconds=0"),
                   guest("asleep", "shares", vcpus=smp, wfi=wfi,
                         bootargs=ASLEEP)]
    return guests


def counted(t):
    policy, smp = t.args["policy"], t.args["smp"]
    guests = little_guests(policy, smp, t.args["wfi"])
    trace = Run(t, guests, ["sleep 0.4", f"trace on size={KIB}", "sleep 0.05",
                            "trace off"], policy, smp).trace
    t.check(len(rows(trace, "WAKE")) > 100, "hardly a wake")
    t.check(len(guests) == 1 or len(rows(trace, "TIMER_FIRE")) > 10,
            "hardly a timer")
    judge(t, complete(t, trace), counted=True)


def at_once(t):
    policy, smp, host = (t.args[k] for k in ("policy", "smp", "host"))
    machine, doorbell = matrix.HOSTS[host]
    run = AtOnce(t, little_guests(policy, smp), "ping: starts at",
                 smp=smp, machine=machine,
                 append=f"doorbell={doorbell}" if doorbell else "")
    # All of them have started, whatever the build host has to do.
    run.shell.run("sleep 2", 120)
    trace = run.record(1, 0.5)
    t.check(len(rows(trace, "WAKE")) > 20, "hardly a wake")
    judge(t, trace, counted=False)
    run.end(t)


def linux_counted(t):
    """A Linux that waits at its prompt exits for its own timers only: but for
    what it calls for, each exit is the WFI after a wake that it asked for. What
    its kernel does in the background after its start is over by then."""
    run = Run(t, [linux("debian")],
              ["sleep 200", f"trace on size={KIB}", "sleep 20", "trace off",
               "watch debian", "sleep 1"], t.args["policy"])
    t.check(re.search(said("debian", "rouse-guest: up, 2 harts"), run.m.text,
                      re.M), "it is not up")
    wakes = len(rows(run.trace, "WAKE"))
    exits = collections.Counter(
        model.cause_name(r[4]) for r in rows(run.trace, "EXIT"))
    ours = sum(n for why, n in exits.items()
               if why not in ("sbi", "load fault", "store fault"))
    ours -= len(rows(run.trace, "YIELD"))  # it pauses for its other hart
    t.check(20 < wakes < 1000 and ours <= wakes + 20,
            f"exits {dict(exits)}, {wakes} wakes in 20 s")
    judge(t, complete(t, run.trace), counted=True)


def linux_at_once(t):
    run = AtOnce(t, [linux("debian")],
                 said("debian", r"rouse-guest: up, 2 harts"), smp=2)
    trace = run.record(4, 4)
    t.check(len(rows(trace, "WAKE")) > 5, "hardly a wake")
    judge(t, trace, counted=False)
    run.end(t)


def wfi_changes(t):
    """What a guest's WFI does is what its knob says now: trapped, it exits for
    each; else the hart waits by itself."""
    words = ("trap", "native", "trap", "poll", "native")
    steps = []
    for word in words:
        steps += [f"set nap wfi={word}", "sleep 0.05", "vcpu list nap -j",
                  "sleep 0.2", "vcpu list nap -j"]
    exits = [row["exits"] for row in Run(
        t, [guest("nap", "tick", bootargs="hz=400 seconds=0")], steps,
        smp=1).json("vcpu")]
    grown = [b - a for a, b in zip(exits[::2], exits[1::2])]
    for word, n in zip(words, grown):
        t.check((n < 40) == (word == "native"),
                f"{n} exits in 80 naps with wfi={word}, of {grown}")


def tests(full):
    policies = matrix.policies()
    sharing = matrix.sharing()
    cases = [Case(f"guests_sleep_and_wake_and_all_has_a_cause,{wfi},{smp}_harts"
                  f",{p}", counted, policy=p, smp=smp, wfi=wfi, shift=3)
             for p in policies for smp in ((2, 4) if full else (2,))
             for wfi in (("trap", "poll") if full else ("trap",))]
    cases += [Case("a_wfi_that_is_set_anew_is_so_from_then_on", wfi_changes,
                   shift=3)]
    cases += [Case(f"all_has_a_cause_where_harts_are_late,{host},{smp}_harts,"
                   f"{p}", at_once, timeout=300, policy=p, smp=smp, host=host)
              for p in (policies if full else sharing[-1:])
              for smp in ((2, 4) if full else (2,)) for host in matrix.HOSTS
              if full or not host.endswith("-sbi")]
    for p in sharing if full else sharing[-1:]:
        cases += [Case(f"an_idle_linux_exits_for_its_own_timers_only,{p}",
                       linux_counted, timeout=300, policy=p, shift=5),
                  Case(f"an_idle_linux_is_left_alone_by_late_harts,{p}",
                       linux_at_once, timeout=600, policy=p)]
    return cases
