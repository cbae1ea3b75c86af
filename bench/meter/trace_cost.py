"""What a record of a trace costs, on and off.

On: the same operation with its class on, and with one on that writes nothing
in it. While anything is recorded exits take the long way in both, so the
difference is the record, less the hook's own test, which both execute. What is
written when a vCPU is woken on another hart is told apart by hart: the waker's
and the woken's. Off: that test, as it was compiled: from the load of the CPU's
mask to the branch.
"""

import re
import subprocess

from .figures import rank
from .guard import LABS, alone
from .machine import BUILD, GUEST, MACHINES, Run
from .table import UNIT, column, key

ELF = BUILD / "rouse.elf"
TARGET_ON, TARGET_OFF = 40, 4

TITLE = "A trace record, on and off"
QUESTION = ("What does a record cost while its class is on, and while it is "
            "off?")
COLUMNS = [
    key("class"), key("row", "", "operation"),
    column("records", "records", "in a round"),
    column("on", UNIT, better="less"), column("target_on", UNIT, "target, on"),
    column("off", UNIT, better="less"),
    column("target_off", UNIT, "target, off"),
]

# Class, the row that is measured, and how many records it writes there.
PAIRS = (("exit", "sbi_base", 2), ("call", "sbi_base", 1),
         ("device", "plic_load", 1), ("device", "plic_store", 1))
SILENT = "memory"
# The same of a wake on another hart: class, whose part, and which records.
SIDES = ("sender", "receiver")
WAKES = (("virq", "sender", "assert"), ("sched", "sender", "wake"),
         ("bell", "sender", "rung"), ("sched", "receiver", "enqueue, dispatch"),
         ("virq", "receiver", "inject"))
WAKE_ROW = "ipi_asleep"

LINE = re.compile(r"\s*[0-9a-f]+:\s+[0-9a-f]+\s+(\S+)\s*(\S*)")
BRANCH = ("beqz", "bnez")


def _mask_offset():
    out = subprocess.run(
        ["gdb-multiarch", "-batch", "-ex",
         "print (int)&((struct cpu *)0)->trace_mask", ELF],
        check=True, text=True, stdout=subprocess.PIPE).stdout
    return int(out.split("=")[1])


def _test(lines, i, offset):
    """Instructions of the test that begins at `i`, or 0."""
    op, args = lines[i]
    if not op.startswith("lw") or not args.endswith(f",{offset}(tp)"):
        return 0
    reg, n = args.partition(",")[0], 1
    for op, args in lines[i + 1:i + 12]:
        words = args.split(",")
        if op in BRANCH and words[0] == reg:
            return n + 1
        if op.startswith("and") and reg in words[1:]:
            reg, n = words[0], n + 1
    return 0


def hooks():
    """How many tests of the mask there are, by their instructions."""
    text = subprocess.run(["riscv64-unknown-elf-objdump", "-d", ELF],
                          check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    lines = [m.groups() for m in map(LINE.match, text.splitlines()) if m]
    offset, found = _mask_offset(), {}
    for i in range(len(lines)):
        n = _test(lines, i, offset)
        if n:
            found[n] = found.get(n, 0) + 1
    return found


def _median(row, word):
    return alone(append=f'cmd="trace on {word}"', only=(row,),
                 name=f"trace-{word}")[row].median


def _wake_halves(word):
    """What the sender and the receiver take, with that class on."""
    run = Run(f"trace-wake-{word}", MACHINES["aclint"],
              append=f'sched=rr cmd="trace on {word}"')
    run.guest(GUEST.with_suffix(".elf")).rouse(
        LABS / "meter.dts", f"rounds=60 sleep_us=5000 rows={WAKE_ROW}")
    rounds, _ = run.rounds()
    return [rank(sorted(half), 0.5) for half in zip(*rounds.halves[WAKE_ROW])]


def _wakes(off):
    silent = _wake_halves(SILENT)
    found = {word: _wake_halves(word) for word in {w for w, _, _ in WAKES}}
    for word, side, what in WAKES:
        at, records = SIDES.index(side), len(what.split(","))
        more = found[word][at] - silent[at]
        yield (word, f"{WAKE_ROW}, {side}: {what}", records,
               off + more / records, off)


def measure():
    """[(class, row, records, instructions on, off)]"""
    off, silent, out = max(hooks()), {}, []
    for word, row, records in PAIRS:
        if row not in silent:
            silent[row] = _median(row, SILENT)
        more = _median(row, word) - silent[row]
        out.append((word, row, records, off + more / records, off))
    return out + list(_wakes(off))


def line_of(word, row, records, on, off):
    """A row of the result."""
    return [word, row, records, round(on, 1), TARGET_ON, off, TARGET_OFF]
