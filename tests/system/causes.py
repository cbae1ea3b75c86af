"""That Rouse does nothing without a cause, by a trace of all classes.

    problems(trace, counted)    sentences; none if all is well

A wake has an interrupt that was raised, or a deadline that has come; an
interrupt has a call or a device; a doorbell has mail, and for its CPU something
to do; and a CPU's timer that ends a turn or a wait finds something due. A guest
that sleeps is left alone then, whatever a busy build host does to QEMU:

 - the host's timers are late: time passes a guest's deadline while it runs, and
   no interrupt comes. Until it does the guest waits again and again, and each
   time stays (STAY, nothing pends). A deadline that Rouse has woken it for is
   another matter: that is written to the hart, which looks at it at once, so the
   interrupt pends when the guest goes on, or there was no such deadline.
 - harts run late: a guest pauses while another of its harts is to do something.
   Each pause is its own.

With -icount neither happens; `counted` says so, and there the first is held
against Rouse as well.

Rouse may ring a CPU that is just about to look by itself (cpu_leave_guest has no
fence), but none that is on its way, and what is rung for mail in vain must be
little of all. A vCPU whose exit is answered on the spot counts as running: what
is raised for it then is taken on its way back, and the doorbell that follows finds
nothing.
"""

import bisect
from collections import defaultdict, namedtuple

from trace import E
from tracelib import form, model

SOFT, EXTERNAL = 1, 2
VSTIP = 1 << 6
ACCESSED = (21, 23)
TIMER = model.INTERRUPT | 5
BELL = model.INTERRUPT | 1
ALL_HARTS = (1 << 64) - 1
BY_DEVICE = ("VIRQ_LINE", "VIRQ_CLAIM", "VIRQ_COMPLETE", "VIRQ_ASSERT")
RUNG_FOR = ("WAKE", "VIRQ_ASSERT", "HANDOVER", "STEAL_ASK", "STEAL_ANSWER",
            "REST_END")
BELLS = ("BELL_RUNG", "BELL_ELIDED")
# What a CPU records that stops running or waiting and finds nothing to do.
NOTHING = {E[n] for n in ("EXIT", "ENTRY", "TIMER_ARM", "ACCOUNT", "CPU_WAIT",
                          "VIRQ_INJECT", "BELL_TAKEN", "CPU_TIMER")}

# Between these two the CPU was in the hypervisor and did not try to stop.
INSIDE = {(E[a], E[b]) for a, b in (
    ("BLOCK", "ACCOUNT"), ("BLOCK", "TIMER_ARM"), ("TIMER_FIRE", "WAKE"),
    ("WAKE", "ENQUEUE"), ("ENQUEUE", "BOOST"), ("ENQUEUE", "DISPATCH"),
    ("BOOST", "DISPATCH"), ("DISPATCH", "TIMER_ARM"))}

Record = namedtuple("Record", "time event cpu vcpu a b")
# Why a CPU left a guest or its wait, and when.
Stop = namedtuple("Stop", "what time")


class Cpu:
    def __init__(self):
        self.last = None      # its last record
        self.armed = None     # what its timer is set to
        self.due = 0          # answers that it has asked other CPUs for
        # Its last stop, as long as nothing was found to do; when it stopped
        # before that and then; and the last time that nothing was found at all.
        self.stop, self.stops, self.unsaid = None, [0, 0], None
        # Who is at ringing it, when the last one was done (perhaps before the
        # trace begins), and whether that was for mail.
        self.ringers, self.rung, self.for_mail = set(), 0, False
        self.ringing = None   # whom it rings itself
        self.bells = 0        # that it has rung since its last other record
        self.in_vain = self.rings = 0


class Vcpu:
    def __init__(self):
        self.deadline = None  # of its last sleep
        self.fired = None     # it was woken for that, and has not waited since
        self.due = False      # and has not gone on since
        self.woken = False    # dispatched after a wake, and has not gone on


class Causes:
    def __init__(self, trace, counted):
        self.trace, self.counted = trace, counted
        self.cpus = defaultdict(Cpu)
        self.vcpus = defaultdict(Vcpu)
        self.called = defaultdict(int)  # {vCPU: IPIs on their way}
        self.found = []
        handlers = {n: getattr(self, "on_" + e.name.lower(), None)
                    for n, e in form.EVENTS.items()}
        for r in map(Record._make, trace.merged()):
            c = self.cpus[r.cpu]
            self.has_rung(c, r)
            self.stopped(c, r)
            self.bells_had_a_cause(c, r)
            if handlers.get(r.event):
                handlers[r.event](c, r)
            c.last = r
        rings = sum(c.rings for c in self.cpus.values())
        vain = sum(c.in_vain for c in self.cpus.values())
        if vain > 2 + rings // 20:
            self.found.append(f"{vain} of {rings} doorbells brought mail that "
                              "was looked at before")

    def check(self, true, r, text):
        if not true:
            self.found.append(
                f"at tick {r.time}, CPU {r.cpu}, {self.trace.who(r.vcpu)}: "
                + text)

    @staticmethod
    def was(c, *names):
        return c.last and form.EVENTS[c.last.event].name in names

    # --- wakes and interrupts ---

    def on_wake(self, c, r):
        self.check(not c.last or model.woken_by(c.last, r.vcpu), r,
                   "woken without an interrupt or a deadline")

    def on_timer_fire(self, c, r):
        v = self.vcpus[r.vcpu]
        self.check(r.time >= r.a, r, f"its deadline {r.a} is yet to come")
        self.check(v.deadline in (None, r.a), r,
                   f"its deadline is {v.deadline}, not {r.a}")
        v.fired, v.due = r.a, True

    def on_call_ipi(self, c, r):
        guest = self.trace.names[r.vcpu].guest_id
        for other in self.trace.names.values():
            at = other.index - r.b
            if other.guest_id == guest and (
                    r.b == ALL_HARTS or (0 <= at < 64 and r.a >> at & 1)):
                self.called[other.vcpu] += 1

    def on_virq_assert(self, c, r):
        if r.a == SOFT:
            self.check(self.called[r.vcpu] > 0, r, "an IPI that nobody sent")
            self.called[r.vcpu] -= 1
        elif r.a == EXTERNAL:
            self.check(not c.last or self.was(c, *BY_DEVICE) or (
                self.was(c, "EXIT") and c.last.a in ACCESSED), r,
                "an external interrupt without a line or an access")

    def on_dispatch(self, c, r):
        self.vcpus[r.vcpu].woken = r.b != 0

    def on_virq_inject(self, c, r):
        self.vcpus[r.vcpu].woken = False

    def on_entry(self, c, r):
        v = self.vcpus[r.vcpu]
        self.check(not v.woken, r, "woken, and no interrupt was there")
        self.check(not v.due or r.b & VSTIP, r, f"woken for its deadline "
                   f"{v.fired}, and no interrupt pends")
        v.woken = v.due = False

    # --- a guest waits ---

    def waits(self, r, deadline, pends):
        v = self.vcpus[r.vcpu]
        self.check(pends or v.fired is None or deadline != v.fired, r,
                   f"waits for {deadline} again, for which it was woken")
        v.fired, v.deadline = None, deadline

    def on_block(self, c, r):
        self.waits(r, r.a, False)

    def on_stay(self, c, r):
        self.waits(r, r.b, r.a)
        self.check(not self.counted or r.a or r.b > r.time, r, "stays for its "
                   f"deadline {r.b}, and no interrupt pends")

    # --- turns and waits end ---

    def on_timer_arm(self, c, r):
        c.armed = r.a

    def on_cpu_timer(self, c, r):
        self.check(c.armed in (None, r.a), r,
                   f"its CPU's timer is set to {c.armed}, not {r.a}")

    def on_exit(self, c, r):
        if r.a == TIMER:
            self.stop(c, r, "a timer")
        elif r.a == BELL:
            self.stop(c, r, "a doorbell")

    def stop(self, c, r, what):
        if what == "a timer":
            self.check(c.armed is None or r.time >= c.armed, r,
                       f"its CPU's timer is set to {c.armed}, and fires")
        c.stop = Stop(what, r.time)
        c.stops = [c.stops[-1], r.time]

    def stopped(self, c, r):
        """A record after a stop: does it say what was to be done?"""
        if self.was(c, "CPU_WAIT"):
            self.stop(c, r, "the end of a wait")
        if not c.stop:
            return
        if r.event == E["VIRQ_INJECT"] and c.stop.what == "a doorbell":
            c.stop = None
        elif r.event not in NOTHING:
            c.stop = None
        elif r.event in (E["ENTRY"], E["CPU_WAIT"]):
            self.nothing_found(c, r)
            c.stop = None

    def nothing_found(self, c, r):
        if c.due:
            c.due -= 1      # a CPU that has nothing to give
        elif c.ringers or c.rung >= c.stops[0]:
            c.in_vain += c.for_mail
        else:
            if c.unsaid:
                self.check(False, *c.unsaid)
            c.unsaid = (r, f"nothing was due after {c.stop.what} at tick "
                        f"{c.stop.time}")

    def on_task(self, c, r):
        """It was due, but it was the guests' time."""
        c.unsaid = None

    # --- doorbells ---

    def on_steal_ask(self, c, r):
        c.due += 1

    def on_bell_rung(self, c, r):
        c.ringing = self.cpus[r.a]
        c.ringing.for_mail = r.vcpu == form.NOBODY
        c.ringing.rings += 1
        c.ringing.ringers.add(r.cpu)
        if c.last and not self.was(c, *RUNG_FOR, *BELLS):
            c.bells += 1

    def has_rung(self, c, r):
        """It may have come to the other CPU at any time up to this."""
        if c.ringing:
            c.ringing.ringers.discard(r.cpu)
            c.ringing.rung, c.ringing = r.time, None

    def bells_had_a_cause(self, c, r):
        """Bells without one before them are those of a task's step, or of a
        CPU that passes on what is recorded."""
        if r.event in (E["BELL_RUNG"], E["BELL_ELIDED"]):
            return
        self.check(not c.bells or r.event in (E["TASK"], E["MASK"]), r,
                   f"{c.bells} doorbells rung for nothing before this")
        c.bells = 0


def needless(trace):
    """CPUs that were rung while they were certain to look by themselves: from
    the ringer's last record on, before it has looked whether they are."""
    for c in trace.cpus:
        for before, r in zip(c.records, c.records[1:]):
            if r[1] != E["BELL_RUNG"] or r[4] == c.cpu:
                continue
            to = trace.cpus[r[4]].records
            i = bisect.bisect_left(to, before[:1])
            if (0 < i < len(to) and to[i][0] > r[0]
                    and (to[i - 1][1], to[i][1]) in INSIDE):
                yield (f"at tick {r[0]}, CPU {c.cpu}: CPU {r[4]} is rung, and "
                       "was to look anyway")


def problems(trace, counted):
    return Causes(trace, counted).found + list(needless(trace))
