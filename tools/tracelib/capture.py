"""Taking a trace out of a machine: from its memory, or from its console.

From memory: QEMU is stopped (by QMP), its memory is read, and it goes on. The
machine does not notice: its clock stands still meanwhile, and not an
instruction is executed for it. What to read hangs on one structure
(kernel/tracer_private.h), found by its symbol in rouse.elf.

From the console: `trace dump` prints a file as lines of base64.
"""

import base64
import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import time

from . import form
from .form import Error

# Where the image is linked, and where QEMU's `virt` loads it.
IMAGE_VA = 0xffffffff80000000
IMAGE_PA = 0x80200000

MEMORY = struct.Struct("<8sIIQIIIIIIQQQ")
MEMORY_MAGIC = b"ROUSERAM"
RING = struct.Struct("<QQQIIQQ16xQQQI")  # kernel/percpu/trace.h
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


def ring_read(memory, at, trace, cpu):
    """A CPU's ring. Two records may be on their way, with the count of neither:
    what they overwrite is left out (kernel/percpu/trace.c)."""
    (_, mask, _, _, flight, _, records_hpa, head, _, lost,
     flags) = RING.unpack(memory(at, RING.size))
    c = trace.cpus[cpu]
    size = mask + 1
    if not records_hpa or not head:
        return
    c.flags, c.lost = flags, lost
    c.first = max(0, head + 2 - size if flight else head - size)
    data = memory(records_hpa, min(head, size) * form.RECORD.size)
    # In the ring, whose it is goes without saying.
    rows = [(time, event, cpu, *rest)
            for time, event, _, *rest in form.rows(data)]
    if head > size:
        turn = head & mask
        rows = rows[turn:] + rows[:turn]
    c.records = rows[len(rows) - (head - c.first):]


def memory_read(memory, at):
    """A trace; memory(address, size) gives bytes of a machine that stands."""
    head = memory(at, MEMORY.size)
    (magic, version, _, hz, cpus, names, record_bytes, name_bytes, cpu_bytes,
     mask, cpus_hpa, names_hpa, wall) = MEMORY.unpack(head)
    if magic != MEMORY_MAGIC:
        raise Error(f"no trace at {at:#x}: is the rouse.elf that was given the "
                    "one that runs, and has it come past its first lines?")
    if version != 1 or (record_bytes, name_bytes) != (32, 64):
        raise Error(f"trace of version {version} in memory; "
                    "this tool reads version 1")
    found = []
    left = names
    while names_hpa and left:
        page = memory(names_hpa, PAGE)
        names_hpa, = struct.unpack_from("<Q", page)
        found += form.parse_names(page[64:], min(left, NAMES_PER_PAGE))
        left -= min(left, NAMES_PER_PAGE)
    trace = form.Trace(hz, cpus, found, mask, 0, wall)
    for cpu in range(cpus):
        ring_read(memory, cpus_hpa + cpu * cpu_bytes, trace, cpu)
    trace.taken = max((c.records[-1][0] for c in trace.cpus if c.records),
                      default=0)
    return trace


def from_qemu(qmp, elf, base=IMAGE_PA):
    """Stops the machine, reads, and lets it go on if it ran."""
    ran = qmp.run("query-status")["running"]
    if ran:
        qmp.run("stop")
    try:
        return memory_read(qmp.memory,
                           symbol(elf, "trace_memory") - IMAGE_VA + base)
    finally:
        if ran:
            qmp.run("cont")


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
