"""What the records mean: who ran where, who waited for whom, and for how long.

    m = Model(trace)
    m.states    {vcpu: [Span(what, begin, end, cpu)]}: running, runnable,
                blocked, offline; spans of a vCPU follow each other closely
    m.turns     {cpu: [Span(what, begin, end, vcpu)]}: run, idle, task
    m.waiting() {cpu: [(time, vCPUs)]}: how many wait there, from then on
    m.exits     [Exit]; m.waits [Wait]; m.raised [Raised]
    m.problems  sentences about what can't be, such as a wake without dispatch

All in one pass over the records in an order in which they can have happened.
What was going on when the trace begins is unknown until a record tells.

A Stream does it with a trace that comes in pieces and has no end.
"""

from collections import defaultdict, namedtuple

from .form import EVENTS, NEVER, NOBODY, NUMBER, chars, records_add

Span = namedtuple("Span", "what begin end at")
Exit = namedtuple("Exit", "vcpu cpu cause detail begin end")
# by: whose doing it was, by_what: what woke it (see woken_by), or None.
Wait = namedtuple("Wait", "vcpu wake_id woken ran from_cpu cpu by by_what")
# handled: when the guest claimed it, if it is external; else when it was
# entered with it pending (see on_entry).
Raised = namedtuple("Raised", "vcpu virq raised handled")

RUNNING, RUNNABLE, BLOCKED, OFFLINE = (
    "running", "runnable", "blocked", "offline")

INTERRUPT = 1 << 63
CAUSES = {
    INTERRUPT | 1: "doorbell", INTERRUPT | 5: "timer",
    INTERRUPT | 9: "external", 10: "sbi", 20: "fetch fault",
    21: "load fault", 22: "virtual instruction", 23: "store fault",
}
EXTENSIONS = {
    0x10: "base", 0x54494d45: "time", 0x735049: "ipi", 0x52464e43: "rfence",
    0x48534d: "hsm", 0x53525354: "srst", 0x4442434e: "dbcn", 0x504d55: "pmu",
    0x535441: "sta", 0: "legacy set_timer", 1: "legacy putchar",
}
# Bits of virq that end in the guest, what they are called, and hip's bit.
VIRQS = {1: ("software", 1 << 2), 2: ("external", 1 << 10), 4: ("timer", 0)}
EXTERNAL, TIMER = 2, 4
# What a vCPU is woken by: all bits of virq (kernel/virq.h).
WAKERS = {1: "an IPI", 2: "an external interrupt", 4: "its timer",
          8: "a fence", 16: "the end of a fence", 32: "a software event"}
DEADLINE = "its deadline"


def cause_name(cause):
    return CAUSES.get(cause, f"cause {cause & ~INTERRUPT}")


def woken_by(before, vcpu):
    """What wakes the vCPU, in words, by the record before its WAKE on the same
    CPU: whoever wakes has just recorded why, if the classes virq and timer were
    recorded. None: that was not recorded."""
    if before and before[3] == vcpu:
        if before[1] == NUMBER["TIMER_FIRE"]:
            return DEADLINE
        if before[1] == NUMBER["VIRQ_ASSERT"]:
            return " and ".join(what for bit, what in WAKERS.items()
                                if before[4] & bit) or None
    return None


class Model:
    def __init__(self, trace, begin=None):
        """With the moment at which it begins: there is more to be fed."""
        self.trace = trace
        self.begin, self.end = trace.span()
        if begin is not None:
            self.begin = begin
        self.count = 0       # records since then
        self.states = defaultdict(list)
        self.turns = defaultdict(list)
        self.exits, self.waits, self.raised = [], [], []
        self.problems = []
        self.state = {}      # vcpu: (what, since, cpu)
        self.turn = {}       # cpu: (what, since, vcpu or name)
        self.inside = {}     # vcpu: (cause, since, cpu, detail) of its exit
        # vcpu: (id, time, cpu, by, by what), not yet dispatched
        self.wakes = {}
        self.before = {}     # cpu: its last record
        self.last_wake = {}  # vcpu: id
        self.deadlines = {}  # vcpu: of its last sleep
        self.up = defaultdict(dict)   # vcpu: {virq bit: time}
        self.injected = defaultdict(int)
        self.before_pause = {}
        self.handlers = {n: getattr(self, "on_" + e.name.lower(), None)
                         for n, e in EVENTS.items()}
        self.feed(trace)
        if begin is None:
            self.close()

    def feed(self, trace):
        for r in trace.merged():
            if r[0] >= self.begin:
                self.count += 1
                self.cpu_wakes_up(r)
                handler = self.handlers.get(r[1])
                if handler:
                    handler(*r)
            self.before[r[2]] = r

    def forget(self):
        """Keeps what is going on, and of what is over each one's last span."""
        for what in (self.exits, self.waits, self.raised, self.problems):
            what.clear()
        for spans in (*self.states.values(), *self.turns.values()):
            del spans[:-1]

    # --- spans ---

    def become(self, vcpu, what, time, cpu):
        old = self.state.get(vcpu)
        if old and old[0] == what and old[2] == cpu:
            return
        if old and time > old[1]:
            self.states[vcpu].append(Span(old[0], old[1], time, old[2]))
        self.state[vcpu] = (what, time, cpu)

    def occupy(self, cpu, what, time, who):
        old = self.turn.get(cpu)
        if old and time > old[1]:
            self.turns[cpu].append(Span(old[0], old[1], time, old[2]))
        self.turn[cpu] = (what, time, who) if what else None

    def leave(self, vcpu, cpu, time):
        """The vCPU no longer has its CPU."""
        self.exit_ends(vcpu, time)
        old = self.turn.get(cpu)
        if old and old[0] == "run" and old[2] == vcpu:
            self.occupy(cpu, None, time, None)

    def exit_ends(self, vcpu, time):
        old = self.inside.pop(vcpu, None)
        if old:
            self.exits.append(Exit(vcpu, old[2], old[0], old[3], old[1], time))

    def cpu_wakes_up(self, r):
        """A CPU that waits does so until its next record of any kind."""
        old = self.turn.get(r[2])
        if old and old[0] == "idle":
            self.occupy(r[2], None, r[0], None)

    def seen_running(self, vcpu, cpu, time):
        """It does only where it has the CPU, unless the trace begins in the
        middle of its turn."""
        if vcpu not in self.state:
            self.become(vcpu, RUNNING, time, cpu)
            self.occupy(cpu, "run", time, vcpu)
        state, _, at = self.state[vcpu]
        if (state, at) != (RUNNING, cpu):
            self.problem(time, f"CPU {cpu} runs {self.trace.who(vcpu)}, which "
                         f"is {state} on CPU {at}")

    def close(self):
        for vcpu, (what, since, cpu) in self.state.items():
            self.exit_ends(vcpu, self.end)
            if self.end > since:
                self.states[vcpu].append(Span(what, since, self.end, cpu))
        for cpu, old in self.turn.items():
            if old and self.end > old[1]:
                self.turns[cpu].append(Span(old[0], old[1], self.end, old[2]))

    def problem(self, time, text):
        self.problems.append(f"at tick {time}: {text}")

    # --- turns ---

    def on_dispatch(self, time, _, cpu, vcpu, why, wake):
        woken = self.wakes.pop(vcpu, None)
        if wake and woken and woken[0] == wake:
            self.waits.append(Wait(vcpu, wake, woken[1], time, woken[2], cpu,
                                   *woken[3:]))
        elif woken:
            self.problem(time, f"{self.trace.who(vcpu)} is dispatched for "
                         f"wake {wake}, but was woken as {woken[0]}")
        elif wake and vcpu in self.deadlines:
            self.problem(time, f"{self.trace.who(vcpu)} is dispatched for "
                         f"wake {wake}, of which there is no record")
        old = self.turn.get(cpu)
        if old and old[0] == "run" and old[2] != vcpu:
            self.problem(time, f"CPU {cpu} dispatches {self.trace.who(vcpu)} "
                         f"while {self.trace.who(old[2])} has it")
        state, _, at = self.state.get(vcpu, (None, 0, cpu))
        if state == OFFLINE:
            self.problem(time, f"CPU {cpu} dispatches {self.trace.who(vcpu)}, "
                         "which is paused or off")
        if state == RUNNING and at != cpu:
            self.problem(time, f"CPU {cpu} dispatches {self.trace.who(vcpu)}, "
                         f"which runs on CPU {at}")
        self.become(vcpu, RUNNING, time, cpu)
        self.occupy(cpu, "run", time, vcpu)

    def on_block(self, time, _, cpu, vcpu, deadline, b):
        self.deadlines[vcpu] = deadline
        self.leave(vcpu, cpu, time)
        self.become(vcpu, BLOCKED, time, cpu)

    def on_stay(self, time, _, cpu, vcpu, a, b):
        if self.state.get(vcpu, (RUNNING,))[0] == RUNNING:
            return
        self.become(vcpu, RUNNING, time, cpu)
        self.occupy(cpu, "run", time, vcpu)

    def put_back(self, time, _, cpu, vcpu, ran, load):
        self.leave(vcpu, cpu, time)
        self.become(vcpu, RUNNABLE, time, cpu)

    on_preempt = on_slice_end = on_yield = put_back

    def on_enqueue(self, time, _, cpu, vcpu, why, load):
        if self.state.get(vcpu, ("",))[0] == RUNNING:
            self.leave(vcpu, self.state[vcpu][2], time)
        self.become(vcpu, RUNNABLE, time, cpu)

    def on_handover(self, time, _, cpu, vcpu, to, state):
        """It is the other CPU's from here on, whatever it does."""
        self.leave(vcpu, cpu, time)
        old = self.state.get(vcpu)
        if old:
            self.become(vcpu, RUNNABLE if old[0] == RUNNING else old[0], time,
                        to)

    def on_policy_is(self, time, _, cpu, vcpu, name, b):
        """Who had the CPU under the old one is queued anew."""
        old = self.turn.get(cpu)
        if old and old[0] == "run":
            self.put_back(time, _, cpu, old[2], 0, 0)

    def on_wake(self, time, _, cpu, vcpu, wake, by):
        if vcpu in self.wakes:
            self.problem(time, f"{self.trace.who(vcpu)} is woken as {wake} "
                         f"before wake {self.wakes[vcpu][0]} was dispatched")
        last = self.last_wake.get(vcpu)
        if last is not None and wake <= last:
            self.problem(time, f"{self.trace.who(vcpu)}: wake {wake} comes "
                         f"after wake {last}")
        self.last_wake[vcpu] = wake
        state, _, at = self.state.get(vcpu, ("", 0, cpu))
        what = woken_by(self.before.get(cpu), vcpu)
        # Its own CPU does that once the deadline has come, for nobody.
        if not what and (by, at) == (NOBODY, cpu) and \
                time >= self.deadlines.get(vcpu, NEVER):
            what = DEADLINE
        self.wakes[vcpu] = (wake, time, cpu, by, what)
        if state == OFFLINE:
            self.before_pause[vcpu] = RUNNABLE
        else:
            # Where it is: `cpu` is whoever wakes.
            self.become(vcpu, RUNNABLE, time, at)

    def on_cpu_wait(self, time, _, cpu, vcpu, deadline, load):
        self.occupy(cpu, "idle", time, None)

    def on_task(self, time, _, cpu, vcpu, ticks, name):
        """A step that ends here: who has the CPU waited for it."""
        begin = max(time - ticks, self.begin)
        old = self.turn.get(cpu)
        if old:
            self.occupy(cpu, "task", max(begin, old[1]), chars(name))
        else:
            self.turn[cpu] = ("task", begin, chars(name))
        self.occupy(cpu, old and old[0], time, old and old[2])
        if old and old[0] == "run":
            self.become(old[2], RUNNABLE, max(begin, self.state[old[2]][1]),
                        cpu)
            self.become(old[2], RUNNING, time, cpu)

    def on_vcpu_on(self, time, _, cpu, vcpu, guest, index):
        self.become(vcpu, RUNNABLE, time, cpu)

    def on_vcpu_off(self, time, _, cpu, vcpu, guest, index):
        self.wakes.pop(vcpu, None)
        self.leave(vcpu, cpu, time)
        self.become(vcpu, OFFLINE, time, cpu)

    def on_vcpu_pause(self, time, _, cpu, vcpu, guest, index):
        old = self.state.get(vcpu, (RUNNABLE,))[0]
        self.before_pause[vcpu] = BLOCKED if old == BLOCKED else RUNNABLE
        self.leave(vcpu, cpu, time)
        self.become(vcpu, OFFLINE, time, cpu)

    def on_vcpu_resume(self, time, _, cpu, vcpu, guest, index):
        self.become(vcpu, self.before_pause.pop(vcpu, RUNNABLE), time, cpu)

    # --- exits ---

    def on_exit(self, time, _, cpu, vcpu, cause, pc):
        self.seen_running(vcpu, cpu, time)
        self.exit_ends(vcpu, time)
        self.inside[vcpu] = (cause, time, cpu, None)

    def on_entry(self, time, _, cpu, vcpu, pc, hip):
        self.seen_running(vcpu, cpu, time)
        self.exit_ends(vcpu, time)
        for bit, (_, line) in VIRQS.items():
            if bit == EXTERNAL or not self.injected[vcpu] & bit:
                continue
            # Nobody sees the guest take it: it may keep it waiting.
            if not line or hip & line:
                self.handle(vcpu, bit, time)
            self.up[vcpu].pop(bit, None)
        self.injected[vcpu] = 0

    def handle(self, vcpu, bit, time):
        raised = self.up[vcpu].pop(bit, None)
        if raised is not None:
            self.raised.append(Raised(vcpu, bit, raised, time))

    def on_virq_claim(self, time, _, cpu, vcpu, line, context):
        if line:
            self.handle(vcpu, EXTERNAL, time)

    def detail(self, vcpu, text):
        old = self.inside.get(vcpu)
        if old and not old[3]:
            self.inside[vcpu] = old[:3] + (text,)

    def on_call(self, time, _, cpu, vcpu, extension, function):
        name = EXTENSIONS.get(extension, f"{extension:#x}")
        self.detail(vcpu, f"sbi {name}" + (f" {function}" if function else ""))

    def on_device_read(self, time, _, cpu, vcpu, address, value):
        self.detail(vcpu, f"read {address & (1 << 56) - 1:#x}")

    def on_device_write(self, time, _, cpu, vcpu, address, value):
        self.detail(vcpu, f"write {address & (1 << 56) - 1:#x}")

    def on_page_fault(self, time, _, cpu, vcpu, address, cause):
        self.detail(vcpu, "first touch")

    # --- interrupts ---

    def on_virq_assert(self, time, _, cpu, vcpu, bits, by):
        for bit in VIRQS:
            if bits & bit:
                self.up[vcpu].setdefault(bit, time)
        if bits & TIMER:
            self.injected[vcpu] |= TIMER    # pends at once: without Sstc

    def on_timer_fire(self, time, _, cpu, vcpu, deadline, b):
        self.up[vcpu].setdefault(TIMER, time)

    def on_virq_inject(self, time, _, cpu, vcpu, bits, hvip):
        self.injected[vcpu] |= bits
        if bits & EXTERNAL and not hvip & VIRQS[EXTERNAL][1]:
            self.up[vcpu].pop(EXTERNAL, None)  # its line has fallen again

    # --- questions ---

    def during(self, cpu, begin, end):
        """What that CPU did then: {(what, at): ticks}, as in its turns. What none
        of them has is the hypervisor's own, ("rouse", None)."""
        out = defaultdict(int)
        for s in self.turns[cpu]:
            over = min(s.end, end) - max(s.begin, begin)
            if over > 0:
                out[s.what, s.at] += over
        out["rouse", None] = end - begin - sum(out.values())
        return out

    def shares(self):
        """{cpu: {what: ticks}}; what is a vCPU's name, idle, task or rouse."""
        out = {}
        for c in self.trace.cpus:
            used = out[c.cpu] = defaultdict(int)
            for (what, at), ticks in self.during(c.cpu, self.begin,
                                                 self.end).items():
                used[self.trace.who(at) if what == "run" else what] += ticks
        return out

    def sums(self):
        """{vcpu: {state: ticks}}, and for each the moment it begins."""
        out = {}
        for vcpu, spans in self.states.items():
            sums = dict.fromkeys((RUNNING, RUNNABLE, BLOCKED, OFFLINE), 0)
            for s in spans:
                sums[s.what] += s.end - s.begin
            out[vcpu] = (spans[0].begin, sums)
        return out

    def waiting(self):
        """{cpu: [(time, how many vCPUs could run there and don't)]}, where that
        changes; one that is woken or handed over counts at once where it is to
        be queued. Who waits as the trace begins is counted once it is known."""
        change = {c.cpu: defaultdict(int, {self.begin: 0})
                  for c in self.trace.cpus}
        for vcpu, (what, since, at) in self.state.items():
            if what == RUNNABLE and at in change:
                change[at][since] += 1  # and still does as the trace ends
            for s in self.states[vcpu]:
                if s.what == RUNNABLE and s.at in change and s.begin < since:
                    change[s.at][s.begin] += 1
                    change[s.at][s.end] -= 1
        out = {}
        for cpu, by in change.items():
            out[cpu], now = [], 0
            for time, more in sorted(by.items()):
                now += more
                if more or not out[cpu]:
                    out[cpu].append((time, now))
        return out

    def instead(self, wait):
        """What the CPU did in which the vCPU then ran: [(what, ticks)], all of
        the wait together."""
        out = [(self.trace.who(at) if what == "run" else
                f"task {at}" if what == "task" else what, ticks)
               for (what, at), ticks in self.during(
                   wait.cpu, wait.woken, wait.ran).items() if ticks > 0]
        return sorted(out, key=lambda x: -x[1])


class Stream:
    """A recording in pieces that follow each other closely: its model goes up
    to the last record of the CPU that has been silent for longest, since who
    knows what that CPU is about to write. It begins, and ends, where all CPUs
    record.

    Nothing is kept of what a caller who has looked lets the model forget."""

    def __init__(self, first):
        self.rest = first     # not fed yet
        self.model = None
        self.go_on()

    def add(self, piece):
        for c, new in zip(self.rest.cpus, piece.cpus):
            if new.records:
                records_add(c, new.first, new.records, "a piece")
        self.rest.names = piece.names
        self.go_on()

    def go_on(self):
        records = [c.records for c in self.rest.cpus]
        if not all(records):
            return
        begin = max(r[0][0] for r in records)
        end = min(r[-1][0] for r in records)
        ready = self.rest.before(end)
        if self.model:
            self.model.trace.names = ready.names
            self.model.feed(ready)
        else:
            self.model = Model(ready, begin)
        self.model.end = max(self.model.begin, end)
