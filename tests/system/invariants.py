"""What must hold of any machine at any moment, whatever its guests and its
operator do: of a trace, and of what the console lists.

Each function returns sentences about what can't be; none if all is well.
"""

import sys

from harness import TOP

sys.path.insert(0, str(TOP / "tools"))
from tracelib import model  # noqa: E402

CPU_PARTS = ("guest_ns", "task_ns", "host_ns", "idle_ns")
RUNSTATES = ("running_ns", "runnable_ns", "blocked_ns", "offline_ns")
CPU_COUNTS = ("switches", "waits", "mails", "handovers", "timer_sets")
VCPU_COUNTS = ("wakes", "exits", "dispatches", "preemptions", "migrations")


def of_model(told):
    """Every wake has one dispatch, nobody has two CPUs or runs while paused or
    off, no CPU has two vCPUs; and the runstates leave no gap."""
    bad = list(told.problems)
    for vcpu, spans in told.states.items():
        ends = [s.end for s in spans]
        begins = [s.begin for s in spans[1:]] + [told.state[vcpu][1]]
        bad += [f"{told.trace.who(vcpu)}: its runstate until tick {end} is "
                f"followed by one from {begin} on"
                for end, begin in zip(ends, begins) if begin != end]
    return bad


class Judge:
    """Of all that is recorded: pieces as a Collector finds them, which are
    looked at once and forgotten."""

    def __init__(self):
        self.streams = {}   # number of a recording: all but its records
        self.records = 0

    def problems(self, pieces):
        bad = []
        for number, piece in pieces.items():
            self.records += piece.count()
            if number in self.streams:
                self.streams[number].add(piece)
            else:
                self.streams[number] = model.Stream(piece)
            told = self.streams[number].model
            if told:
                bad += of_model(told)
                told.forget()
        return bad

    def judged(self):
        """How many records were, and how many ns they span."""
        told = [s.model for s in self.streams.values() if s.model]
        return (sum(m.count for m in told),
                sum(m.trace.ns(m.end - m.begin) for m in told))


class Listing:
    """What `sched cpus; vcpu list; sched cpus; mem; guest list` said: the sums
    of the CPUs' times before and after tell when the vCPUs were listed."""

    COMMAND = "sched cpus -j; vcpu list -j; sched cpus -j; mem -j; guest list"

    def __init__(self, objects):
        def of(kind):
            return [o for o in objects if o["type"] == kind]

        cpus = of("cpu")
        half = len(cpus) // 2
        self.before, self.after = cpus[:half], cpus[half:]
        self.vcpus = {(v["guest"], v["vcpu"]): v for v in of("vcpu")}
        self.memory, = of("memory")
        self.guest_memory = of("guest_memory")
        self.guests = {g["name"]: g for g in of("guest")}

    def made(self):
        """Guests, each with a number that no other guest has had."""
        return {(name, g["id"]) for name, g in self.guests.items()}

    def now_ns(self):
        return total(self.after[0], CPU_PARTS)


def total(obj, parts):
    return sum(obj[p] for p in parts)


def of_listing(now):
    bad = []
    m = now.memory
    held = sum(g["reserved_bytes"] for g in now.guest_memory)
    if m["free_bytes"] + held + m["object_bytes"] > m["total_bytes"]:
        bad.append(f"memory: {m}, and guests hold {held}")
    if m["largest_free_bytes"] > m["free_bytes"]:
        bad.append(f"memory: {m}")
    for g in now.guest_memory:
        if g["touched_bytes"] > g["reserved_bytes"]:
            bad.append(f"memory: {g}")
    return bad


def between(then, now):
    """Of two listings: nothing is counted backwards, no time is lost. Single
    times may become less: what is going on is counted up to now, and its owner
    may end it as of a moment before, at which it has looked at its clock."""
    bad = []
    for what in ("before", "after"):
        for a, b in zip(getattr(then, what), getattr(now, what)):
            less = [p for p in CPU_COUNTS if b[p] < a[p]]
            if less:
                bad.append(f"CPU {a['cpu']}: {less} became less: {a}, {b}")
    if then.memory["total_bytes"] != now.memory["total_bytes"]:
        bad.append(f"memory: {then.memory}, {now.memory}")
    if then.made() != now.made():
        return bad
    # The clock of any CPU's sums runs with time, from its boot.
    least, most = passed(then, now)
    for key, v in now.vcpus.items():
        old = then.vcpus[key]
        grown = total(v, RUNSTATES) - total(old, RUNSTATES)
        if not least <= grown <= most:
            bad.append(f"{key}: runstates grew by {grown} ns in {least} to "
                       f"{most}: {old}, {v}")
        bad += [f"{key}: {p} became less: {old}, {v}" for p in VCPU_COUNTS
                if v[p] < old[p]]
    return bad


# Ticks of 100 ns, of which each of several figures may be one short.
CLOCK_NS = 1000


def passed(then, now):
    """How long it was at least, and at most, between the vCPUs' listings."""
    least = max(total(b, CPU_PARTS) - total(a, CPU_PARTS)
                for a, b in zip(then.after, now.before))
    most = min(total(b, CPU_PARTS) - total(a, CPU_PARTS)
               for a, b in zip(then.before, now.after))
    return least - CLOCK_NS, most + CLOCK_NS


def problems(then, now):
    return of_listing(now) + (between(then, now) if then else [])
