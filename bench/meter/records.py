"""From the plugin's records to rounds: what each operation took, by bucket.

A *round* is one operation. How its instructions are found depends on the row
(`how` in rows.tsv):

    local   from MARK_BEGIN to MARK_END on one hart
    cross   the sender's from MARK_BEGIN to its first doorbell (or to MARK_SENT
            if it rings none), and the receiver's from the moment of MARK_BEGIN
            to the first instructions of its handler; or, if it left a loop
            after that (rows "running" and "queued"), from when it left one for
            the last time: what came and went before wasn't on the way. One
            that polls (waiting.py) counts from when the sender has done its
            part. On one hart: from MARK_BEGIN to the handler
    expiry  from the hart's last wake-up to the handler; or, if it is not to
            sleep, from when it last left its loop. Where QEMU doesn't tell who waits (-icount) the
            hart's last WFI stands for the wake-up
    fence   the caller's from MARK_BEGIN to MARK_END, and what all other harts
            do until the next MARK_BEGIN
    wake    from MARK_BEGIN to whatever comes first on that hart, MARK_SENT or
            the handler
    switch  from MARK_OUT of one vCPU to MARK_IN of the other

Buckets that are not counted (loops that wait) are left out. A round whose
receiver isn't in the state that the row is about is dropped, and the reason
kept; markers in an order that can't be are an error.
"""

import re
import struct
from array import array
from pathlib import Path

from .images import MeterError

TOP = Path(__file__).resolve().parent.parent.parent
MARKS_H = TOP / "guests" / "baremetal" / "meter" / "marks.h"
MAGIC = b"rousemt3"
HEAD = struct.Struct("<8sII")
RECORD = struct.Struct("<HHIQQ")
MARK, IDLE, RESUME, BELL, WFI, LOOP, STAMP = 1, 2, 3, 4, 5, 6, 7
# Who is to be asleep sleeps for 5 ms. A host that is busy runs its hart later; one
# that slept for so long is in another state.
SLEPT_NS = 30000000
SLEPT = "the host let its hart sleep for more than 30 ms"


def marks():
    """The numbers in marks.h, by name."""
    found = re.findall(r"^#define\s+(\w+)\s+(\d+)", MARKS_H.read_text(), re.M)
    return {name: int(value) for name, value in found}


class Record:
    __slots__ = ("kind", "n", "hart", "at", "ns", "counts", "index", "idle")

    def __init__(self, kind, n, hart, at, ns, counts, index, idle):
        self.kind, self.n, self.hart, self.at = kind, n, hart, at
        self.ns, self.counts, self.index, self.idle = ns, counts, index, idle


def read(path):
    """Yields the records of a file. idle: the harts that wait, as a set. A stamp
    has no counts."""
    data = Path(path).read_bytes()
    if len(data) < HEAD.size or data[:8] != MAGIC:
        raise MeterError(f"{path}: not a file of the meter's plugin")
    _, harts, buckets = HEAD.unpack_from(data)
    whole, at, index, idle = harts * buckets * 8, HEAD.size, 0, frozenset()
    while at + RECORD.size <= len(data):
        kind, n, hart, where, ns = RECORD.unpack_from(data, at)
        size = 0 if kind == STAMP else whole
        if at + RECORD.size + size > len(data):
            break
        at += RECORD.size
        counts = array("Q", data[at:at + size])
        at += size
        if kind == IDLE:
            idle = idle | {hart}
        elif kind == RESUME:
            idle = idle - {hart}
        yield Record(kind, n, hart, where, ns,
                     [counts[h * buckets:(h + 1) * buckets]
                      for h in range(harts if size else 0)], index, idle)
        index += 1
    if at != len(data):
        raise MeterError(f"{path}: ends in the middle of record {index}")


class Round:
    """An operation that is going on."""

    def __init__(self, row, begin):
        self.row, self.begin = row, begin
        self.bell = self.sent = self.handler = self.wake = None
        self.slept_ns = 0       # before that wake-up
        self.loops = []         # records: a hart came back to a loop

    def __str__(self):
        return (f"{self.row.name}: the round that began at record "
                f"{self.begin.index} (hart {self.begin.hart}, "
                f"0x{self.begin.at:x})")


class Rounds:
    """Takes records; gathers {row name: [counts by bucket]} in `done`."""

    def __init__(self, rows, buckets):
        """rows: {number: row}, a row having name, how, state, handler."""
        self.rows, self.buckets = rows, buckets
        self.mark = marks()
        self.shift = self.mark["MARK_ROW_SHIFT"]
        self.done, self.dropped = {}, {}
        self.halves = {}        # {row: [(the sender's, the receiver's)]}
        # {row: [[(hart, from when, until when)]]}: where and when its rounds
        # were counted, in ns of the host.
        self.spans = {}
        # {hart: [(ns of the host, the time in a trace's record)]}: it was
        # written then.
        self.stamps = {}
        self.open = None        # the round that goes on
        self.fence = None       # a fence whose other harts aren't done
        self.out = {}           # hart: MARK_OUT
        self.last_idle = {}     # hart: record
        self.last_wake = {}
        self.slept_ns = {}      # hart: before that
        self.told = False       # QEMU says who waits

    def take_all(self, records):
        for r in records:
            self.take(r)
        if self.open:
            raise MeterError(f"{self.open} never ended")
        return self

    def take(self, r):
        if r.kind in (IDLE, RESUME):
            self.told = True
        if r.kind == STAMP:
            self.stamps.setdefault(r.hart, []).append((r.ns, r.at))
        elif r.kind == IDLE:
            self.last_idle[r.hart] = r
        elif r.kind == RESUME or (r.kind == WFI and not self.told):
            self.last_wake[r.hart] = r
            idle = self.last_idle.get(r.hart, r)
            self.slept_ns[r.hart] = r.ns - idle.ns
        elif r.kind == LOOP:
            if self.open and not self.open.handler:
                self.open.loops.append(r)
        elif r.kind == BELL:
            if self.open and r.hart == self.open.begin.hart and \
                    not self.open.bell and not self.open.sent:
                self.open.bell = r
        elif r.kind == MARK:
            self._mark(r)

    def _mark(self, r):
        number, kind = r.n >> self.shift, r.n & ((1 << self.shift) - 1)
        if number == 0:
            return self._handler(r)
        row = self.rows.get(number)
        if not row:
            raise MeterError(f"record {r.index}: marker {r.n} on hart "
                             f"{r.hart} at 0x{r.at:x} is of row {number}, "
                             f"which marks.h doesn't have")
        if kind == self.mark["MARK_BEGIN"]:
            return self._begin(row, r)
        if kind == self.mark["MARK_SENT"]:
            return self._sent(row, r)
        if kind == self.mark["MARK_END"]:
            return self._end(row, r)
        return self._turn(row, r, kind)

    def _begin(self, row, r):
        self._fence_over(r)
        if self.open:
            raise MeterError(f"{self.open} had not ended when {row.name} "
                             f"began at record {r.index} (hart {r.hart}, "
                             f"0x{r.at:x})")
        self.open = Round(row, r)

    def _sent(self, row, r):
        if row.how == "fence":
            return self._fence_over(r)
        if row.how == "wake":
            return self._woken(row, r)
        self._mine(row, r, "sent").sent = r
        return self._cross()

    def _mine(self, row, r, what):
        """The open round, which must be this row's, on this hart."""
        if not self.open or self.open.row is not row or \
                self.open.begin.hart != r.hart:
            raise MeterError(
                f"record {r.index}: the marker \"{what}\" of {row.name} on "
                f"hart {r.hart} at 0x{r.at:x} has no marker \"begin\" before "
                f"it" + (f"; {self.open} goes on" if self.open else ""))
        return self.open

    def _woken(self, row, r):
        o, self.open = self.open, None
        # The handler may have come first, and was the end.
        if o:
            self._span(row, o.begin, r)

    def _handler(self, r):
        if not self.open or self.open.handler or \
                r.n != self.mark.get(self.open.row.handler):
            return
        self.open.handler = r
        # A later wake-up of that hart is none of this round's.
        self.open.wake = self.last_wake.get(r.hart)
        self.open.slept_ns = self.slept_ns.get(r.hart, 0)
        if self.open.row.how == "cross":
            self._cross()
        elif self.open.row.how == "wake":
            self._woken(self.open.row, r)

    def _end(self, row, r):
        o = self._mine(row, r, "end")
        self.open = None
        if row.how == "fence":
            self.fence = (o, r)
        elif row.how == "expiry":
            self._expiry(o)
        else:
            self._span(row, o.begin, r)

    def _expiry(self, o):
        if not o.handler:
            return self._drop(o.row, "its timer had fired before it began")
        hart = o.handler.hart
        if o.row.state == "asleep":
            if not o.wake or o.wake.index < o.begin.index:
                return self._drop(o.row, "its hart did not sleep")
            if o.slept_ns > SLEPT_NS:
                return self._drop(o.row, SLEPT)
            return self._span(o.row, o.wake, o.handler)
        return self._span(o.row, self._left(o, hart, o.handler), o.handler)

    @staticmethod
    def _left(o, hart, until):
        """The hart's last return to a loop, before the record `until`: from
        then on it was in the loop, until it left it for what counts."""
        return next((r for r in reversed(o.loops)
                     if r.hart == hart and r.index < until.index), o.begin)

    def _ran(self, begin, end, stage, hart):
        """Instructions of that stage."""
        return sum(y - x for x, y, bucket in
                   zip(begin.counts[hart], end.counts[hart], self.buckets)
                   if bucket[1] == stage)

    def _cross(self):
        o = self.open
        if not o.sent or not o.handler:
            return
        self.open = None
        here, there = o.begin.hart, o.handler.hart
        if here == there:
            if o.row.state != "near":
                return self._drop(o.row, "its handler ran on the same hart")
            return self._span(o.row, o.begin, o.handler)
        if o.row.state == "asleep" and there not in o.begin.idle:
            return self._drop(o.row, "the receiver's hart was awake")
        if o.row.state == "asleep" and o.slept_ns > SLEPT_NS and \
                o.row.handler != "MARK_STARTED":
            return self._drop(o.row, SLEPT)
        if o.row.state in ("running", "queued", "polling") and \
                there in o.begin.idle:
            return self._drop(o.row, "the receiver's hart was asleep")
        gone, begin = o.bell or o.sent, o.begin
        if o.row.state == "queued":
            # It waits for its turn, and others have theirs.
            if self._ran(o.begin, o.handler, "queued", there):
                return self._drop(o.row, "the receiver had a turn before")
            begin = self._left(o, there, o.handler)
        elif o.row.state == "running":
            # What came when it had been rung is of the ring.
            begin = self._left(o, there, gone)
        elif o.row.state == "polling":
            # It finds what there is on its own, perhaps before the sender's
            # call is over.
            begin = min(gone, o.handler, key=lambda r: r.index)
        mine = self._delta(o.begin, gone, here)
        theirs = self._delta(begin, o.handler, there)
        self.halves.setdefault(o.row.name, []).append((sum(mine), sum(theirs)))
        return self._add(o.row, [a + b for a, b in zip(mine, theirs)],
                         (o.begin, gone, here), (begin, o.handler, there))

    def _fence_over(self, r):
        if not self.fence:
            return
        o, end = self.fence
        self.fence = None
        total = self._delta(o.begin, end, o.begin.hart)
        spans = [(o.begin, end, o.begin.hart)]
        for hart in range(len(r.counts)):
            if hart != o.begin.hart:
                spans.append((o.begin, r, hart))
                total = [a + b for a, b in
                         zip(total, self._delta(o.begin, r, hart))]
        self._add(o.row, total, *spans)

    def _turn(self, row, r, kind):
        if row.how != "switch":
            raise MeterError(f"record {r.index}: marker kind {kind} on hart "
                             f"{r.hart} at 0x{r.at:x} is for switches, and "
                             f"{row.name} is none")
        if kind < self.mark["MARK_IN"]:
            self.out[r.hart] = (row, r, kind - self.mark["MARK_OUT"])
            return
        before = self.out.pop(r.hart, None)
        if not before or before[0] is not row:
            return
        if before[2] == kind - self.mark["MARK_IN"]:
            return self._drop(row, "the same vCPU came back")
        self._span(row, before[1], r)

    def _delta(self, a, b, hart):
        return [(y - x) if bucket[2] else 0 for x, y, bucket in
                zip(a.counts[hart], b.counts[hart], self.buckets)]

    def _span(self, row, begin, end):
        """A round on one hart."""
        self._add(row, self._delta(begin, end, end.hart),
                  (begin, end, end.hart))

    def _add(self, row, counts, *spans):
        self.done.setdefault(row.name, []).append(counts)
        self.spans.setdefault(row.name, []).append(
            [(hart, begin.ns, end.ns) for begin, end, hart in spans])

    def _drop(self, row, why):
        reasons = self.dropped.setdefault(row.name, {})
        reasons[why] = reasons.get(why, 0) + 1
