"""The hooks of the trace, as they were compiled: what a record takes at most.

    for hook in Program(elf).hooks():   hook.events, hook.most, ...

A hook loads the CPU's mask, tests it, and branches. What is executed on one side of
that branch only is the record: each instruction that can be reached from there and
not from the other side is in its *region*. The longest way through it, with all
that it calls, less the shortest way on the other side only, is what the record
takes at most. So this knows each record that there is, of those as well that
hardly any run brings about.

It does not know what a record takes where the other side is a copy of a whole
function (COPIES): those are measured (trace_cost.py).
"""

import re
import subprocess
from collections import namedtuple

from .images import MeterError

WRITE = "trace_write"
# With statistics on, where a ring turns, and when its event stops a recording.
RARE = ("trace_wait_begin", "wait_end", "edge_write", "ring_stop")
COPIES = ("exit_traced", "answer_traced", "flush_traced", "raise_traced")
# Writes what is on from now on, whatever that is.
ALWAYS = "look"

HEAD = re.compile(r"([0-9a-f]+) <(.+)>:$")
LINE = re.compile(r"\s*([0-9a-f]+):\t(\S+)\s*([^<#]*)(?:.*<([^>+]+)>)?")
BRANCH = re.compile(r"b(eq|ne|lt|ge|gt|le)u?z?$")
STORE = re.compile(r"(s[bhwd]|fs[wd])$")
CALL = ("jalr", "jal")
ADD, AND = ("add", "addi"), ("and", "andi")  # one or the other, by the objdump
KEPT = re.compile(r"s\d+$")  # registers that a call leaves alone

Code = namedtuple("Code", "at op args name")
# events: numbers of the records, None one that is computed; test: instructions that
# are executed with the class off as well; less: so many more are, of those that the
# region has a copy of; most: what a record takes, test and all; region, writes,
# calls: addresses, {address: function}.
Hook = namedtuple("Hook", "function events test less most region writes calls")


class Unbounded(Exception):
    """A way that may be gone round and round."""


def disassembly(elf, objdump="riscv64-unknown-elf-objdump"):
    return subprocess.run([objdump, "-d", "--no-show-raw-insn", elf],
                          check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def time_store(text):
    """Where the instruction is that stores a record's time, first and end."""
    codes, clock = parse(text)[WRITE], None
    for c, after in zip(codes, codes[1:]):
        if c.op == "rdtime":
            clock = c.args
        elif c.op == "sd" and c.args.split(",")[0] == clock:
            return c.at, after.at
    raise MeterError(f"{WRITE} stores no time")


def mask_offset(elf):
    out = subprocess.run(
        ["gdb-multiarch", "-batch", "-ex",
         "print (int)&((struct cpu *)0)->trace_mask", elf],
        check=True, text=True, stdout=subprocess.PIPE).stdout
    return int(out.split("=")[1])


def parse(text):
    """{function: [Code]}; the second one of a name has its address in it."""
    out, lines = {}, []
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            name = head[2] if head[2] not in out else f"{head[2]}@{head[1]}"
            lines = out[name] = []
        elif m := LINE.match(line):
            lines.append(Code(int(m[1], 16), m[2], m[3].strip(), m[4]))
    return out


class Function:
    """Instructions by their index, and where each can go on."""

    def __init__(self, name, codes):
        self.name, self.codes = name, codes
        self.index = {c.at: i for i, c in enumerate(codes)}

    def callee(self, i):
        """The function that `i` calls or goes on in, or None."""
        c = self.codes[i]
        far = c.op in CALL or c.op in ("j", "jr")
        return c.name if far and c.name != self.name else None

    def calls(self):
        """[(index, callee)], of all that it calls or goes on in."""
        return [(i, name) for i in range(len(self.codes))
                if (name := self.callee(i))]

    def next(self, i):
        c = self.codes[i]
        on = [i + 1] if i + 1 < len(self.codes) else []
        if BRANCH.match(c.op):
            return on + [self.index[int(c.args.split(",")[-1], 16)]]
        if c.op == "j":
            to = self.index.get(int(c.args, 16))
            return [] if to is None else [to]
        return [] if c.op in ("ret", "jr", "sret", "mret") else on

    def reach(self, first, but):
        """What can be reached from `first`, and not by way of `but`."""
        found, todo = set(), [first]
        while todo:
            i = todo.pop()
            if i not in found and i != but:
                found.add(i)
                todo += self.next(i)
        return found

    def tests(self, offset):
        """(branch, instructions of the test, where it goes with a class on, and
        with none) for each test of what is at tp + offset."""
        bases = {("tp", offset): 1}
        for c in self.codes:
            words = c.args.split(",")
            if c.op == "mv" and (words[-1], offset) in bases:
                bases[words[0], offset] = 1  # a copy, or a copy of one
            elif c.op in ADD and words[2:] == [str(offset)] and \
                    (words[1], offset) in bases:   # tp, or a copy of it
                bases[words[0], 0] = 2   # the address takes one, too
        found = {}
        for i, c in enumerate(self.codes):
            n = [n for (reg, at), n in bases.items()
                 if c.op in ("lw", "lwu") and c.args.endswith(f",{at}({reg})")]
            if n:
                found.update(self._branches(i, n[0]))
        return [(k, *found[k]) for k in sorted(found)]

    def _branches(self, load, n):
        """{branch: (instructions, on, off)} on what was loaded there."""
        reg = self.codes[load].args.split(",")[0]
        found, seen = {}, set()
        todo = [(i, reg, n) for i in self.next(load)]
        while todo:
            i, reg, n = todo.pop()
            if (i, reg) in seen:
                continue
            seen.add((i, reg))
            c = self.codes[i]
            words = c.args.split(",")
            if c.op in ("beqz", "bnez") and words[0] == reg:
                taken = self.index[int(words[1], 16)]
                on, off = (taken, i + 1) if c.op == "bnez" else (i + 1, taken)
                found.setdefault(i, (n + 1, on, off))
            elif c.op in AND and reg in words[1:]:
                todo += [(k, words[0], n + 1) for k in self.next(i)]
            elif (c.op in CALL and not KEPT.match(reg)) or (
                    words[0] == reg and not BRANCH.match(c.op)
                    and not STORE.match(c.op)):
                continue
            else:
                todo += [(k, reg, n) for k in self.next(i)]
        return found

    def event(self, i):
        """The constant in a0 where `i` calls trace_write, whichever way it
        came there, or None: it is computed."""
        before = {}
        for k in range(len(self.codes)):
            for to in self.next(k):
                before.setdefault(to, []).append(k)
        found, seen, todo = set(), set(), [i]
        while todo:
            k = todo.pop()
            if not before.get(k):
                return None     # what the function was given
            for k in set(before[k]) - seen:
                seen.add(k)
                c = self.codes[k]
                if c.op in CALL:
                    return None
                if not c.args.startswith("a0,") or STORE.match(c.op) or \
                        BRANCH.match(c.op):
                    todo.append(k)
                elif c.op == "li":
                    found.add(int(c.args[3:], 0))
                else:
                    return None
        return found.pop() if len(found) == 1 else None


class Program:
    def __init__(self, elf, text=None, offset=None):
        codes = parse(text or disassembly(elf))
        self.functions = {name: Function(name, c) for name, c in codes.items()}
        self.offset = mask_offset(elf) if offset is None else offset
        self.lengths = {}

    def length(self, name):
        """The longest way through a function."""
        if name not in self.lengths:
            f = self.functions[name]
            self.lengths[name] = self._way(f, 0, range(len(f.codes)), max)
        return self.lengths[name]

    def _way(self, f, first, region, best):
        """Instructions on the best way from `first` through the region; None if
        each ends in what is rare."""
        found, open_ = {}, set()

        def way(i):
            if i in open_:
                raise Unbounded(f"{f.name} has a loop at {f.codes[i].at:x}")
            if i not in found:
                open_.add(i)
                found[i] = self._step(f, i, way, region, best)
                open_.discard(i)
            return found[i]
        return way(first)

    def _step(self, f, i, way, region, best):
        callee, n = f.callee(i), 1
        if callee in RARE:
            return None
        if callee:
            n += self.length(callee)
        on = f.next(i)
        ways = [way(k) if k in region else 0 for k in on] or [0]
        ways = [w for w in ways if w is not None]
        return n + best(ways) if ways else None

    def _written(self, f, region):
        """Where the region writes a record itself, and the numbers of those that
        are written there, or in what it calls."""
        writes, events = [], set()
        for i in sorted(region):
            callee = f.callee(i)
            if callee == WRITE:
                writes.append(i)
                events.add(f.event(i))
            elif callee in self.functions and callee not in RARE + COPIES:
                other = self.functions[callee]
                events |= {other.event(k) for k, name in other.calls()
                           if name == WRITE}
        return writes, events

    def hooks(self):
        out = []
        for f in self.functions.values():
            if f.name not in RARE:
                out += self._merged(h for t in f.tests(self.offset)
                                    if (h := self._hook(f, *t)))
        return out

    def _hook(self, f, branch, test, on, off):
        this, other = f.reach(on, branch), f.reach(off, branch)
        region, less = this - other, 0
        writes, events = self._written(f, region)
        if not events:
            return None
        if off not in this:
            less = self._way(f, off, other - this, min) or 0
        most = test + self._way(f, on, region, max) - less
        return Hook(f.name, events, test, less, most,
                    {f.codes[i].at for i in region},
                    {f.codes[i].at for i in writes},
                    {f.codes[i].at: f.callee(i) for i in region
                     if f.callee(i)})

    def copy_tests(self):
        """{copy: instructions of the test that leads to it}"""
        return {f.callee(i): test for f in self.functions.values()
                for branch, test, on, off in f.tests(self.offset)
                for i in f.reach(on, branch) - f.reach(off, branch)
                if f.callee(i) in COPIES}

    @staticmethod
    def _merged(hooks):
        """Those that share instructions are one: which of them was there can't
        be told."""
        out = []
        for h in hooks:
            for other in [o for o in out if o.region & h.region]:
                out.remove(other)
                h = Hook(h.function, h.events | other.events,
                         max(h.test, other.test), min(h.less, other.less),
                         max(h.most, other.most), h.region | other.region,
                         h.writes | other.writes, {**h.calls, **other.calls})
            out.append(h)
        return out

    def helpers(self, hooks):
        """Functions that hooks call, and what these call."""
        found, todo = set(), {n for h in hooks for n in h.calls.values()}
        while todo:
            name = todo.pop()
            if name in found or name in RARE:
                continue
            found.add(name)
            todo |= {callee for _, callee in self.functions[name].calls()}
        return found

    def unhooked(self, hooks):
        """Functions that write a record of which no hook is known."""
        known = set().union(*(h.writes for h in hooks))
        called = {name for h in hooks for name in h.calls.values()}
        return sorted({
            f.name for f in self.functions.values()
            for i, name in f.calls() if name == WRITE
            and f.codes[i].at not in known and f.name not in called
            and f.name not in RARE + COPIES + (ALWAYS,)})

