"""Starts QEMU with the plugin, and gives what the guest did as rounds."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import results

from .images import Map, MeterError
from .records import Rounds, marks, read

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = TOP / "build"
GUEST = BUILD / "guests" / "baremetal" / "meter"
HERE = Path(__file__).resolve().parent

sys.path.append(str(TOP / "tests" / "system"))
from harness import CPU  # noqa: E402

# The meter's own command line. Nothing else is to run: docs/meter.md.
QUIET = "watchdog=off"

# Where a store on QEMU's virt reaches for another hart: the CLINT's MSIP, the
# ACLINT's SSWI, and the interrupt files of the IMSICs (M and S).
BELLS = ((0x02000000, 0x02004000), (0x02f00000, 0x02f04000),
         (0x24000000, 0x2c000000))
# OpenSBI's text; the programs above it begin 2 MiB higher.
FIRMWARE = (0x80000000, 0x80200000)

MACHINES = {
    "virt": "virt",             # the firmware's IPI is the doorbell
    "aclint": "virt,aclint=on",
    "aia": "virt,aia=aplic-imsic,aia-guests=3",
}


def last_words(text):
    """Of a console: what went wrong, if somebody said that last, else more."""
    last = text.strip().rpartition("\n")[2]
    if re.match(r"(rouse|qemu-system-\S+): ", last):
        return f": {last}"
    return f"; the console's last words:\n{text[-1500:]}"


class NoRoom(MeterError):
    """Rouse's policy has no room for the guests of a run."""


class Row:
    """A line of rows.tsv."""

    def __init__(self, words, numbers):
        self.name, self.how, self.state, self.handler, self.asked = words[:5]
        self.targets = [int(w) if w else None for w in words[5:9]]
        self.title = words[9]
        key = f"ROW_{self.name.upper()}"
        if key not in numbers:
            raise MeterError(f"rows.tsv: {self.name}: marks.h has no {key}")
        self.number = numbers[key]

    def target(self, sbi):
        """(target, peer) with the firmware's IPI as doorbell, or the best."""
        target, target_sbi, peer, peer_sbi = self.targets
        return (target_sbi or target, peer_sbi or peer) if sbi else \
            (target, peer)


def rows():
    """All rows, in the order of the table."""
    numbers, found = marks(), []
    for line in (HERE / "rows.tsv").read_text().splitlines():
        words = line.split("\t")
        if line.startswith("#"):
            continue
        if len(words) != 10:
            raise MeterError(f"rows.tsv: expected 10 fields: {line!r}")
        found.append(Row(words, numbers))
    return found


def by_number(states=None):
    """{number: Row}. states: {row: the state of its receiver}, where a lab makes
    that another one than the table says."""
    found = {row.number: row for row in rows()}
    for row in found.values():
        row.state = (states or {}).get(row.name, row.state)
    return found


class Run:
    """One machine from reset to power-off."""

    def __init__(self, name, machine="virt", harts=2, append="",
                 cpu=CPU, memory="1G", options=(), timeout=170,
                 by_symbol=False):
        self.name, self.machine, self.harts = name, machine, harts
        self.append, self.cpu, self.memory = append, cpu, memory
        self.options, self.timeout = list(options), timeout
        self.folder = BUILD / "meter" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.map = Map(by_symbol=by_symbol)
        self.kernel = self.initrd = None
        self.firmware = BUILD / "opensbi" / "fw_jump.bin"
        self.map.plain("firmware", *FIRMWARE)
        # Alone a hart reaches for nobody, and to look at each store for that
        # takes several times as long.
        for first, end in BELLS if harts > 1 else ():
            self.map.bell(first, end)

    def guest(self, elf):
        self.map.elf("guest", elf)
        return self

    def rouse(self, lab, words=""):
        """Rouse with a lab; `words` are added to every guest's bootargs.
        Nothing else runs on it: no watchdog but where it's asked for."""
        self.map.elf("hypervisor", BUILD / "rouse.elf")
        self.kernel = BUILD / "rouse.bin"
        if "watchdog=" not in self.append:
            self.append = f"{QUIET} {self.append}".strip()
        text = lab if "\n" in str(lab) else Path(lab).read_text()
        text = re.sub(r'(bootargs = "[^"]*)"', rf'\1 {words}"', text)
        source = self.folder / "lab.dts"
        source.write_text(text)
        self.initrd = self.folder / "lab.cpio"
        done = subprocess.run([TOP / "tools" / "lab", source, self.initrd],
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            raise MeterError(done.stdout.strip())
        return self

    def native(self, words="", image=None):
        """The payload itself on the firmware."""
        self.kernel = image or GUEST.with_suffix(".bin")
        self.append = f"{self.append} {words}".strip()
        return self

    def foreign(self, kernel, elf=None, initrd=None):
        """Another hypervisor, which starts the payload by itself."""
        if elf:
            self.map.elf("hypervisor", elf)
        self.kernel, self.initrd = kernel, initrd
        return self

    def command(self):
        plugin = BUILD / "meter.so"
        if not plugin.exists():
            raise MeterError(f"{plugin} is missing: run make meter-plugin")
        qemu = shutil.which("qemu-system-riscv64")
        if not qemu:
            raise MeterError("qemu-system-riscv64 is missing: run make setup")
        out = [qemu, "-M", self.machine, "-cpu", self.cpu,
               "-smp", str(self.harts), "-m", self.memory,
               "-display", "none", "-serial", "stdio", "-monitor", "none",
               "-bios", str(self.firmware), "-kernel", str(self.kernel),
               "-plugin", f"{plugin},map={self.folder / 'map'},"
                          f"out={self.folder / 'records'}"]
        if self.initrd:
            out += ["-initrd", str(self.initrd)]
        if self.append:
            out += ["-append", self.append]
        return out + self.options

    def start(self):
        """Runs it; the console's text. A guest that fails is an error."""
        self.map.write(self.folder / "map")
        command = self.command()
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, cwd=TOP,
                                  timeout=self.timeout * slow())
        except subprocess.TimeoutExpired as late:
            tail = (late.stdout or b"").decode(errors="replace")[-1500:]
            raise MeterError(f"{self.name}: no end after {late.timeout} s; "
                             f"the console's last words:\n{tail}") from None
        text = done.stdout.decode(errors="replace").replace("\r", "")
        (self.folder / "console.log").write_text(text)
        self.ran(text)
        full = re.search(r"can't be started: the scheduler has no room", text)
        if done.returncode and full:
            raise NoRoom("; ".join(refusals(text).values()))
        if done.returncode or "meter: done" not in text:
            raise MeterError(f"{self.name}: QEMU ended with status "
                             f"{done.returncode}{last_words(text)}")
        return text

    def ran(self, console):
        """Notes the machine, and the policy that it told."""
        shift = re.search(r"-icount shift=(\d+)", " ".join(self.options))
        results.note_ran(results.Machine(
            self.machine, self.harts, shift[1] if shift else "none", self.cpu,
            self.memory, self.append, results.told_policy(console)))

    def rounds(self, states=None):
        """Runs it; its Rounds, and the rows that were skipped: {name: why}.
        states: as by_number's."""
        text = self.start()
        return self.taken(states), skips(text)

    def taken(self, states=None):
        """The Rounds of what it has recorded, which is gone then."""
        found = Rounds(by_number(states), self.map.buckets)
        found.take_all(read(self.folder / "records"))
        (self.folder / "records").unlink()
        return found


def refusals(console):
    """{vCPU: why it was not started}, as Rouse has said it."""
    return dict(re.findall(r"error: \S+ vcpu (\d+) not started: (.*)",
                           console))


def skips(console):
    """{row: why the payload skipped it}; where a hart was refused, in the
    words of who did."""
    out, why = {}, refusals(console)
    for row, reason in re.findall(r"meter: skip (\w+): (.*)", console):
        hart = re.fullmatch(r"hart (\d+) does not start", reason)
        if hart and hart[1] in why:
            reason = f"{reason}: {why[hart[1]]}"
        out[row] = reason
    return out


def slow():
    """How many times longer everything may take (as for the tests)."""
    return float(os.environ.get("ROUSE_SLOW", "1"))
