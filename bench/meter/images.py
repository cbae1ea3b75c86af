"""Which addresses belong to which stage: from the programs' symbols to the map
that the plugin reads.

A program is an ELF file (its symbols give the stages) or only a range of
addresses. A *bucket* is a program and a stage; bucket 0 is for addresses that
belong to no program given. Functions that are a sign (signs.py) have a bucket of
their own beside that of their stage.
"""

import fnmatch
import subprocess
from pathlib import Path

from . import signs

HERE = Path(__file__).resolve().parent
MODES = {"guest": "VS", "hypervisor": "HS", "firmware": "M"}
# Of what lies in no program given, whose mode no address tells.
NO_MODE = "other"
ELSEWHERE = ("?", "elsewhere", True)


class MeterError(Exception):
    """Something that makes figures impossible; the text says what and where."""


class Stages:
    """The lines of a stages file: (program, stage, counted, patterns). `inlined`
    has those patterns that may match no symbol of a build."""

    def __init__(self, path=HERE / "stages.txt"):
        self.lines, self.inlined = [], set()
        for number, text in enumerate(Path(path).read_text().splitlines(), 1):
            words = text.split("#")[0].split()
            if not words:
                continue
            if len(words) < 3 or words[0] not in MODES:
                raise MeterError(
                    f"{path}:{number}: expected a program "
                    f"({', '.join(MODES)}), a stage and symbols")
            self.inlined |= {w[1:] for w in words[2:] if w.startswith("~")}
            self.lines.append((words[0], words[1].rstrip("!"),
                               not words[1].endswith("!"),
                               [w.lstrip("~") for w in words[2:]]))

    def of(self, program, symbol):
        plain = symbol.partition(".")[0]    # bound.isra.0 is bound
        for name, stage, counted, patterns in self.lines:
            if name == program and any(fnmatch.fnmatchcase(plain, p)
                                       for p in patterns):
                return program, stage, counted
        return program, "other", True

    def dead(self, program, symbols, functions):
        """Patterns that match none of a program's symbols; of the inlined ones,
        those that match no function that it was built of."""
        def some(names, pattern):
            return any(fnmatch.fnmatchcase(n.partition(".")[0], pattern)
                       for n in names)
        return [p for name, _, _, patterns in self.lines if name == program
                for p in patterns
                if not some(functions if p in self.inlined else symbols, p)]


def elf_texts(path, nm="riscv64-unknown-elf-nm"):
    """[(address, symbol)] of the code in an ELF file, sorted, and its end."""
    done = subprocess.run([nm, "-n", "--defined-only", str(path)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = []
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "tTwW":
            found.append((int(words[0], 16), words[2]))
    if done.returncode or not found:
        raise MeterError(f"{path}: no symbols of code in it "
                         f"({done.stderr.strip() or 'stripped?'}); give an "
                         f"ELF file that has some, or a range")
    # The last symbol of code ends where the first other one begins.
    last = found[-1][0]
    ends = [int(w[0], 16) for w in map(str.split, done.stdout.splitlines())
            if len(w) == 3 and int(w[0], 16) > last]
    return found, min(ends, default=last + 4096)


class Map:
    """All programs of a machine, and the buckets that the plugin counts in."""

    def __init__(self, stages=None, by_symbol=False):
        self.stages = stages or Stages()
        self.by_symbol = by_symbol      # each symbol is a stage of its own
        self.buckets = [ELSEWHERE]
        self.signs = [""]       # of each bucket
        self.ranges = []        # (first, end, bucket)
        self.programs = []      # (first, end, text): for messages
        self.bells, self.stamps = [], []
        # {first: (stage, end)}: instructions that are counted apart
        self.apart = {}

    def _bucket(self, program, symbol):
        bucket = self.stages.of(program, symbol)
        if self.by_symbol and symbol:
            bucket = (program, symbol, bucket[2])
        return self._index(bucket, signs.sign_of(symbol) if
                           program == "hypervisor" else "")

    def _index(self, bucket, sign=""):
        known = list(zip(self.buckets, self.signs))
        if (bucket, sign) in known:
            return known.index((bucket, sign))
        self.buckets.append(bucket)
        self.signs.append(sign)
        return len(known)

    def _claim(self, first, end, what):
        for low, high, other in self.programs:
            if first < high and low < end:
                raise MeterError(
                    f"{what} (0x{first:x} to 0x{end:x}) and {other} "
                    f"(0x{low:x} to 0x{high:x}) have the same addresses: "
                    f"their instructions can't be told apart; link one of "
                    f"them elsewhere")
        self.programs.append((first, end, what))

    def elf(self, program, path):
        symbols, end = elf_texts(path)
        self._claim(symbols[0][0], end, f"{program} {path}")
        edges = [at for at, _ in symbols[1:]] + [end]
        for (at, symbol), until in zip(symbols, edges):
            if until > at:
                self._symbol(program, symbol, at, until)

    def _symbol(self, program, symbol, at, until):
        own = sorted(a for a in self.apart if at <= a < until)
        for a in own:
            end = self.apart[a][1]
            if a > at:
                self.ranges.append((at, a, self._bucket(program, symbol)))
            self.ranges.append((a, end, self._own(program, symbol, a)))
            at = end
        if until > at:
            self.ranges.append((at, until, self._bucket(program, symbol)))

    def _own(self, program, symbol, at):
        """The bucket of an instruction that is counted apart."""
        return self._index((program, self.apart[at][0],
                            self.stages.of(program, symbol)[2]))

    def plain(self, program, first, end):
        self._claim(first, end, program)
        self.ranges.append((first, end, self._bucket(program, "")))

    def bell(self, first, end):
        self.bells.append((first, end))

    def stamp(self, first, end):
        """There the time of a trace's record is stored."""
        self.stamps.append((first, end))

    def write(self, path):
        lines = [f"buckets {len(self.buckets)}"]
        joined = []
        for first, end, bucket in sorted(self.ranges):
            if joined and joined[-1][1:] == [first, bucket]:
                joined[-1][1] = end
            else:
                joined.append([first, end, bucket])
        lines += [f"range {a:x} {b:x} {c}" for a, b, c in joined]
        lines += [f"doorbell {a:x} {b:x}" for a, b in sorted(self.bells)]
        lines += [f"stamp {a:x} {b:x}" for a, b in self.stamps]
        lines += [f"guest {first:x} {end:x}" for first, end, what in
                  sorted(self.programs) if what.startswith("guest ")]
        # What isn't counted is where a hart waits for others to do something.
        lines += [f"loop {a:x} {b:x}" for a, b, c in joined
                  if not self.buckets[c][2]]
        Path(path).write_text("\n".join(lines) + "\n")
