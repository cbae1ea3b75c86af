"""Perfetto: tracks, slices, arrows and counters, for https://ui.perfetto.dev.

A process "CPUs" with a track for each, which says who has it; a process for
each guest with a track for each vCPU: running, runnable or blocked, the exits
inside its turns, its interrupts; an arrow from whoever woke it; counters of
the vCPUs that wait on each CPU, without the one that runs, and, under a policy
that records it, of how far each vCPU is behind.

The encoder below is all that is needed of Protocol Buffers; the messages and
their numbers are in perfetto.proto, the part of Perfetto's that is used.
"""

import struct
from collections import namedtuple

from .form import LAGS, NOBODY, NUMBER
from .model import Model, RUNNING, VIRQS, cause_name

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
CPUS_TRACK = 1
SEQUENCE = 1
POLICY_SAYS = {NUMBER["BOOST"]: "boosted", NUMBER["PARK"]: "parked: over its "
               "guest's cap"}

Note = namedtuple("Note", "time order body")


# --- Protocol Buffers, the wire format -------------------------------------

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value & (1 << 64) - 1)


def message(field, body):
    if isinstance(body, str):
        body = body.encode()
    return varint(field << 3 | 2) + varint(len(body)) + body


# --- the messages -----------------------------------------------------------

def descriptor(uuid, name, parent=None, pid=None, counter=None):
    body = number(1, uuid) + message(2, name)
    if pid is not None:
        body += message(3, number(1, pid) + message(6, name))
    if parent is not None:
        body += number(5, parent)
    if counter is not None:
        body += message(8, message(6, counter))
    return message(60, body)


def annotation(name, value):
    body = message(10, name)
    if isinstance(value, str):
        body += message(6, value)
    else:
        body += number(3, value)
    return message(4, body)


def event(kind, track, name=None, category=None, notes=(), flow=None,
          flow_ends=None, value=None):
    body = number(9, kind) + number(11, track)
    if name:
        body += message(23, name)
    if category:
        body += message(22, category)
    if isinstance(value, float):
        body += varint(44 << 3 | 1) + struct.pack("<d", value)
    elif value is not None:
        body += number(30, value)
    for key, what in notes:
        body += annotation(key, what)
    if flow is not None:
        body += fixed(47, flow)
    if flow_ends is not None:
        body += fixed(48, flow_ends)
    return message(11, body)


def packet(time_ns, body, first=False):
    head = number(8, time_ns) if time_ns is not None else b""
    head += number(10, SEQUENCE)
    if first:
        head += number(13, 1)
    return message(1, head + body)


# --- ours -------------------------------------------------------------------

def cpu_track(cpu):
    return 1000 + cpu


def waiting_track(cpu):
    return 1000000 + cpu


def guest_track(guest_id):
    return 1 << 32 | guest_id


def vcpu_track(vcpu):
    return 2 << 32 | vcpu


def lag_track(vcpu):
    return 3 << 32 | vcpu


def flow_id(vcpu, wake):
    return vcpu << 40 ^ wake


class Writer:
    """Collects events; equal times keep ends before begins, outer slices
    outside."""

    def __init__(self, trace):
        self.trace = trace
        self.model = Model(trace)
        self.notes = []

    def add(self, tick, order, body):
        self.notes.append(Note(tick, order, body))

    def span(self, begin, end, depth, track, name, category, notes=(),
             flow_ends=None):
        # Of what ends and begins at one moment: inner ends, outer ends, outer
        # begins, inner begins.
        self.add(begin, 10 + depth, event(BEGIN, track, name, category, notes,
                                          flow_ends=flow_ends))
        self.add(end, 5 - depth, event(END, track))

    def tracks(self):
        t = self.trace
        yield descriptor(CPUS_TRACK, "CPUs", pid=1)
        for c in t.cpus:
            yield descriptor(cpu_track(c.cpu), f"CPU {c.cpu}", CPUS_TRACK)
            yield descriptor(waiting_track(c.cpu), f"waiting on CPU {c.cpu}",
                             CPUS_TRACK, counter="vCPUs")
        lags = {r[3] for c in t.cpus for r in c.records
                if r[1] in LAGS}
        guests = {n.guest_id: n.guest for n in t.names.values()}
        for guest_id, guest in sorted(guests.items()):
            yield descriptor(guest_track(guest_id), guest, pid=1000 + guest_id)
        for vcpu, n in sorted(t.names.items()):
            yield descriptor(vcpu_track(vcpu), f"vCPU {n.index}",
                             guest_track(n.guest_id))
            if vcpu in lags:
                yield descriptor(lag_track(vcpu), f"lag of vCPU {n.index}",
                                 guest_track(n.guest_id), counter="us")

    def turns(self):
        for cpu, spans in self.model.turns.items():
            for s in spans:
                name = {"run": lambda: self.trace.who(s.at),
                        "task": lambda: f"task {s.at}",
                        "idle": lambda: "idle"}[s.what]()
                self.span(s.begin, s.end, 0, cpu_track(cpu), name, s.what)

    def states(self):
        ends = {(w.vcpu, w.ran): w for w in self.model.waits}
        for vcpu, spans in self.model.states.items():
            for s in spans:
                w = ends.get((vcpu, s.begin)) if s.what == RUNNING else None
                notes = [("cpu", s.at)]
                if w:
                    notes += [("waited_ns", self.trace.ns(w.ran - w.woken)),
                              ("wake_id", w.wake_id), *self.waker(w)]
                self.span(s.begin, s.end, 0, vcpu_track(vcpu), s.what, "state",
                          notes, flow_id(vcpu, w.wake_id) if w else None)

    def exits(self):
        for e in self.model.exits:
            # An exit that ends a turn may reach over it by a few ticks.
            self.span(e.begin, e.end, 1, vcpu_track(e.vcpu),
                      e.detail or cause_name(e.cause), "exit",
                      [("cause", f"{e.cause:#x}")])

    def waker(self, w):
        """Notes that say who woke it, and what did."""
        return [(key, what) for key, what in (
            ("woken_by", self.trace.who(w.by) if w.by != NOBODY else None),
            ("by_what", w.by_what)) if what]

    def wakes(self):
        for w in self.model.waits:
            track = (vcpu_track(w.by) if w.by in self.trace.names
                     else cpu_track(w.from_cpu))
            self.add(w.woken, 20, event(
                INSTANT, track, f"wakes {self.trace.who(w.vcpu)}", "wake",
                self.waker(w), flow=flow_id(w.vcpu, w.wake_id)))

    def instants(self):
        for time, number_, cpu, vcpu, a, b in self.trace.merged():
            if time < self.model.begin:
                continue
            if number_ == NUMBER["VIRQ_ASSERT"] and vcpu != NOBODY:
                names = [n for bit, (n, _) in VIRQS.items() if a & bit]
                if names:
                    self.add(time, 20, event(
                        INSTANT, vcpu_track(vcpu),
                        "raised: " + ", ".join(names), "virq",
                        [("by", self.trace.who(b))]))
            elif number_ == NUMBER["LATE"]:
                self.add(time, 20, event(
                    INSTANT, vcpu_track(vcpu), "LATE", "wake",
                    [("waited_ns", self.trace.ns(a))]))
            elif number_ == NUMBER["CPU_TIMER"]:
                self.add(time, 20, event(
                    INSTANT, cpu_track(cpu), "timer", "timer",
                    [("late_ns", self.trace.ns(max(time - a, 0)))]))
            elif number_ in POLICY_SAYS:
                self.add(time, 20, event(
                    INSTANT, vcpu_track(vcpu), POLICY_SAYS[number_], "policy"))
            if number_ in LAGS:
                self.add(time, 20, event(COUNTER, lag_track(vcpu),
                                         value=self.trace.lag_us(a)))

    def queues(self):
        for cpu, changes in self.model.waiting().items():
            for time, vcpus in changes:
                self.add(time, 20, event(COUNTER, waiting_track(cpu),
                                         value=vcpus))

    def packets(self):
        for part in (self.turns, self.states, self.exits, self.wakes,
                     self.instants, self.queues):
            part()
        # Stable: what was added first comes first among equals.
        self.notes.sort(key=lambda n: (n.time, n.order))
        first = True
        for body in self.tracks():
            yield packet(None, body, first)
            first = False
        for n in self.notes:
            yield packet(self.trace.ns(n.time), n.body)


def write(trace, path):
    with open(path, "wb") as out:
        for p in Writer(trace).packets():
            out.write(p)
