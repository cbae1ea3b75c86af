"""Whole-system tests: starts QEMU, talks to its console, takes its status.

A file tests/system/NAME.py holds one function:

    from harness import Case

    def tests(full):
        return [Case("a_guest_says_hello", hello, smp=2)]

    def hello(t):
        m = t.boot(lab=LAB_TEXT, smp=t.args["smp"], append="sched=rr")
        m.expect(r"hello from hart 0")
        m.line("poweroff")
        t.equal(m.wait(), 0, "QEMU's status")

`full` is true for `make test-all`: return every combination then, and a subset
that covers the ground otherwise. A case's name is a sentence and is unique in
its file; what else is given to Case() arrives in t.args. A test fails by
raising; t.check and t.equal raise with a message, and Machine.expect does
when the text doesn't come. Machines left running are stopped after the test.

Everything a case writes is in build/test-logs/system/FILE/CASE/: console.log
as it came, the lab, and, after a time-out, every hart's registers.
"""

import os
import re
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
# Whoever imports this can import the tools' modules as well.
sys.path.insert(0, str(TOP / "tools"))
from words import defaults  # noqa: E402

BUILD = TOP / "build"
GUESTS = BUILD / "guests"

# The harts of QEMU, unless a test or a benchmark says otherwise.
CPU = defaults()["CPU"]

# All limits are against hanging, not measures of speed; a slow machine may
# stretch them.
SLOW = float(os.environ.get("ROUSE_TEST_SLOW", "1"))

# How long what takes seconds may take on a machine with much else to do, before
# it is said to hang: a test, and anything that it waits for.
HANGS_S, WAIT_HANGS_S = 600, 180

# What no console may ever show, unless a test says otherwise (allow=).
FORBIDDEN = r"(?m)^\W*(panic:|Kernel panic|BUG:|Oops)|rcu:.*stall|soft lockup"

# Escape sequences of terminals, which expect() doesn't see.
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78cDEHM])|\r")
HALF_ESCAPE = re.compile(r"\x1b[\[()]?[0-9;?]*\Z")
# What OpenSBI prints of some illegal instructions, which it gets before Rouse
# does: without an end of line, in the middle of anybody's lines.
FIRMWARE = "system_opcode_insn: Invalid opcode for CSR read/write instruction"


def socket_path(what, owner):
    """Where a socket of the owner's may be: nobody else's, of this run or
    another one, and short, since a hundred characters is all there is."""
    return os.path.join(tempfile.gettempdir(),
                        f"rouse-{what}-{os.getpid()}-{id(owner):x}")


class Failure(Exception):
    """A test that did not pass; the text says why."""


class Refused(Exception):
    """What was asked for can't be; the text says why."""


class Skip(Exception):
    """A test that cannot run here; the text says why."""


class Case:
    """One test. timeout: seconds until it's stopped as hanging. alone: no
    other test runs meanwhile (for what depends on real time)."""

    def __init__(self, name, run, timeout=HANGS_S, alone=False, **args):
        self.name = name
        self.run = run
        self.timeout = timeout * SLOW
        self.alone = alone
        self.args = args


class Test:
    """What a running case gets."""

    def __init__(self, case, folder):
        self.args = case.args
        self.folder = Path(folder)
        self.deadline = time.monotonic() + case.timeout
        self.machines = []

    def boot(self, **options):
        """Starts a machine: see Machine for the options."""
        machine = Machine(self, len(self.machines), **options)
        self.machines.append(machine)
        return machine

    def check(self, true, message):
        if not true:
            raise Failure(message)

    def equal(self, got, wanted, what):
        if got != wanted:
            raise Failure(f"{what}: got {got!r}, expected {wanted!r}")

    def close(self):
        for machine in self.machines:
            machine.stop()


class Machine:
    """A QEMU and its console.

    lab      path of a lab file, or its text (begins with "/dts-v1/");
             None: no initrd
    kernel   what QEMU starts; the hypervisor unless said otherwise
    initrd   a ready archive in place of `lab`
    append   Rouse's command line
    smp, mem, machine, cpu   of QEMU's virt board
    bios     the firmware
    options  further options of QEMU, a list
    allow    a pattern of forbidden text that this test does provoke
    """

    def __init__(self, test, number, lab=None, kernel=None, initrd=None,
                 append="", smp=2, mem="1G", machine="virt", cpu=CPU,
                 bios=None, options=(), allow=None):
        self.test = test
        suffix = f"-{number}" if number else ""
        self.log_path = test.folder / f"console{suffix}.log"
        self.monitor_path = None
        self.allow = re.compile(allow) if allow else None
        self.raw_tail = ""      # half an escape sequence
        self.text = ""          # output so far, no escapes, no FIRMWARE
        self.seen = 0           # expect() has gone this far
        self.scanned = 0        # so has the search for forbidden text
        self.ended = False
        self.lock = threading.Condition()
        if lab is not None:
            initrd = self._pack(lab, suffix)
        command = ["qemu-system-riscv64", "-M", machine, "-cpu", cpu,
                   "-smp", str(smp), "-m", str(mem), "-display", "none",
                   "-serial", "stdio",
                   "-bios", str(bios or BUILD / "opensbi" / "fw_jump.bin"),
                   "-kernel", str(kernel or BUILD / "rouse.bin")]
        if initrd is not None:
            command += ["-initrd", str(initrd)]
        if append:
            command += ["-append", append]
        self.monitor_path = socket_path("monitor", self)
        command += ["-monitor", f"unix:{self.monitor_path},server,nowait"]
        command += list(options)
        self.log = open(self.log_path, "wb")
        self.log.write((shlex.join(command) + "\n\n").encode())
        self.log.flush()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=TOP)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _pack(self, lab, suffix):
        if isinstance(lab, str) and lab.lstrip().startswith("/dts-v1/"):
            path = self.test.folder / f"lab{suffix}.dts"
            path.write_text(lab)
            lab = path
        out = self.test.folder / f"lab{suffix}.cpio"
        done = subprocess.run([TOP / "tools" / "lab", lab, out], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failure(f"tools/lab: {done.stdout.strip()}")
        return out

    def _read(self):
        out = self.process.stdout.fileno()
        while True:
            data = os.read(out, 65536)
            if not data:
                break
            self.log.write(data)
            self.log.flush()
            raw = self.raw_tail + data.decode("latin-1")
            half = HALF_ESCAPE.search(raw)
            self.raw_tail = raw[half.start():] if half else ""
            if half:
                raw = raw[:half.start()]
            with self.lock:
                self._add(ESCAPES.sub("", raw))
                self.lock.notify_all()
        with self.lock:
            self.ended = True
            self.lock.notify_all()

    def _add(self, new):
        """Lock held. Half of FIRMWARE may have come, and been expected for a
        guest's; what then follows it has not."""
        start = max(0, len(self.text) - len(FIRMWARE))
        self.text += new
        at = self.text.find(FIRMWARE, start)
        if at >= 0:
            self.text = self.text[:at] + self.text[at:].replace(FIRMWARE, "")
            self.seen = min(self.seen, at)

    def _forbidden(self):
        """Text so far that must never be there, or None. Lock held."""
        for match in re.compile(FORBIDDEN).finditer(self.text, self.scanned):
            if self.allow and self.allow.search(match.group(0)):
                continue
            line = self.text[match.start():].lstrip().split("\n", 1)[0]
            return line
        # The last line may be incomplete: look at it again next time.
        self.scanned = max(self.scanned, self.text.rfind("\n"))
        return None

    def _tail(self):
        lines = [l for l in self.text[-2000:].split("\n") if l.strip()]
        return "\n".join("    | " + l for l in lines[-12:])

    def _limit(self, timeout):
        return min(time.monotonic() + timeout * SLOW, self.test.deadline)

    def expect(self, pattern, timeout=WAIT_HANGS_S):
        """Waits for text after what was expected last; returns the match.
        `pattern` is a regular expression, in which ^ and $ are line ends.
        Output comes in pieces: end a pattern with \\n to get a whole line."""
        wanted = re.compile(pattern, re.MULTILINE)
        limit = self._limit(timeout)
        with self.lock:
            while True:
                bad = self._forbidden()
                match = wanted.search(self.text, self.seen)
                if match and not bad:
                    self.seen = match.end()
                    return match
                if bad:
                    # Let the rest of the message reach the log.
                    self.lock.wait(1)
                    raise Failure(f"console shows: {bad}\n{self._tail()}")
                if self.ended:
                    raise Failure(f"QEMU ended before {pattern!r} came\n"
                                  + self._tail())
                left = limit - time.monotonic()
                if left <= 0:
                    break
                self.lock.wait(left)
        self.dump()
        raise Failure(f"no {pattern!r} within its time\n{self._tail()}")

    def expect_all(self, patterns, timeout=WAIT_HANGS_S):
        """Waits for all of several texts, in any order, after what was
        expected last. Returns the matches in the order of the patterns."""
        start = self.seen
        found, last = [], start
        for pattern in patterns:
            self.seen = start
            found.append(self.expect(pattern, timeout))
            last = max(last, self.seen)
        self.seen = last
        return found

    def quiet(self, pattern, seconds):
        """Fails if the text comes within so many seconds."""
        end = time.monotonic() + seconds
        wanted = re.compile(pattern, re.MULTILINE)
        with self.lock:
            while True:
                if wanted.search(self.text, self.seen):
                    raise Failure(f"{pattern!r} came and must not\n"
                                  + self._tail())
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    return
                self.lock.wait(left)

    def send(self, text):
        """Types text on the console, as bytes: no line end is added."""
        try:
            self.process.stdin.write(text.encode("latin-1"))
            self.process.stdin.flush()
        except OSError:
            raise Failure(f"QEMU ended before {text!r} was typed\n"
                          + self._tail()) from None

    def line(self, text):
        """Types a line and Enter."""
        self.send(text + "\r")

    def wait(self, timeout=WAIT_HANGS_S):
        """Waits until QEMU ends; returns its exit status."""
        limit = self._limit(timeout)
        try:
            status = self.process.wait(max(0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.dump()
            raise Failure(f"QEMU did not end\n{self._tail()}") from None
        self.reader.join(5)
        with self.lock:
            bad = self._forbidden()
        if bad:
            raise Failure(f"console shows: {bad}\n{self._tail()}")
        return status

    def monitor(self, command, seconds=5):
        """Runs one command of QEMU's monitor; returns what it prints."""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(seconds)
                link.connect(self.monitor_path)
                link.sendall(command.encode() + b"\n")
                out = b""
                while select.select([link], [], [], 1)[0]:
                    data = link.recv(65536)
                    if not data:
                        break
                    out += data
        except OSError as error:
            return f"(monitor: {error})"
        return ESCAPES.sub("", out.decode("latin-1"))

    def dump(self):
        """Writes every hart's registers beside the log."""
        if self.process.poll() is None:
            path = self.log_path.with_suffix(".registers")
            path.write_text(self.monitor("info registers -a"))

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(5)
        self.log.close()
        self.process.stdin.close()
        if self.monitor_path and os.path.exists(self.monitor_path):
            os.unlink(self.monitor_path)
