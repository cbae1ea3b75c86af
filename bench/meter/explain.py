"""Why the rounds that took longest took longer, by their traces.

The meter counts with the trace off, so its outliers have no trace. Here the
row is run again and recorded. A recorded wake takes the long way and the
records themselves count as well, so the median is another one; but what comes
between the trigger and the handler of an outlier (a timer, another turn, a task)
comes from outside of the operation, and is what comes then when nothing is
recorded.

A round's records are those that a CPU wrote while its hart was counted. The
plugin's records have the host's time and the trace's have ticks; QEMU's clock is
the host's but for a constant, which is found from what both have: a WFI of the
hypervisor's and the CPU_WAIT before it; where none waits, a round's begin and who
gives way, or calls.

What most rounds have recorded is usual. An outlier is told by what it has more, or
else by what it lacks, in the words of CAUSES, the first that applies; with no
difference at all it is unexplained. An outlier is a round of more than 1.1
medians.
"""

import os
import re
import subprocess
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter

from . import operations, table
from .figures import Figures
from .images import MeterError
from .machine import BUILD, MACHINES, TOP, skips, slow
from .machine import rows as all_rows

sys.path.insert(0, str(TOP / "tools"))
from tracelib import capture, form  # noqa: E402

TITLE = "Rounds that took longer"
QUESTION = ("Where the 99th percentile of an operation is not within 10 % of its "
            "median: what came in between in the rounds that took longer?")
COLUMNS = [
    table.key("machine"), table.key("row"), table.key("cause"),
    table.column("n", "rounds", compare=False),
    table.column("median", table.UNIT, "median, recorded", compare=False),
    table.column("rounds", "rounds", "that took longer for it", compare=False)]

ELF = BUILD / "rouse.elf"
CLASSES = "exit,memory,virq,sched,bell,timer"
SHOWN = 3  # with all of their records
TICK_NS = 100
BIN_NS = 2000
UPPER_HALF = 1 << 63  # where the hypervisor's text is
UNEXPLAINED = "unexplained: nothing else was recorded"

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
    ("", "recorded more: {}"),
)


def recorded(run):
    """Runs the machine and takes its trace when it has powered off:
    (Rounds, Trace, the console's text)."""
    with tempfile.TemporaryDirectory(prefix="rouse-meter-") as folder:
        socket = os.path.join(folder, "qmp")
        run.options += ["-action", "shutdown=pause", "-qmp",
                        f"unix:{socket},server=on,wait=off"]
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


class Clock:
    """From the host's ns to the trace's ticks."""

    def __init__(self, offset_ns):
        self.offset_ns = offset_ns

    def ticks(self, ns):
        return (ns - self.offset_ns) // TICK_NS


def clock_of(seen, recorded_ticks, began_ns):
    """The Clock by which most of `seen` (ns, what the plugin saw) come right after
    one of the ticks, when the machine began about then. None: it can't be told."""
    ticks = sorted(recorded_ticks)
    found = Counter()
    for ns in seen[-500:]:
        first = bisect_left(ticks, (ns - began_ns - 10**9) // TICK_NS)
        last = bisect_right(ticks, (ns - began_ns + 10**9) // TICK_NS)
        for t in ticks[first:last]:
            found[(ns - t * TICK_NS) // BIN_NS] += 1
    if not found:
        return None
    # They differ by a little, so they may be on both sides of a bin's end.
    best = max(found, key=lambda b: (found[b] + found.get(b + 1, 0), found[b]))
    count = found[best] + found.get(best + 1, 0)
    return Clock(best * BIN_NS) if count > 2 else None


def clock(rounds, row, trace):
    waits = [ns for ns, at in rounds.waits if at >= UPPER_HALF]
    began = rounds.first_ns
    pairs = [(waits, "CPU_WAIT")]
    begins = [spans[0][1] for spans in rounds.spans[row.name]]
    if row.how == "switch":
        pairs.insert(0, (begins, "YIELD"))
    # Its caller waits in an exit, which records no CPU_WAIT.
    if row.how == "fence":
        pairs.insert(0, (begins, "EXIT"))
    for seen, name in pairs:
        found = clock_of(seen, [r[0] for c in trace.cpus for r in c.records
                                if r[1] == form.NUMBER[name]], began)
        if found:
            return found
    raise MeterError(f"{row.name}: the times of its trace and of its rounds "
                     f"have nothing in common")


def cpu_of(text):
    """{hart: CPU}: the boot hart is CPU 0, the others come in their order."""
    boot = re.search(r"Boot HART ID\s*: (\d+)", text)
    boot = int(boot[1]) if boot else 0
    return {hart: 0 if hart == boot else hart + (hart < boot)
            for hart in range(64)}


class Recorded:
    """A trace, to be asked for what a CPU recorded when."""

    def __init__(self, trace, when, cpus):
        self.trace, self.when, self.cpus = trace, when, cpus
        self.times = [[r[0] for r in c.records] for c in trace.cpus]

    def story(self, spans):
        """What was recorded in a round: [(record, key)]."""
        found = []
        for hart, begin, end in spans:
            cpu = self.cpus[hart]
            records = self.trace.cpus[cpu].records
            first = bisect_left(self.times[cpu], self.when.ticks(begin))
            last = bisect_right(self.times[cpu], self.when.ticks(end))
            found += [(r, key_of(r)) for r in records[first:last]]
        return sorted(found, key=lambda one: one[0][0])


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


def outliers(done, stories, median):
    """([(instructions, round, cause)] of the rounds over 1.1 medians, longest
    first; and what is usual. stories: [[(record, key)]], of each round."""
    keys = [tuple(key for _, key in story) for story in stories]
    usual = Counter(tuple(sorted(k)) for counts, k in zip(done, keys)
                    if sum(counts) <= 1.1 * median).most_common(1)[0][0]
    late = [(sum(counts), n, cause_of(keys[n], usual))
            for n, counts in enumerate(done) if sum(counts) > 1.1 * median]
    return sorted(late, key=lambda o: o[:2], reverse=True), usual


def explain(opt, key, row, out=print):
    """Prints one row's outliers, on one kind of machine. Returns its Figures and
    how many there are by cause."""
    some = operations.options(
        rows=row.name, rounds=opt.rounds, sleep_us=opt.sleep_us,
        append=f'{opt.append} cmd="trace on {CLASSES} size='
               f'{max(4096, 64 * opt.rounds)} mode=fill"'.strip(),
        memory=opt.memory)
    run = operations.run_of(some, key, operations.parts(some)[0])
    rounds, trace, text = recorded(run)
    done = rounds.done.get(row.name, [])
    if not done:
        why = skips(text).get(row.name)
        raise MeterError(f"{row.name}: no rounds" + (f": {why}" if why else
                                                     ""))
    told = Recorded(trace, clock(rounds, row, trace), cpu_of(text))
    stories = [told.story(spans) for spans in rounds.spans[row.name]]
    figures = Figures(done, run.map.buckets)
    late, usual = outliers(done, stories, figures.median)
    out(f"{key} {row.name}, recorded: {figures.n} rounds, median "
        f"{figures.median}, p99 {figures.p99}; {len(late)} over 1.1 medians")
    causes = Counter(cause for _, _, cause in late)
    for cause, n in causes.most_common():
        out(f"    {n:4}  {cause}")
    for total, n, cause in late[:SHOWN]:
        out(f"    round {n}: {total} instructions; {cause}")
        for r, _ in stories[n]:
            out(line_of(trace, r, stories[n][0][0][0]))
    return figures, causes


def beyond(found):
    """The names of rows whose p99 is not within 10 % of the median."""
    return [name for name, f in found.items() if f.p99 > 1.1 * f.median]


def lines_of(key, name, figures, causes):
    causes = causes or Counter({"none was seen": 0})
    return [[MACHINES[key], name, cause, figures.n, figures.median, n]
            for cause, n in causes.most_common()]


def explain_beyond(opt, key, out=print):
    """Measures the wanted rows, and explains those beyond; lines of COLUMNS."""
    found, _ = operations.measure(opt, key)
    names = beyond(found)
    out(f"{key}: {len(found) - len(names)} of {len(found)} rows have their p99 "
        f"within 10 % of the median")
    lines = []
    for row in all_rows():
        if row.name in names:
            f = found[row.name]
            out(f"{key} {row.name}, not recorded: {f.n} rounds, median "
                f"{f.median}, p99 {f.p99}; {f.outliers()[0]} over 1.1 medians")
            lines += lines_of(key, row.name, *explain(opt, key, row, out))
    return lines
