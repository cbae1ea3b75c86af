#!/usr/bin/env python3
"""The trace converter: files and console logs that may be anything.

    trace_fuzz.py FILE|FOLDER...       replay kept cases, then a few made ones
    trace_fuzz.py --seconds N --found FOLDER --corpus FOLDER [--seed N]
                  FILE|FOLDER...       make more, and keep what fails

An input is a trace's file, or a console's log if it begins with "trace-begin".
Whatever it holds, it is converted to everything there is, or refused in one
line: no traceback, and within a few seconds. Cases are made from a seed: a trace
of records as a machine may write them, with a few bytes changed, or one that is
known with a few bytes changed, or parts of two.

Coverage guides it: which line of the converter came after which is recorded, and
an input that goes a way that none has gone becomes known, and stays in the
corpus.
"""

import argparse
import base64
import contextlib
import hashlib
import importlib.machinery
import importlib.util
import io
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tools"))
from tracelib import capture, ctf, form, perfetto, summary  # noqa: E402

CASE_SECONDS = 20       # a hang, not slowness
CASE_BYTES = 1 << 32    # of address space
QUICK_CASES = 150
EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 1 << 31, (1 << 32) - 1, 1 << 63,
         (1 << 64) - 1]


def tool():
    """tools/trace, which has no .py to import it by."""
    loader = importlib.machinery.SourceFileLoader(
        "trace_tool", str(TOP / "tools" / "trace"))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("trace_tool", loader))
    loader.exec_module(module)
    return module


TOOL = tool()


def convert(data):
    """All that can be done with a trace; form.Error if it is none."""
    if data.startswith(b"trace-begin"):
        trace = capture.from_console(
            data.decode(errors="replace").replace("\r", ""))
    else:
        trace = form.parse(data)
    with tempfile.TemporaryDirectory() as folder, \
            contextlib.redirect_stdout(io.StringIO()) as out:
        TOOL.text(trace, out)
        summary.text(trace)
        summary.text(trace, True)
        ctf.write(trace, Path(folder) / "ctf")
        perfetto.write(trace, Path(folder) / "perfetto")
        form.write(trace, Path(folder) / "again")
        again = form.read(Path(folder) / "again")
    # Written and read, a trace is the same.
    assert [c.records for c in again.cpus] == [c.records for c in trace.cpus]
    assert again.names == trace.names and again.hz == trace.hz


def complaint(data):
    """What is wrong with how an input was taken; None: nothing."""
    def late(*_):
        raise TimeoutError(f"no end within {CASE_SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(CASE_SECONDS)
    try:
        convert(data)
    except form.Error as error:
        text = str(error)
        if not text or not text.isprintable():
            return f"not one line for a person: {text!r}"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    return None


class Ways:
    """Which line of the converter came after which, whatever the input."""

    def __init__(self):
        self.gone = set()
        self.ours = {}  # a file's name: is it the converter's?

    def _call(self, frame, event, arg):
        file = frame.f_code.co_filename
        if file not in self.ours:
            self.ours[file] = Path(file).is_relative_to(TOP / "tools")
        if not self.ours[file]:
            return None
        last = frame.f_lineno

        def line(frame, event, arg):
            nonlocal last
            if event == "line":
                self.now.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return line
        return line

    def complaint(self, data):
        """(what complaint says, whether a new way was gone)."""
        self.now = set()
        sys.settrace(self._call)
        try:
            wrong = complaint(data)
        finally:
            sys.settrace(None)
        new = not self.now <= self.gone
        self.gone |= self.now
        return wrong, new


# --- making inputs -----------------------------------------------------------

def records(rng, cpu, count):
    now = rng.randrange(1000)
    numbers = list(form.EVENTS)
    for _ in range(count):
        now += rng.choice([0, 1, rng.randrange(1000)])
        vcpu = rng.choice([0, 1, 2, 3, form.NOBODY, rng.randrange(9)])
        words = [rng.choice([0, 1, rng.randrange(8), rng.choice(EDGES),
                             rng.getrandbits(64)]) for _ in range(2)]
        yield form.RECORD.pack(now, rng.choice(numbers), cpu, vcpu, *words)


def file_make(rng):
    cpus = rng.randrange(1, 4)
    names = rng.randrange(4)
    out = form.FILE.pack(form.MAGIC, 1, 64, 10000000, cpus, names, 32, 64, 32,
                         0xffff, 5000, 1790000000000000000)
    for i in range(names):
        out += form.NAME.pack(i, i, 0, rng.choice([1, 1, 1, 0]), 0, form.NEVER,
                              rng.choice([b"linux0", b'a"b\\', b"\xff\x1b[m",
                                          b""]))
    for cpu in range(cpus):
        for _ in range(rng.randrange(1, 3)):
            rows = list(records(rng, cpu, rng.randrange(60)))
            out += form.CPU.pack(cpu, rng.randrange(4), rng.randrange(4),
                                 len(rows), 0) + b"".join(rows)
    return out


def spoil(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        if not data:
            break
        # The first bytes say what all the others mean.
        at = rng.randrange(min(len(data), rng.choice([64, len(data)])))
        how = rng.randrange(5)
        if how == 0:
            data[at] = rng.randrange(256)
        elif how == 1:
            size = rng.choice([2, 4, 8])
            at &= -size
            edge = rng.choice(EDGES) & ((1 << 8 * size) - 1)
            data[at:at + size] = edge.to_bytes(size, "little")
        elif how == 2:
            del data[at:at + rng.randrange(1, 64)]
        elif how == 3:
            data[at:at] = data[at:at + rng.randrange(64)]
        else:
            del data[at:]
    return bytes(data)


def log_make(data):
    """The same as `trace dump` prints it."""
    lines = ["trace-begin"]
    for n, at in enumerate(range(0, len(data), 48)):
        lines.append(f"trace:{n:x}:"
                     f"{base64.b64encode(data[at:at + 48]).decode()}")
    lines.append(f"trace-end {len(lines) - 1:x}\n")
    return "\n".join(lines).encode()


def splice(rng, a, b):
    at = rng.randrange(min(len(a), len(b)) + 1)
    return a[:at] + b[at:]


def make(rng, known):
    how = rng.randrange(4)
    if how == 0 or not known:
        data = spoil(rng, file_make(rng))
    elif how == 1:
        data = splice(rng, rng.choice(known), rng.choice(known))
    else:
        data = spoil(rng, rng.choice(known))
    return spoil(rng, log_make(data)) if rng.randrange(4) == 0 else data


# --- main --------------------------------------------------------------------

def cases(paths):
    for path in map(Path, paths):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            yield file, file.read_bytes()


def keep(folder, prefix, data):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (prefix + hashlib.sha1(data).hexdigest())
    file.write_bytes(data)
    return file


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float)
    p.add_argument("--found", type=Path)
    p.add_argument("--corpus", type=Path)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("paths", nargs="+")
    return p.parse_args()


def main():
    args = arguments()
    resource.setrlimit(resource.RLIMIT_AS, (CASE_BYTES, CASE_BYTES))
    ways, known, failed, made, learnt = Ways(), [], 0, 0, 0
    learns = args.corpus and args.corpus.is_dir()
    for path, data in cases([*args.paths, *([args.corpus] if learns else [])]):
        known.append(data)
        wrong, _ = ways.complaint(data)
        if wrong:
            failed += 1
            print(f"{path}: {wrong}")
    kept = len(known)
    end = time.monotonic() + (args.seconds or 0)
    while (time.monotonic() < end if args.seconds else made < QUICK_CASES):
        data = make(random.Random(f"{args.seed} {made}"), known)
        made += 1
        wrong, new = ways.complaint(data)
        if wrong:
            failed += 1
            print(f"seed {args.seed}, case {made - 1}: {wrong}")
            if args.found:
                print(f"written to {keep(args.found, 'crash-', data)}")
                break
        elif new:
            learnt += 1
            known.append(data)
            if args.corpus:
                keep(args.corpus, "", data)
    print(f"{kept} kept, {made} made, {learnt} of them learnt, "
          f"{len(ways.gone)} ways, {failed} failed")
    return 1 if failed or not kept else 0


sys.exit(main())
