"""The soak: twelve guests on four harts, and an operator who does everything
at random, for as long as one likes.

Every record of the trace is judged, as it is found in the machine's memory, and
the listings every few seconds (invariants.py). Then all guests are given what
they need, and each of their vCPUs must be seen to go on: so a wake-up that was
lost is found soon after the commands that lost it. At the end no page is
missing.

    make soak MINUTES=30 SEED=7           all by itself
    make soak REPLAY=path/to/steps.txt    the steps of a run, or some of them

What was done is in steps.txt beside the console's log. Times are the host's;
nothing is judged by them.
"""

import json
import os
import re
import threading
import time
from pathlib import Path

import invariants
import matrix
import soak_plan
from harness import BUILD, SLOW, TOP, Case, Failure, Refused, socket_path
from labs import Shell, guest, lab
from tracelib import capture, form

ESCAPE, CTRL_C = "\x1d", "\x03"
PATIENCE = 150      # s, for what hangs

# What a command may answer: the guest is not in the state that it needs, or
# there is no room under a policy that has little.
ANSWERS = re.compile(
    r"guest: \w+ is (still )?\w+; (expected|it goes on)|"
    r"guest: \w+ did not start|guest: no guest 'visitor'|"
    r"(guest|vcpu|set): \w+: .*|guest: visitor|"
    r"sched: (another change is on its way|\w+ has no room)|"
    r"trace: (a change is on its way|nothing (is|was) recorded)")
ERROR = re.compile(r"^(guest|vcpu|set|sched|trace|stats|watch|console|mem|top|"
                   r"log): ")
# Of the log: no guest of ours does anything that it may not.
FORBIDDEN = re.compile(r"^\[ *\d+\.\d+\] .*(can't go on|can't be started|"
                       r"not enough).*$", re.M)


class Witness(threading.Thread):
    """Looks at the trace, all the time, and judges it while the machine goes
    on. A look takes some ms, of which the machine knows nothing. One that comes
    too late for a record is a failure; the rings have room for several seconds
    of a machine that has the host for itself."""

    PAUSE_S, FULL = 0.5, 0.25   # none after a look that found a ring so full

    def __init__(self, qmp, folder):
        super().__init__(daemon=True)
        self.qmp, self.folder = qmp, folder
        self.place = capture.place(BUILD / "rouse.elf")
        self.collector, self.judge = capture.Collector(), invariants.Judge()
        self.fullest = 0
        self.bad = []
        self.lock = threading.RLock()
        self.over = threading.Event()

    def run(self):
        while not self.bad and not self.over.wait(
                0 if self.collector.fullest > self.FULL else self.PAUSE_S):
            self.look()

    def look(self):
        with self.lock:
            if self.bad:
                return
            try:
                self.bad = self.judged()
            except Exception as error:  # noqa: BLE001: else a thread dies of it
                self.bad = [f"the trace can't be judged: {error!r}"]

    def judged(self):
        c = self.collector
        with capture.standing(self.qmp) as memory:
            pieces = c.look(memory, self.place)
        self.fullest = max(self.fullest, c.fullest)
        bad = self.judge.problems(pieces)
        if c.lost or c.cut:
            bad.append(f"{c.lost} records, and {c.cut} ends of recordings, "
                       "were gone before they were looked at")
        if bad:
            self.keep()
        return bad

    def keep(self):
        """What the rings hold now."""
        with self.lock, capture.standing(self.qmp) as memory:
            form.write(capture.memory_read(memory, self.place),
                       self.folder / "trace.bin")

    def end(self):
        """After a last look."""
        self.over.set()
        self.look()

    def story(self, now_ns):
        judged, ns = self.judge.judged()
        return (f"the trace was on {ns / 1e9:.0f} of {now_ns / 1e9:.0f} s, "
                f"{len(self.judge.streams)} times, {judged} of its "
                f"{self.judge.records} records were judged, at most "
                f"{100 * self.fullest:.0f} % of a ring at a look")


class Soak:
    def __init__(self, t, row):
        self.t = t
        path = socket_path("soak", self)
        images = [guest(k.name, autostart=False,
                        **{n.replace("-", "_"): v for n, v in k.knobs.items()
                           if n in ("kernel", "initrd", "memory")})
                  for k in soak_plan.KINDS]
        self.m = t.boot(lab=lab(*images), mem="1G",
                        options=["-qmp", f"unix:{path},server=on,wait=off"],
                        **matrix.options(row, "watchdog=off"))
        self.m.expect("rouse> ", 60)
        self.witness = Witness(capture.Qmp(path, PATIENCE), t.folder)
        os.unlink(path)
        self.shell = Shell(self.m)
        self.done = open(t.folder / "steps.txt", "w")
        self.last = None
        self.settled = self.calms = self.steps = 0

    # --- steps ---

    def do(self, step):
        self.done.write(step + "\n")
        self.done.flush()
        self.steps += 1
        word, _, rest = step.partition(" ")
        own = {"@attach": self.attach, "@break": self.interrupt,
               "@calm": self.calm, "@check": self.listing,
               "@settle": self.settle, "@trace": self.trace}
        if word in own:
            own[word](rest)
        else:
            self.answered(step, self.shell.run(step, PATIENCE))
        self.log_is_clean()
        self.judge(self.witness.bad)

    def all_of(self, step, commands):
        """Commands that follow each other, a few in a line: of a long one the
        console shows all again with every few keys that it gets."""
        line = []
        for command in [*commands, None]:
            if line and (not command or len("; ".join(line + [command])) > 150):
                self.answered(step, self.shell.run("; ".join(line), PATIENCE))
                line = []
            line.append(command)

    def answered(self, step, lines):
        for line in lines:
            if ERROR.match(line) and not ANSWERS.match(line):
                raise Failure(f"{step!r} is answered {line!r}")

    def log_is_clean(self):
        bad = FORBIDDEN.search(self.m.text, max(0, self.m.seen - 4000))
        if bad:
            raise Failure(bad.group(0))

    def attach(self, rest):
        name, _, keys = rest.partition(" ")
        self.m.line(f"console {name}")
        self.m.expect(rf"\[rouse: console of {name}", PATIENCE)
        self.m.send(keys.encode().decode("unicode_escape"))
        self.m.send(ESCAPE)
        self.m.expect(rf"\[rouse: left {name}\]", PATIENCE)

    def interrupt(self, command):
        self.m.line(command)
        self.m.send(CTRL_C)
        self.shell.run("", PATIENCE)

    # --- checks ---

    def trace(self, rest):
        """Off, and all seen before a new recording takes its place."""
        self.until("the trace is off", lambda: self.shell.run("trace off"))
        self.witness.look()
        if rest != "off":
            self.answered(rest, self.shell.run(f"trace {rest}", PATIENCE))

    @staticmethod
    def judge(bad):
        if bad:
            raise Failure("\n".join(bad[:10]))

    def listing(self, _=""):
        lines = self.shell.run(invariants.Listing.COMMAND + " -j", PATIENCE)
        now = invariants.Listing([json.loads(line) for line in lines
                                  if line.startswith("{")])
        self.judge(invariants.problems(self.last, now))
        self.last = now
        return now

    def settle(self, _=""):
        """Everybody may run; who does not go on now never will."""
        commands = [f"sched set {matrix.default()}"]
        for k in soak_plan.KINDS:
            commands += [
                f"set {k.name} pin=none affinity=all weight=256 "
                f"cap={k.knobs.get('cap', 0)} priority=100 slice-us=10000 "
                "wfi=trap", f"guest resume {k.name}"]
        self.all_of("@settle", commands)
        self.until("all guests run", self.all_run)
        then = self.listing()
        self.until("all vCPUs go on", lambda: self.not_gone_on(then))
        self.settled += 1

    def until(self, what, left):
        """`left` says what is not so yet. What hangs is what stays as it is."""
        before = None
        while True:
            self.judge(self.witness.bad)
            missing = left()
            if not missing:
                return
            if missing != before:
                before, end = missing, time.monotonic() + PATIENCE * SLOW
            if time.monotonic() > end:
                self.hangs()
                raise Failure(f"not so, and nothing changes: {what}: {missing}")
            time.sleep(0.5)

    def hangs(self):
        self.witness.keep()
        self.shell.run("vcpu list; sched cpus; log 50", PATIENCE)
        self.m.dump()

    def all_run(self):
        guests = self.shell.guests()
        off = [n for n in soak_plan.NAMES if guests[n]["state"] == "stopped"]
        if off:
            self.shell.run(f"guest start {' '.join(off)}", PATIENCE)
        return [f"{n} is {guests[n]['state']}" for n in soak_plan.NAMES
                if guests[n]["state"] != "running"
                and not soak_plan.BY_NAME[n].lives]

    def not_gone_on(self, then):
        """Who has not run since then, in the life that it had or a new one."""
        now = self.listing()
        missing = []
        for k in soak_plan.KINDS:
            reborn = (now.guests[k.name]["boots"]
                      > then.guests[k.name]["boots"])
            still = [i for i in range(k.vcpus)
                     if now.vcpus[k.name, i]["running_ns"]
                     == then.vcpus[k.name, i]["running_ns"]]
            if k.each and still:
                missing.append(f"{k.name}: vCPUs {still}")
            elif not k.each and len(still) == k.vcpus and not reborn:
                missing.append(k.name)
        return missing

    def calm(self, name):
        """Nobody runs but `name`, whose vCPUs do nothing but wake each other:
        no other mail and no end of a turn makes up for a ring that a CPU which
        sleeps did not hear."""
        others = [f"guest pause {n}" for n in soak_plan.NAMES if n != name]
        self.all_of("@calm", [
            "guest stop visitor", *others,
            f"set {name} affinity={soak_plan.CALM_CPUS}",
            f"guest resume {name}"])
        then = self.wakes(name)
        self.until(f"{name}, alone, has been woken {soak_plan.CALM_WAKES} "
                   "times", lambda: self.too_few(name, then))
        self.calms += 1

    def wakes(self, name):
        return sum(v["wakes"] for (n, _), v in self.shell.vcpus().items()
                   if n == name)

    def too_few(self, name, then):
        woken = self.wakes(name) - then
        return "" if woken >= soak_plan.CALM_WAKES else f"{woken} times"

    # --- from the first page to the last ---

    def memory(self):
        """With nothing remembered of what was typed but this: a line as long
        as all that is remembered drives out what was before it, and itself
        goes when the next one comes."""
        self.m.line("#" * soak_plan.REMEMBERED)
        return self.shell.json("mem")[0]

    def begin(self):
        """Whatever is ever recorded has its memory before the first look."""
        self.shell.run("watch off")
        self.shell.run(f"trace on size={soak_plan.TRACE_KIB}; trace off; "
                       "sleep 0.5; trace on life size=1; trace off",
                       PATIENCE)
        self.witness.start()
        self.shell.run("guest destroy " + " ".join(soak_plan.NAMES), PATIENCE)
        self.shell.use_up_names(PATIENCE)
        self.first = self.memory()
        for k in soak_plan.KINDS:
            self.t.equal(self.shell.run(k.create(), PATIENCE), [], k.name)
        self.settle()

    def end(self):
        self.do("@settle")
        if self.calms < len(soak_plan.WAKERS):
            for name in soak_plan.WAKERS:
                self.do(f"@calm {name}")
        # Some end and begin by themselves: until all have been caught.
        self.all_of("the end", [
            f"set {k.name} on-poweroff=stop on-reboot=stop"
            for k in soak_plan.KINDS])
        self.until("all are stopped", lambda: [
            n for n, g in self.shell.guests().items()
            if g["state"] != "stopped"
            and self.shell.run(f"guest resume {n}; guest stop {n}", PATIENCE)])
        names = " ".join(self.shell.guests())
        self.trace("off")
        self.witness.end()
        self.judge(self.witness.bad)
        self.listing()
        self.shell.run(f"trace on size=1; trace off; guest destroy {names}",
                       PATIENCE)
        self.t.equal(self.shell.json("guest list"), [], "guests at the end")
        self.until("all memory is back", self.pages_lost)
        self.m.line("poweroff")
        self.t.equal(self.m.wait(), 0, "QEMU's status")

    def pages_lost(self):
        """Objects to the byte, and all frames that are no object's. (Objects of
        Rouse's own that were made anew may lie in other slabs than before.)"""
        now = self.memory()
        if self.kept(now) != self.kept(self.first):
            return f"at first {self.first}, now {now}"
        return None

    @staticmethod
    def kept(memory):
        return (memory["object_bytes"], memory["total_bytes"]
                - memory["free_bytes"] - memory["object_frames_bytes"])

    def story(self):
        now_ns = self.last.now_ns() if self.last else 0
        return (f"{self.steps} steps, {self.settled} times all were seen to go "
                f"on, {self.calms} times one alone; "
                + self.witness.story(now_ns))


def soak(t):
    args = t.args
    run = Soak(t, args["row"])
    limit = time.monotonic() + args["seconds"] * SLOW
    try:
        run.begin()
        for step in args["steps"]:
            run.do(step)
            if time.monotonic() > limit:
                break
        run.end()
    except Failure as why:
        raise Failure(f"{why}\nseed {args['seed']}, after {run.story()}; to "
                      "see it again: make soak REPLAY="
                      f"{(t.folder / 'steps.txt').relative_to(TOP)}") from None
    finally:
        run.witness.over.set()
    print(f"      soak, seed {args['seed']}: {run.story()}", flush=True)


def case(name, seconds, seed, steps=None, **row):
    row = {"smp": soak_plan.CPUS, "sstc": True, "host": "aclint", **row}
    return Case(name, soak, timeout=seconds + 900, seconds=seconds, seed=seed,
                steps=steps or soak_plan.Plan(seed).steps(), row=row)


def asked(name, what, read):
    """What `make soak` was given, or None."""
    text = os.environ.get(f"ROUSE_SOAK_{name}")
    try:
        return read(text) if text else None
    except (OSError, ValueError):
        raise Refused(f"{name}={text}: expected {what}") from None


def minutes_of(text):
    if not 0 < float(text) < 1e6:
        raise ValueError
    return float(text)


def tests(full):
    minutes = asked("MINUTES", "a number of minutes above 0", minutes_of)
    seed = asked("SEED", "a whole number", int)
    steps = asked("REPLAY", "a file with a list of steps",
                  lambda path: Path(path).read_text().splitlines())
    if steps:
        return [case("the_same_again", 1e6, "of that list", steps)]
    if seed is None:
        seed = int(time.time()) if full or minutes else 1
    if minutes:
        return [case(f"nothing_is_stuck_nothing_is_lost,seed_{seed}",
                     60 * minutes, seed)]
    if not full:
        return [case("nothing_is_stuck_and_nothing_is_lost", 120, seed)]
    kinds = [case(f"nothing_is_stuck_and_nothing_is_lost,{matrix.label(row)}",
                  450, seed + n, **row)
             for n, row in enumerate((
                 {"host": "aclint", "sstc": True},
                 {"host": "aia", "sstc": True},
                 {"host": "plic", "sstc": False},
                 {"host": "aclint-sbi", "sstc": True, "vmid": 2}))]
    # And one machine that grows old.
    return [*kinds, case("nothing_is_stuck_after_half_an_hour", 1800,
                         seed + len(kinds))]
