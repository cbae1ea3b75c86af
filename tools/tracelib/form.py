"""The format of traces: what kernel/trace.h says, read from there.

    trace = read(path)
    for time, event, cpu, vcpu, a, b in trace.merged(): ...

Times are ticks; trace.ns(ticks) are nanoseconds. Events are numbers; EVENTS
maps them to Event(name, cls, a, b, text), NUMBER maps names to numbers.
"""

import bisect
import heapq
import re
import struct
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
HEADER = TOP / "kernel" / "trace.h"

NOBODY = 0xffffffff
NEVER = 0xffffffffffffffff
FLIGHT, STOPPED = 1, 2
VTIME_PER_TICK = int(re.search(
    r"#define VTIME_PER_TICK (\d+)",
    (TOP / "kernel" / "sched" / "policy.h").read_text()).group(1))

MAGIC = b"ROUSETRC"
FILE = struct.Struct("<8sIIQIIIIIIQQ")
NAME = struct.Struct("<IIIIQQ32s")
CPU = struct.Struct("<IIQQQ")
RECORD = struct.Struct("<QHHIQQ")
assert (FILE.size, NAME.size, CPU.size, RECORD.size) == (64, 64, 32, 32)
CPUS_MAX = 4096  # the simulator has no more, the hypervisor fewer

# What a guest's name has none of, but a damaged file may: it would change the
# terminal, or end a string in what is written.
ODD = re.compile(r'[^!-~]|["\\]')

Event = namedtuple("Event", "number name cls a b text")
Name = namedtuple("Name", "vcpu guest_id index guest born gone")


class Error(Exception):
    """Something is wrong with a trace; the text is one line for a person."""


def events(path=HEADER):
    """The table TRACE_EVENTS: {number: Event}."""
    text = path.read_text().replace("\\\n", " ")
    table = re.search(r"#define TRACE_EVENTS\(X\)(.*)", text).group(1)
    # Strings that stand side by side are one, as in C.
    table = re.sub(r'([^,\s])"\s+"', r"\1", table)
    row = re.compile(r'X\((0x[0-9a-f]+), (\w+), (\w+), "(\w*)", "(\w*)",'
                     r'\s*"([^"]*)"\)')
    out = {}
    for m in row.finditer(table):
        number = int(m[1], 16)
        if number in out:
            raise Error(f"{path}: two events have the number {m[1]}")
        out[number] = Event(number, *m.groups()[1:])
    if len(out) != table.count("X("):
        raise Error(f"{path}: a row of TRACE_EVENTS is written in another way")
    return out


def classes(path=HEADER):
    """The table TRACE_CLASSES: [(bit, NAME, word, text)]."""
    text = path.read_text().replace("\\\n", " ")
    table = re.search(r"#define TRACE_CLASSES\(X\)(.*)", text).group(1)
    return [(int(m[1]), m[2], m[3], m[4]) for m in re.finditer(
        r'X\((\d+), (\w+), "(\w+)", "([^"]*)"\)', table)]


EVENTS = events()
NUMBER = {e.name: n for n, e in EVENTS.items()}
# Events whose first word is how far the vCPU is behind.
LAGS = {n for n, e in EVENTS.items() if e.a == "owed_vtime"}
WAKE, DISPATCH = NUMBER["WAKE"], NUMBER["DISPATCH"]
HANDOVER, MIGRATE = NUMBER["HANDOVER"], NUMBER["MIGRATE"]
WRITE, MASK = NUMBER["DEVICE_WRITE"], NUMBER["MASK"]
# All classes, as MASK has them.
ALL = sum(1 << bit for bit, *_ in classes())


def name_of(number):
    """An event's name, or the number of one that this tool doesn't know."""
    return EVENTS[number].name if number in EVENTS else f"{number:#x}"


def chars(word):
    """A word that holds characters."""
    return word.to_bytes(8, "little").split(b"\0")[0].decode("latin-1")


def signed(word):
    return word - (word >> 63 << 64)


def word(value, name, trace):
    """A record's word as text, by how it is called."""
    if name.endswith("_hex"):
        return f"{value:#x}"
    if name.endswith("_vcpu"):
        return trace.who(value)
    if name.endswith("_chars"):
        return chars(value)
    if value == NEVER and name.endswith("_ticks"):
        return "never"
    if name.endswith("_vtime"):
        return str(signed(value))
    return str(value)


def words(record, trace):
    """Both of a record's words, as ["virq=0x2", "by=linux0:1"]; "" where the
    event has none."""
    event = EVENTS.get(record[1])
    if not event:
        return [f"{value:#x}" for value in record[4:6]]
    return [f"{name.rsplit('_', 1)[0]}={word(value, name, trace)}" if name
            else "" for name, value in zip((event.a, event.b), record[4:6])]


class Cpu:
    """One CPU's records, oldest first, as tuples."""

    def __init__(self, cpu):
        self.cpu = cpu
        self.flags = 0
        self.first = 0      # number of the first record
        self.lost = 0
        self.gaps = 0       # records missing in between
        self.records = []


class Trace:
    def __init__(self, hz, cpus, names=(), mask=0, taken=0, wall_ns=0):
        self.hz = hz
        self.cpus = [Cpu(i) for i in range(cpus)]
        self.names = {n.vcpu: n for n in names}
        self.mask, self.taken, self.wall_ns = mask, taken, wall_ns

    def ns(self, ticks):
        return ticks * 1000000000 // self.hz

    def lag_us(self, vtime):
        """Virtual time as running of one vCPU in a guest of weight 256."""
        return signed(vtime) * 1e6 / (VTIME_PER_TICK * self.hz)

    def who(self, vcpu):
        """A vCPU's name, "linux0:1"."""
        if vcpu == NOBODY:
            return "-"
        name = self.names.get(vcpu)
        return f"{name.guest}:{name.index}" if name else f"vcpu{vcpu}"

    def count(self):
        return sum(len(c.records) for c in self.cpus)

    def before(self, tick):
        """Takes out what was recorded before that: a trace of its own."""
        out = Trace(self.hz, len(self.cpus), self.names.values(), self.mask,
                    self.taken, self.wall_ns)
        for c, old in zip(out.cpus, self.cpus):
            count = bisect.bisect_left(old.records, tick, key=lambda r: r[0])
            c.first, c.records = old.first, old.records[:count]
            old.first, old.records = old.first + count, old.records[count:]
        return out

    def span(self):
        """First and last tick for which every CPU's records are there."""
        some = [c.records for c in self.cpus if c.records]
        if not some:
            return 0, 0
        return max(r[0][0] for r in some), max(r[-1][0] for r in some)

    def merged(self):
        """All records in an order in which they can have happened: by time,
        a CPU's own as they came, and among equals causes first."""
        rows = heapq.merge(*(c.records for c in self.cpus),
                           key=lambda r: r[0])
        tie, at = [], None
        for r in rows:
            if r[0] != at:
                yield from settle(tie)
                tie, at = [], r[0]
            tie.append(r)
        yield from settle(tie)


def settle(tie):
    """Records of one tick: wakes before the dispatches that they lead to,
    hand-overs before arrivals, and each CPU's in their order."""
    if len(tie) < 2 or len({r[2] for r in tie}) < 2:
        return tie
    queues = {}
    for r in tie:
        queues.setdefault(r[2], []).append(r)
    due = {(r[3], r[4]) for r in tie if r[1] == WAKE}
    moves = [r[3] for r in tie if r[1] == HANDOVER]
    out = []

    def blocked(r):
        return ((r[1] == DISPATCH and (r[3], r[5]) in due)
                or (r[1] == MIGRATE and r[3] in moves))

    while queues:
        cpu = next((c for c, q in queues.items() if not blocked(q[0])),
                   next(iter(queues)))
        r = queues[cpu].pop(0)
        if not queues[cpu]:
            del queues[cpu]
        due.discard((r[3], r[4]) if r[1] == WAKE else None)
        if r[1] == HANDOVER and r[3] in moves:
            moves.remove(r[3])
        out.append(r)
    return out


def parse_names(data, count):
    for i in range(count):
        vcpu, guest_id, index, flags, born, gone, guest = NAME.unpack_from(
            data, i * NAME.size)
        if flags & 1:
            name = ODD.sub("?", guest.split(b"\0")[0].decode("latin-1"))
            yield Name(vcpu, guest_id, index, name, born, gone)


def records_add(c, first, rows, where):
    """Appends rows, the first of which has that number, to a CPU's."""
    if c.records:
        missing = first - (c.first + len(c.records) + c.gaps)
        if missing < 0:
            raise Error(f"{where}: damaged: records of CPU {c.cpu} are there "
                        "twice")
        c.gaps += missing
    else:
        c.first = first
    now = c.records[-1][0] if c.records else 0
    for r in rows:
        if r[0] < now or r[2] != c.cpu:
            raise Error(f"{where}: damaged: a record of CPU {r[2]} at tick "
                        f"{r[0]} follows one of CPU {c.cpu} at tick {now}")
        now = r[0]
    c.records.extend(rows)


def rows(data):
    """Records as they were written, but for a write to a device: what is in
    the register above the access's width is no part of it."""
    for r in RECORD.iter_unpack(data):
        if r[1] == WRITE:
            r = (*r[:5], r[5] & ((1 << 8 * (r[4] >> 56)) - 1))
        yield r


def parse(data, where="trace"):
    """A trace from the bytes of a file."""
    if len(data) < FILE.size or data[:8] != MAGIC:
        raise Error(f"{where}: no trace of Rouse (it begins with "
                    f"{data[:8]!r}, expected {MAGIC!r})")
    (_, version, head, hz, cpus, names, record_bytes, name_bytes, cpu_bytes,
     mask, taken, wall) = FILE.unpack_from(data)
    if version != 1:
        raise Error(f"{where}: version {version}; this tool reads version 1")
    if (record_bytes, name_bytes, cpu_bytes) != (32, 64, 32) or head < 64:
        raise Error(f"{where}: damaged: sizes {record_bytes}, {name_bytes}, "
                    f"{cpu_bytes} in its head; expected 32, 64, 32")
    if not hz or cpus > CPUS_MAX:
        raise Error(f"{where}: damaged: {hz} ticks a second, {cpus} CPUs")
    at = head + names * NAME.size
    if len(data) < at:
        raise Error(f"{where}: ends within its names, at {len(data)} bytes")
    trace = Trace(hz, cpus, parse_names(data[head:], names), mask, taken, wall)
    while at < len(data):
        if len(data) - at < CPU.size:
            raise Error(f"{where}: ends within a CPU's head, at {at}")
        cpu, flags, first, records, lost = CPU.unpack_from(data, at)
        at += CPU.size
        end = at + records * RECORD.size
        if cpu >= cpus or end > len(data):
            raise Error(f"{where}: damaged at {at}: {records} records of CPU "
                        f"{cpu}, but {len(data) - at} bytes are left")
        c = trace.cpus[cpu]
        c.flags, c.lost = flags, lost
        records_add(c, first, list(rows(data[at:end])), where)
        at = end
    return trace


def read(path):
    return parse(Path(path).read_bytes(), str(path))


def write(trace, path):
    names = sorted(trace.names.values())
    with open(path, "wb") as out:
        out.write(FILE.pack(MAGIC, 1, FILE.size, trace.hz, len(trace.cpus),
                            len(names), RECORD.size, NAME.size, CPU.size,
                            trace.mask, trace.taken, trace.wall_ns))
        for n in names:
            out.write(NAME.pack(n.vcpu, n.guest_id, n.index, 1, n.born, n.gone,
                                n.guest.encode("latin-1")))
        for c in trace.cpus:
            out.write(CPU.pack(c.cpu, c.flags, c.first, len(c.records), c.lost))
            out.write(b"".join(RECORD.pack(*r) for r in c.records))
