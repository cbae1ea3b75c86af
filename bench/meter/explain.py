"""What the rounds that took longest did more than the others, by their traces.

The meter counts with the trace off, so its outliers have no trace. Here the
row is run again and recorded. A recorded wake takes the long way and the
records themselves count as well, so the median is another one; but what comes
between the trigger and the handler of an outlier (a timer, another turn, a task)
comes from outside of the operation, and is what comes then when nothing is
recorded.

Rounds and records are told to belong together by their number: the sender raises
one interrupt at the receiver in each round, and others only after the last. A round's
records are the receiver's CPU's from that moment until it sleeps again. An
outlier that has no more or other records than most rounds is said to be
unexplained.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter

from . import operations
from .figures import Figures
from .images import MeterError
from .machine import BUILD, TOP, slow
from .records import Rounds, read
from .machine import rows as all_rows

sys.path.insert(0, str(TOP / "tools"))
from tracelib import capture, form  # noqa: E402

ELF = BUILD / "rouse.elf"
CLASSES = "exit,memory,virq,sched,bell,timer"
# By the row's handler: the interrupt that the sender raises.
VIRQ = {"MARK_SOFT": 1, "MARK_EXTERNAL": 2}
SENDER, RECEIVER = ":0", ":1"
SHOWN = 3  # with all of their records


def recorded(run):
    """Runs the machine and takes its trace when it has powered off:
    (Rounds, Trace)."""
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
            finally:
                if qemu.poll() is None:
                    qemu.kill()
                qemu.wait()
    found = Rounds({r.number: r for r in all_rows()}, run.map.buckets)
    found.take_all(read(run.folder / "records"))
    (run.folder / "records").unlink()
    return found, trace


def taken(qemu, socket, seconds):
    end = time.monotonic() + seconds
    while not os.path.exists(socket):
        if qemu.poll() is not None or time.monotonic() > end:
            raise MeterError("QEMU did not start")
        time.sleep(0.1)
    qmp = capture.Qmp(socket, 60)
    while qmp.run("query-status")["running"]:
        if qemu.poll() is not None or time.monotonic() > end:
            raise MeterError(f"no end after {seconds:.0f} s")
        time.sleep(0.2)
    trace = capture.from_qemu(qmp, ELF)
    qmp.run("quit")
    qemu.wait(60)
    return trace


def stories(trace, virq):
    """For each interrupt that the sender raises: the records from there until
    the receiver sleeps again."""
    found, open_, cpu = [], None, None
    for r in trace.merged():
        name = form.EVENTS[r[1]].name if r[1] in form.EVENTS else ""
        who = trace.who(r[3])
        if name == "VIRQ_ASSERT" and r[4] == virq and \
                who.endswith(RECEIVER) and trace.who(r[5]).endswith(SENDER):
            open_ = []
            found.append(open_)
        if open_ is None:
            continue
        if name == "DISPATCH" and who.endswith(RECEIVER):
            cpu = r[2]
        open_.append((r, name))
        if name == "BLOCK" and who.endswith(RECEIVER):
            open_ = None
    return [[(r, name) for r, name in story if r[2] == cpu]
            for story in found]


def shown(name, value):
    if name.endswith("_chars"):
        return value.to_bytes(8, "little").rstrip(b"\0").decode("latin-1")
    return f"{value:#x}"


def line_of(trace, r, name, begin):
    event = form.EVENTS.get(r[1])
    words = " ".join(f"{what.rsplit('_', 1)[0]}={shown(what, value)}"
                     for what, value in ((event.a, r[4]), (event.b, r[5]))
                     if what) if event else ""
    at = (trace.ns(r[0]) - trace.ns(begin)) / 1000
    return f"      {at:9.1f} us  CPU {r[2]}  {trace.who(r[3]):9} {name:12} " \
           f"{words}".rstrip()


def outliers(done, numbers, told, median):
    """[(instructions, round, what it recorded more than usual)] of the rounds
    over 1.1 medians, longest first; and what is usual."""
    names = [[name for _, name in story] for story in told]
    usual = Counter(tuple(names[n]) for n in numbers).most_common(1)[0][0]
    late = [(sum(counts), n, Counter(names[n]) - Counter(usual))
            for counts, n in zip(done, numbers) if sum(counts) > 1.1 * median]
    return sorted(late, key=lambda o: o[:2], reverse=True), usual


def explain(opt, key, row, out=print):
    """Prints one row's outliers, on one kind of machine; returns how many they
    are and how many of them their traces don't explain."""
    if row.how != "cross" or row.state != "asleep" or \
            row.handler not in VIRQ:
        raise MeterError(f"--explain: {row.name} is no interrupt to a vCPU "
                         f"asleep on another hart")
    size = max(1024, 4 * opt.rounds)
    run = operations.run_of(operations.options(
        rows=row.name, rounds=opt.rounds, sleep_us=opt.sleep_us,
        append=f'{opt.append} cmd="trace on {CLASSES} size={size} '
               f'mode=fill"'.strip(), memory=opt.memory), key, "main")
    rounds, trace = recorded(run)
    done = rounds.done.get(row.name, [])
    told = stories(trace, VIRQ[row.handler])
    if len(told) < rounds.began.get(row.name, 0) or not done:
        raise MeterError(f"{row.name}: {rounds.began.get(row.name)} rounds, "
                         f"but {len(told)} interrupts in the trace")
    figures = Figures(done, run.map.buckets)
    late, usual = outliers(done, rounds.numbers[row.name], told,
                           figures.median)
    out(f"{key} {row.name}, recorded: {figures.n} rounds, median "
        f"{figures.median}, p99 {figures.p99}; {len(late)} over 1.1 medians")
    out(f"    a usual round: {', '.join(usual)}")
    for i, (total, n, more) in enumerate(late):
        what = ", ".join(f"{k} {name}" for name, k in more.items())
        out(f"    round {n}: {total} instructions; more than usual: "
            f"{what or 'nothing that is recorded'}")
        for r, name in told[n] if i < SHOWN else ():
            out(line_of(trace, r, name, told[n][0][0][0]))
    dark = sum(not more for _, _, more in late)
    out(f"    {len(late) - dark} of {len(late)} are explained by what was "
        f"recorded")
    return len(late), dark
