"""What a record of a trace costs, on and off.

Counted: a lab in which everything happens that is recorded (meter-trace.dts) runs
once, with all classes on, and each hook's instructions are a bucket of their own
(hooks.py), as are those of what it calls. So there is a figure for each record that
came, the average of the hook's in which it is largest; beside it what the code
could take at most there, which is known of the others as well.

Compared: where a hook's other side is a copy of a whole function, the same
operation is counted with its class on, and with one on that writes nothing in it.
Exits take the long way in both (arch/riscv/quick.h: QUICK_PASSES), so the difference
is the record, less the hook's own test, which both execute.

Off: that test, as it was compiled: from the load of the CPU's mask to the branch.
"""

import sys

from .guard import LABS, alone
from .hooks import WRITE, Program
from .machine import BUILD, GUEST, MACHINES, TOP, Run
from .images import MeterError
from .records import read
from .table import UNIT, column, key

sys.path.insert(0, str(TOP / "tools"))
from tracelib import form  # noqa: E402

ELF = BUILD / "rouse.elf"
TARGET_ON, TARGET_OFF = 40, 4

TITLE = "A trace record, on and off"
QUESTION = ("What does a record cost while its class is on, and while it is "
            "off?")
# How often something happens in the run depends on how busy the build host is,
# and so it does whether a rare thing does at all.
COLUMNS = [
    key("class"), key("event"),
    column("records", "records", "counted", compare=False),
    column("on", UNIT, better="less", noise=0.5, may_be_missing=True),
    column("target_on", UNIT, "target, on"),
    column("most", UNIT, "at most, by the code", better="less", noise=0.5),
    column("off", UNIT, better="less"),
    column("target_off", UNIT, "target, off"),
]

# Where the event is computed: each of them has the figures of all.
COMPUTED = {"put_back": ("PREEMPT", "SLICE_END", "YIELD")}
# Copies: class, row, the records that are written in it, and the copy.
PAIRS = (("exit", "sbi_base", ("EXIT", "ENTRY"), "exit_traced"),
         ("call", "sbi_base", ("CALL",), "answer_traced"),
         ("virq", "ipi_self", ("VIRQ_ASSERT", "VIRQ_INJECT"), "flush_traced"))
SILENT = "device"  # keeps vCPUs from the quick ways, as those do
# No hook, or what no guest and no command can bring about at will.
ALWAYS = {"MASK"}
UNSURE = {"STAY", "NOTE", "LATE", "STEAL_ASK", "STEAL_ANSWER", "HANDOVER",
          "MIGRATE", "BALANCE", "REST_END", "POLL_HIT", "POLL_MISS",
          "BELL_TAKEN"}


class Counted:
    """The hooks' instructions, counted in a run."""

    def __init__(self, program):
        self.program = program
        self.hooks = program.hooks()
        self.helpers = program.helpers(self.hooks)
        self.counts = {}

    def apart(self):
        """What is a bucket of its own: {address: (name, end)}."""
        out = {}
        for n, h in enumerate(self.hooks):
            for at in h.region:
                out[at] = f"call {at:x}" if at in h.calls else f"hook {n}"
        for name in self.helpers:
            f = self.program.functions[name]
            for i, c in enumerate(f.codes):
                out[c.at] = (f"call {c.at:x}" if f.callee(i) else
                             f"{'rest' if i else 'first'} {name}")
        # An instruction belongs to where it begins.
        return {at: (name, at + 2) for at, name in out.items()}

    def run(self):
        run = Run("trace-hooks", MACHINES["aclint"])
        run.map.apart = self.apart()
        run.guest(GUEST.with_suffix(".elf")).rouse(LABS / "meter-trace.dts")
        run.start()
        last = None
        for last in read(run.folder / "records"):
            pass
        (run.folder / "records").unlink()
        if not last:
            raise MeterError("trace-hooks: nothing was counted")
        for (_, name, _), *harts in zip(run.map.buckets, *last.counts):
            self.counts[name] = sum(harts)

    def of(self, at):
        return self.counts.get(f"call {at:x}", 0)

    def length(self, name):
        """What a call of that function takes on average."""
        if name not in self.helpers:
            return 0
        f, n = self.program.functions[name], self.counts.get(f"first {name}")
        if not n:
            return 0
        total = n + self.counts.get(f"rest {name}", 0)
        for i, callee in f.calls():
            total += self.of(f.codes[i].at) * (1 + self.length(callee))
        return total / n

    def figure(self, number):
        """(records, instructions of each) of a hook; (0, None): it had none."""
        h = self.hooks[number]
        records = sum(self.of(at) for at, name in h.calls.items()
                      if at in h.writes or self._writes(name))
        if not records:
            return 0, None
        total = self.counts.get(f"hook {number}", 0) + sum(
            self.of(at) * (1 + self.length(name))
            for at, name in h.calls.items())
        return records, h.test + total / records - h.less

    def _writes(self, name):
        return name in self.helpers and any(
            callee == WRITE
            for _, callee in self.program.functions[name].calls())


def _events(hook):
    for number in hook.events:
        if number is not None:
            yield form.EVENTS[number].name
        elif hook.function in COMPUTED:
            yield from COMPUTED[hook.function]
        else:
            raise MeterError(f"{hook.function} writes a record, and nothing "
                             "says which: COMPUTED in trace_cost.py")


def _counted(program):
    """{event: [records, on or None, most, off]}"""
    counted, out = Counted(program), {}
    missing = program.unhooked(counted.hooks)
    if missing:
        raise MeterError(f"{', '.join(missing)}: a record is written there, and "
                         "no test of the mask was found before it")
    counted.run()
    for n, hook in enumerate(counted.hooks):
        records, on = counted.figure(n)
        for name in _events(hook):
            found = out.setdefault(name, [0, None, 0, 0])
            found[0] += records
            found[1] = max((x for x in (found[1], on) if x), default=None)
            found[2] = max(found[2], hook.most)
            found[3] = max(found[3], hook.test)
    return out


def _medians(word):
    rows = tuple(dict.fromkeys(pair[1] for pair in PAIRS))
    found = alone(append=f'cmd="trace on {word}"', only=rows,
                  name=f"trace-{word}")
    return {row: f.median for row, f in found.items()}


def _compared(program):
    """(class, events, records, on, None, off), where a record is in a copy."""
    silent, tests = _medians(SILENT), program.copy_tests()
    for word, row, names, copy in PAIRS:
        each = (_medians(word)[row] - silent[row]) / len(names)
        yield (word, ", ".join(names), len(names), each + tests[copy], None,
               tests[copy])


def measure():
    """[(class, event, records, on or None, most or None, off)]"""
    words = {n: word for _, n, word, _ in form.classes()}
    program = Program(ELF)
    counted = sorted(_counted(program).items(),
                     key=lambda item: form.NUMBER[item[0]])
    return [*((words[form.EVENTS[form.NUMBER[name]].cls], name, *figures)
              for name, figures in counted), *_compared(program)]


def complaints(found):
    """Sentences about what costs too much, or was not seen."""
    for _, name, _, on, most, off in found:
        for what, n, target in (("on", on, TARGET_ON), ("off", off, TARGET_OFF),
                                ("at most", most, TARGET_ON)):
            if n is not None and n > target:
                yield f"{name}: {n:.1f} instructions {what}, target {target}"
    have = {e for line in found if line[3] for e in line[1].split(", ")}
    for e in form.EVENTS.values():
        if e.name not in have | UNSURE | ALWAYS:
            yield f"{e.name}: none was recorded in the run"


def line_of(cls, name, records, on, most, off):
    """A row of the result."""
    return [cls, name, records, on and round(on, 1), TARGET_ON, most, off,
            TARGET_OFF]
