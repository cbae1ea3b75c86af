"""Taking a trace out of a machine: from its memory, or from its console.

From memory: QEMU is stopped (by QMP), its memory is read, and it goes on. The
machine does not notice: its clock stands still meanwhile, and not an
instruction is executed for it. What to read hangs on one structure
(kernel/tracer_private.h), found by its symbol in rouse.elf.

From the console: `trace dump` prints a file as lines of base64.
"""

import base64
import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import time
from collections import namedtuple

from . import form
from .form import Error

# Where the image is linked, and where QEMU's `virt` loads it.
IMAGE_VA = 0xffffffff80000000
IMAGE_PA = 0x80200000

MEMORY = struct.Struct("<8sIIQIIIIIIQQQ")
MEMORY_MAGIC = b"ROUSERAM"
RING = struct.Struct("<QQIIIIQQ16xQQQI")  # kernel/percpu/trace.h
Head = namedtuple("Head", "magic version bytes hz cpus names record_bytes "
                  "name_bytes cpu_bytes mask cpus_hpa names_hpa wall")
Ring = namedtuple("Ring", "records mask cpu recording stop_event flight "
                  "stop_after records_hpa head limit lost flags")
# Of a CPU's ring: how many of its records, and whether the last one says that
# nothing is recorded any more.
Seen = namedtuple("Seen", "recording count ended")
PAGE = 4096
NAMES_PER_PAGE = 63
assert MEMORY.size == 72


class Qmp:
    """The monitor of a QEMU that was started with -qmp unix:PATH,server."""

    def __init__(self, path, seconds=10):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(seconds)
        try:
            self.link.connect(str(path))
        except OSError:
            self.link.close()
            raise
        self.lines = self.link.makefile("r")
        self.lines.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments})
        self.link.sendall(text.encode() + b"\n")
        while True:
            line = self.lines.readline()
            if not line:
                raise Error(f"QEMU ended at {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise Error(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def memory(self, at, size):
        """Physical memory; the machine is stopped."""
        handle, path = tempfile.mkstemp(prefix="rouse-memory-")
        os.close(handle)
        try:
            self.run("pmemsave", val=at, size=size, filename=path)
            with open(path, "rb") as data:
                got = data.read()
        finally:
            os.unlink(path)
        if len(got) != size:
            raise Error(f"QEMU gave {len(got)} of {size} bytes at {at:#x}")
        return got

    def close(self):
        self.link.close()


def wait_for(condition, seconds, qemu, what):
    """Whether it comes true in time. That QEMU (its Popen) ends first, before
    `what`, is an error."""
    end = time.monotonic() + seconds
    while not condition():
        if qemu.poll() is not None:
            raise Error(f"QEMU ended ({qemu.returncode}) before {what}")
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def connected(path, qemu):
    """The monitor of a QEMU that has just been started, as soon as it answers:
    QEMU makes the socket's file before it listens there."""
    found = []

    def answers():
        try:
            found.append(Qmp(path, 60))
        except (FileNotFoundError, ConnectionError):
            return False
        return True

    if not wait_for(answers, 60, qemu, "its monitor was there"):
        raise Error("QEMU's monitor did not come")
    return found[0]


def symbol(elf, name):
    out = subprocess.run(["riscv64-unknown-elf-nm", str(elf)], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in out.stdout.splitlines():
        if line.split()[2:] == [name]:
            return int(line.split()[0], 16)
    raise Error(f"{elf}: no symbol {name}{': ' if out.stderr else ''}"
                f"{out.stderr.strip()}")


def oldest(ring):
    """Number of the oldest record that is there. Two may be on their way, with
    the count of neither: what they overwrite is left out
    (kernel/percpu/trace.c)."""
    size = ring.mask + 1
    return max(0, ring.head + (2 if ring.flight else 0) - size)


def records_read(memory, ring, cpu, first):
    """A ring's records from that number on."""
    at, left = first & ring.mask, max(0, ring.head - first)
    data = b""
    for start, count in ((at, min(left, ring.mask + 1 - at)),
                         (0, max(0, at + left - ring.mask - 1))):
        if count:
            data += memory(ring.records_hpa + start * form.RECORD.size,
                           count * form.RECORD.size)
    # In the ring, whose it is goes without saying.
    return [(time, event, cpu, *rest)
            for time, event, _, *rest in form.rows(data)]


def head_read(memory, at):
    head = Head(*MEMORY.unpack(memory(at, MEMORY.size)))
    if head.magic != MEMORY_MAGIC:
        raise Error(f"no trace at {at:#x}: is the rouse.elf that was given the "
                    "one that runs, and has it come past its first lines?")
    if head.version != 1 or (head.record_bytes, head.name_bytes) != (32, 64):
        raise Error(f"trace of version {head.version} in memory; "
                    "this tool reads version 1")
    return head


def names_read(memory, head):
    found, left, at = [], head.names, head.names_hpa
    while at and left:
        page = memory(at, PAGE)
        at, = struct.unpack_from("<Q", page)
        found += form.parse_names(page[64:], min(left, NAMES_PER_PAGE))
        left -= min(left, NAMES_PER_PAGE)
    return found


def rings_read(memory, head):
    data = memory(head.cpus_hpa, head.cpus * head.cpu_bytes)
    return [Ring(*RING.unpack_from(data, cpu * head.cpu_bytes))
            for cpu in range(head.cpus)]


def empty(head, names):
    return form.Trace(head.hz, head.cpus, names, head.mask, 0, head.wall)


def memory_read(memory, at):
    """A trace; memory(address, size) gives bytes of a machine that stands."""
    head = head_read(memory, at)
    trace = empty(head, names_read(memory, head))
    for c, ring in zip(trace.cpus, rings_read(memory, head)):
        if ring.records_hpa and ring.head:
            c.flags, c.lost, c.first = ring.flags, ring.lost, oldest(ring)
            c.records = records_read(memory, ring, c.cpu, c.first)
    trace.taken = max((c.records[-1][0] for c in trace.cpus if c.records),
                      default=0)
    return trace


class Collector:
    """All that is recorded from its first look on: each look at a machine that
    stands takes what has come since the one before, if that was not too long
    ago. What was overwritten meanwhile is counted.

    Another `trace on` makes the rings anew, and what they had got since the
    last look is gone: so look between `trace off` and that."""

    def __init__(self):
        self.seen = {}      # CPU: Seen
        self.lost = 0       # records that were overwritten unseen
        self.cut = 0        # recordings whose end was, on each CPU
        self.fullest = 0    # the largest part of a ring that was new

    def look(self, memory, at):
        """{number of a recording: a trace of what is new of it}"""
        head = head_read(memory, at)
        names = names_read(memory, head)
        self.fullest = 0
        out = {}
        for cpu, ring in enumerate(rings_read(memory, head)):
            # 0: there is none, or it is being made.
            if ring.recording and ring.records_hpa:
                trace = out.setdefault(ring.recording, empty(head, names))
                self.take(memory, ring, trace.cpus[cpu])
        return out

    def take(self, memory, ring, c):
        seen = self.seen.setdefault(
            c.cpu, Seen(ring.recording, oldest(ring), False))
        if seen.recording != ring.recording:
            self.cut += ring.recording - seen.recording - seen.ended
            seen = Seen(ring.recording, 0, False)
        c.first = max(seen.count, oldest(ring))
        c.records = records_read(memory, ring, c.cpu, c.first)
        self.lost += c.first - seen.count
        # While it is made anew it may have its old number, and a head of 0.
        new = max(0, ring.head - seen.count)
        self.fullest = max(self.fullest, new / (ring.mask + 1))
        if c.records:
            _, event, _, _, mask, _ = c.records[-1]
            seen = Seen(ring.recording, ring.head,
                        event == form.MASK and not mask & form.ALL)
        self.seen[c.cpu] = seen


@contextlib.contextmanager
def standing(qmp):
    """Stops the machine, and lets it go on if it ran."""
    ran = qmp.run("query-status")["running"]
    if ran:
        qmp.run("stop")
    try:
        yield qmp.memory
    finally:
        if ran:
            qmp.run("cont")


def place(elf, base=IMAGE_PA):
    """Where in memory the trace of that image begins."""
    return symbol(elf, "trace_memory") - IMAGE_VA + base


def from_qemu(qmp, elf, base=IMAGE_PA):
    with standing(qmp) as memory:
        return memory_read(memory, place(elf, base))


LINE = re.compile(r"trace:([0-9a-f]+):([A-Za-z0-9+/=]+)\s*$", re.MULTILINE)
END = re.compile(r"trace-end ([0-9a-f]+)\s*$", re.MULTILINE)
# With -j each is an object.
JSON = re.compile(r'^.*?(\{"type":"trace_(begin|line|end)".*\})\s*$',
                  re.MULTILINE)


def plain(match):
    """The line without -j of one with it."""
    got = json.loads(match[1])
    return {"begin": lambda: "trace-begin",
            "line": lambda: f"trace:{got['line']:x}:{got['base64']}",
            "end": lambda: f"trace-end {got['lines']:x}"}[match[2]]()


def from_console(text, where="log"):
    """The last dump in the log of a console."""
    text = JSON.sub(plain, text)
    begin = text.rfind("trace-begin")
    if begin < 0:
        raise Error(f"{where}: no output of 'trace dump' "
                    "(a line trace-begin) in it")
    end = END.search(text, begin)
    if not end:
        raise Error(f"{where}: the dump has no end (a line trace-end)")
    parts = {int(m[1], 16): m[2]
             for m in LINE.finditer(text, begin, end.end())}
    count = int(end[1], 16)
    have = sum(n < count for n in parts)
    if have < count:
        first = next(n for n in range(count) if n not in parts)
        raise Error(f"{where}: {count - have} of {count} lines are missing, "
                    f"the first is trace:{first:x}:")
    try:
        data = b"".join(base64.b64decode(parts[n]) for n in range(count))
    except ValueError as error:
        raise Error(f"{where}: a line of the dump is damaged: {error}")
    return form.parse(data, where)
