"""Why the rounds that took longest took longer, by their traces.

The meter counts with the trace off, so its outliers have no trace. Here the
row is run again and recorded. A recorded wake takes the long way and the
records themselves count as well, so the median is another one; but what comes
between the trigger and the handler of an outlier (a timer, another turn, a task)
comes from outside of the operation, and is what comes then when nothing is
recorded.

A round's records are those that a CPU wrote while its hart was counted. The plugin
sees each of them written (a stamp): so it is known when that was by the clock that
the rounds have, the host's, whatever that has to do with the machine's.

What most rounds have recorded is usual. A round that took longer is told by what it
has more, or else by what it lacks, in the words of CAUSES, the first that applies;
with no difference at all it is unexplained.

So a counted outlier (a round of more than 1.1 medians) is never the recorded one.
What both have is what they took more than a usual round, stage by stage: an outlier
has the cause of a recorded round that took more in the same stages, and about as
much. Rows are recorded REPEATS times, until all of their outliers have one. Which
have none then are told by their own instructions, where these are a sign (signs.py):
a recorded round takes none of the short ways, so nothing can be seen of one that was
refused. Without that, too, they were not seen again.
"""

import math
import os
import re
import subprocess
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter, namedtuple

from . import hooks, operations, signs, table
from .figures import Figures, parts
from .images import MeterError
from .machine import BUILD, MACHINES, TOP, skips, slow
from .machine import rows as all_rows

sys.path.insert(0, str(TOP / "tools"))
from tracelib import capture, form  # noqa: E402

TITLE = "Rounds that took longer"
QUESTION = ("What came in between in the rounds of an operation that took over "
            "1.1 medians? The meter counts without a trace, so its rows are "
            "recorded once more: a round has the reason of one that took "
            "about as much more in the same stages. If none did in three "
            "runs, it has the one that its own instructions give, or was "
            "not seen again.")
COLUMNS = [
    table.key("machine"), table.key("row"), table.key("cause"),
    table.column("n", "rounds", compare=False),
    table.column("median", table.UNIT, compare=False),
    table.column("rounds", "rounds", "that took longer for it", compare=False),
    table.column("recorded", "rounds", "recorded", compare=False)]

ELF = BUILD / "rouse.elf"
CLASSES = "exit,memory,virq,sched,bell,timer"
SHOWN = 3  # with all of their records
UNEXPLAINED = "unexplained: nothing else was recorded"
UNSEEN = "not seen again"
REPEATS = 3
# Two excesses are of one kind if they point the same way (their cosine, stages
# being the axes), and neither is more than so many times the other. What is
# recorded makes the one longer.
SAME_WAY, SAME_SIZE = 0.8, 2

# What a round recorded more, and what that means; the first that applies.
CAUSES = (
    ("TASK", "a step of a task of the hypervisor's ({})"),
    ("STEAL_ASK", "the CPU compared itself with others, and asked for work"),
    ("STEAL_ANSWER", "another CPU asked this one for work"),
    ("BALANCE", "the CPU compared itself with others"),
    ("REST_END", "a CPU was told that a vCPU waits"),
    ("PAGE_FAULT", "memory touched for the first time"),
    ("SLICE_END", "another vCPU's turn ended in it"),
    ("PREEMPT", "another vCPU's turn ended in it"),
    ("STAY", "an interrupt came while the vCPU went to sleep"),
    ("CPU_WAIT", "the CPU was woken, and waited again"),
    ("TIMER_FIRE", "a sleeping vCPU's own timer was due"),
    ("BELL_TAKEN", "the doorbell was rung once more"),
    ("BELL_ELIDED", "a doorbell was not needed: the other CPU was awake"),
    ("EXIT 0x8000000000000005", "the CPU's own timer ended the turn"),
    ("EXIT 0x8000000000000001", "a doorbell ended the turn"),
    ("EXIT 0x8000000000000009", "a doorbell ended the turn"),
    ("EXIT", "an exit more (cause {})"),
    ("DISPATCH", "another vCPU was dispatched in it"),
    ("ENTRY", "the hart was in the hypervisor already when it began"),
    ("", "recorded more: {}"),
)


def recorded(run):
    """Runs the machine and takes its trace when it has powered off:
    (Rounds, Trace, the console's text)."""
    with tempfile.TemporaryDirectory(prefix="rouse-meter-") as folder:
        socket = os.path.join(folder, "qmp")
        run.options += ["-action", "shutdown=pause", "-qmp",
                        f"unix:{socket},server=on,wait=off"]
        run.map.stamp(*hooks.time_store(hooks.disassembly(ELF)))
        run.map.write(run.folder / "map")
        with open(run.folder / "console.log", "w") as log:
            qemu = subprocess.Popen(run.command(), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=subprocess.STDOUT,
                                    cwd=TOP)
            try:
                trace = taken(qemu, socket, run.timeout * slow())
            except (form.Error, OSError) as error:
                raise MeterError(f"{run.name}: {error}") from None
            finally:
                if qemu.poll() is None:
                    qemu.kill()
                qemu.wait()
    text = (run.folder / "console.log").read_text(errors="replace")
    run.ran(text)
    return run.taken(), trace, text


def taken(qemu, socket, seconds):
    qmp = capture.connected(socket, qemu)
    if not capture.wait_for(lambda: not qmp.run("query-status")["running"],
                            seconds, qemu, "all rounds were done"):
        raise form.Error(f"no end after {seconds:.0f} s")
    trace = capture.from_qemu(qmp, ELF)
    qmp.run("quit")
    qemu.wait(60)
    return trace


def written(cpu, stamps):
    """When each record of a trace's CPU was written, in ns of the host. The first
    of them are kept, and the last one that was seen may not be counted yet."""
    n = len(cpu.records)
    if [tick for _, tick in stamps[:n]] != [r[0] for r in cpu.records]:
        raise MeterError(f"the trace of CPU {cpu.cpu} has other records than "
                         "were seen written")
    return [ns for ns, _ in stamps[:n]]


def cpu_of(text):
    """{hart: CPU}: the boot hart is CPU 0, the others come in their order."""
    boot = re.search(r"Boot HART ID\s*: (\d+)", text)
    boot = int(boot[1]) if boot else 0
    return {hart: 0 if hart == boot else hart + (hart < boot)
            for hart in range(64)}


class Recorded:
    """A trace, to be asked for what a CPU recorded when."""

    def __init__(self, trace, stamps, cpus):
        self.trace, self.cpus = trace, cpus
        harts = {cpu: hart for hart, cpu in cpus.items()}
        self.times = [written(c, stamps.get(harts[c.cpu], []))
                      for c in trace.cpus]

    def story(self, spans):
        """What was recorded in a round: [(record, key)]."""
        found = []
        for hart, begin, end in spans:
            cpu = self.cpus[hart]
            records = self.trace.cpus[cpu].records
            first = bisect_left(self.times[cpu], begin)
            last = bisect_right(self.times[cpu], end)
            found += [(r, key_of(r)) for r in records[first:last]]
        return sorted(found, key=lambda one: one[0][0])


def is_reason(cause):
    """Of a line's: does it say why?"""
    return cause not in (UNSEEN, UNEXPLAINED)


def key_of(r):
    """What kind of record it is, for counting."""
    name = form.name_of(r[1])
    if name == "EXIT":
        return f"EXIT {r[4]:#x}"
    if name == "TASK":
        return f"TASK {form.chars(r[5])}"
    return name


def cause_of(keys, usual):
    """Why a round with these keys isn't like usual ones: words of CAUSES."""
    more, less = Counter(keys) - Counter(usual), Counter(usual) - Counter(keys)
    for word, text in CAUSES:
        key = next((k for k in more if k.startswith(word)), None)
        if key:
            return text.format(key[len(word):].strip())
    return f"went another way, without {', '.join(sorted(less))}" if less \
        else UNEXPLAINED


def line_of(trace, r, begin):
    at = (trace.ns(r[0]) - trace.ns(begin)) / 1000
    words = " ".join(filter(None, form.words(r, trace)))
    return f"      {at:9.1f} us  CPU {r[2]}  {trace.who(r[3]):9} " \
           f"{form.name_of(r[1]):12} {words}".rstrip()


Late = namedtuple("Late", "total number cause excess")


class Told:
    """A row that was recorded."""

    def __init__(self, row, rounds, records, buckets):
        self.figures = Figures(rounds.done[row.name], buckets)
        self.trace = records.trace
        self.stories = [records.story(spans)
                        for spans in rounds.spans[row.name]]
        median = self.figures.median
        usual = usual_of(self.figures.rounds, self.stories, median)
        # All that took more than half of them, longest first.
        self.late = sorted((
            Late(sum(counts), n,
                 cause_of([key for _, key in self.stories[n]], usual),
                 excess(buckets, counts, self.figures.typical))
            for n, counts in enumerate(self.figures.rounds)
            if sum(counts) > median), reverse=True,
            key=lambda late: (late.total, late.number))

    def outliers(self):
        return [o for o in self.late if o.total > 1.1 * self.figures.median]

    def like(self, more):
        """The one whose excess is nearest to `more`, of those alike; or None."""
        some = [o for o in self.late if alike(o.excess, more)]
        return min(some, default=None, key=lambda o: abs(
            length(o.excess) - length(more)))

    def show(self, late, out):
        for r, _ in self.stories[late.number]:
            out(line_of(self.trace, r, self.stories[late.number][0][0][0]))


def usual_of(done, stories, median):
    """What most rounds have recorded that are no outliers."""
    return Counter(tuple(sorted(key for _, key in story))
                   for counts, story in zip(done, stories)
                   if sum(counts) <= 1.1 * median).most_common(1)[0][0]


def excess(buckets, counts, typical):
    """{stage: how many instructions more than in the typical round}"""
    return parts(buckets, [a - b for a, b in zip(counts, typical)])


def length(more):
    return math.sqrt(sum(n * n for n in more.values()))


def alike(one, other):
    """Are two excesses of one kind?"""
    sizes = sorted((length(one), length(other)))
    along = sum(n * other.get(stage, 0) for stage, n in one.items())
    return 0 < sizes[1] <= SAME_SIZE * sizes[0] and \
        along >= SAME_WAY * sizes[0] * sizes[1]


def told(opt, key, part, names):
    """{row: Told} of these rows of a part, recorded."""
    kib = max(4096, opt.rounds * max(64, 8 * len(names)))
    some = operations.options(
        rows=",".join(names), rounds=opt.rounds, sleep_us=opt.sleep_us,
        append=opt.append, memory=opt.memory, prefix=opt.prefix,
        first=f"trace on {CLASSES} size={kib} mode=fill")
    run = operations.run_of(some, key, part)
    rounds, trace, text = recorded(run)
    for name in names:
        if not rounds.done.get(name):
            why = skips(text).get(name)
            raise MeterError(f"{name}: no rounds" + (f": {why}" if why else
                                                     ""))
    records = Recorded(trace, rounds.stamps, cpu_of(text))
    return {row.name: Told(row, rounds, records, run.map.buckets)
            for row in all_rows() if row.name in names}


def explain(opt, key, row, out=print):
    """Prints what the outliers of one row are when it is recorded, on one kind of
    machine; lines of COLUMNS."""
    part, = operations.parts(operations.options(rows=row.name))
    found = told(opt, key, part, [row.name])[row.name]
    figures, late = found.figures, found.outliers()
    out(f"{key} {row.name}, recorded: {figures.n} rounds, median "
        f"{figures.median}, p99 {figures.p99}; {len(late)} over 1.1 medians")
    causes = Counter(o.cause for o in late)
    for cause, n in causes.most_common():
        out(f"    {n:4}  {cause}")
    for o in late[:SHOWN]:
        out(f"    round {o.number}: {o.total} instructions; {o.cause}")
        found.show(o, out)
    return lines_of(key, row.name, figures, causes or
                    Counter({"none was seen": 0}), figures.n)


class Sought:
    """A row's outliers that were counted, and what causes they have."""

    def __init__(self, name, figures):
        self.name, self.figures = name, figures
        # (Its excess, the reason that its instructions give)
        self.left = [
            (excess(figures.buckets, counts, figures.typical),
             signs.reason(signs.difference(figures.signs, counts,
                                           figures.typical)))
            for counts in figures.rounds
            if sum(counts) > 1.1 * figures.median]
        self.causes, self.recorded, self.shown = Counter(), 0, []

    def look(self, found):
        """Those of which one alike was recorded have its cause."""
        self.recorded += found.figures.n
        left = []
        for more, own in self.left:
            late = found.like(more)
            if not late:
                left.append((more, own))
                continue
            if own and signs.knows_better(own, late.cause, UNEXPLAINED):
                self.causes[own] += 1
                continue
            if not self.causes[late.cause]:
                self.shown.append((found, late))
            self.causes[late.cause] += 1
        self.left = left

    def tell(self, key, out):
        """Prints them; lines of COLUMNS."""
        f = self.figures
        causes = self.causes + Counter(own or UNSEEN for _, own in self.left)
        out(f"{key} {self.name}: {f.n} rounds, median {f.median}, p99 {f.p99}; "
            f"{causes.total()} over 1.1 medians, {self.recorded} recorded")
        for cause, n in causes.most_common():
            out(f"    {n:4}  {cause}")
        for found, late in self.shown[:SHOWN]:
            out(f"    such a one, of {late.total} instructions with its records; "
                f"{late.cause}")
            found.show(late, out)
        return lines_of(key, self.name, f, causes, self.recorded)


def lines_of(key, name, figures, causes, recorded_rounds):
    return [[MACHINES[key], name, cause, figures.n, figures.median, n,
             recorded_rounds] for cause, n in causes.most_common()]


def explain_late(opt, key, found, out=print):
    """Explains the outliers of all rows that were counted; lines of COLUMNS.
    found: {row: Figures}."""
    sought = [s for s in (Sought(row.name, found[row.name]) for row in
                          all_rows() if row.name in found) if s.left]
    out(f"{key}: {len(found) - len(sought)} of {len(found)} rows have no round "
        f"over 1.1 medians")
    for _ in range(REPEATS):
        left = {s.name: s for s in sought if s.left}
        for part, names in by_part(left).items():
            for name, recorded_row in told(opt, key, part, names).items():
                left[name].look(recorded_row)
    return [line for s in sought for line in s.tell(key, out)]


def by_part(names):
    """{part: its rows}, of those."""
    out = {}
    for name in names:
        part, = operations.parts(operations.options(rows=name))
        out.setdefault(part, []).append(name)
    return out
