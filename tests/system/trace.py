"""Traces: what comes out is what happened, by every way out.

Machines count instructions (-icount), so what is recorded does not depend on
the build host. Traces are taken as `make trace` does, out of the memory of a
machine that stands still; what the tools make of them is read by the programs
that people read them with (babeltrace2), or by protoc.
"""

import bisect
import collections
import json
import re
import shutil
import subprocess
import time

import counts
import matrix
import order
from harness import CPU, TOP, Case, socket_path
from labs import guest, heard, lab
from refusals import MAKE
from tracelib import capture, ctf, form, model, perfetto

E = form.NUMBER


class Run:
    """A machine that went through a script, and stands at its end.

    Nothing is typed: the commands are the lab's, so that a run with -icount is
    the same each time. `-action shutdown=pause` leaves the memory of a machine
    that has powered off.
    """

    def __init__(self, t, guests, steps, scheduler=None, smp=2, limit=200,
                 mem="1G", cpu=CPU):
        path = socket_path("trace", self)
        self.m = t.boot(
            lab=lab(*guests, scheduler=scheduler,
                    boot=["watch off", *steps, "poweroff"]), smp=smp, mem=mem,
            cpu=cpu, options=["-icount", f"shift={t.args.get('shift', 1)},sleep=off",
                     "-action", "shutdown=pause",
                     "-qmp", f"unix:{path},server=on,wait=off"])
        self.m.expect(r"^rouse> poweroff", limit)
        qmp = capture.Qmp(path, 60)
        while qmp.run("query-status")["running"]:
            time.sleep(0.1)
        self.trace = capture.from_qemu(qmp, TOP / "build" / "rouse.elf")
        qmp.run("quit")
        self.m.wait()

    def json(self, kind):
        """Objects of that type which the script printed."""
        return [json.loads(line) for line in re.findall(
            rf'^{{"type":"{kind}".*}}$', self.m.text, re.M)]


def rows(trace, *names):
    wanted = {E[n] for n in names}
    return [r for r in trace.merged() if r[1] in wanted]


def complete(t, trace):
    """The trace, of which no record is missing."""
    t.equal([(c.first, c.lost) for c in trace.cpus],
            [(0, 0)] * len(trace.cpus), "records missing")
    return trace


def pingpong(rounds):
    return guest("pp", "pingpong", vcpus=2, bootargs=f"rounds={rounds}",
                 autostart=False)


ONCE = ["guest start pp", "guest wait pp"]


def ponged(t, rounds=100):
    """A whole life of a guest, from before it begins till it has ended."""
    run = Run(t, [pingpong(rounds)],
              ["stats on", "trace on size=4096", *ONCE, "trace off",
               "stats -j", "vcpu list -j"])
    t.check(run.trace.count() > 2000, f"only {run.trace.count()} records")
    return run, complete(t, run.trace)


def wakes_end(t, trace):
    """Each wake is followed by one dispatch with its id, or by the end."""
    open_, count = {}, 0
    for time, event, cpu, vcpu, a, b in trace.merged():
        if event == E["WAKE"]:
            t.check(vcpu not in open_, f"tick {time}: {vcpu} is woken twice")
            open_[vcpu] = a
            count += 1
        elif event == E["DISPATCH"] and b:
            t.equal(open_.pop(vcpu, None), b, f"tick {time}: wake dispatched")
        elif event in (E["DISPATCH"], E["BLOCK"]):
            t.check(vcpu not in open_, f"tick {time}: {vcpu} runs or sleeps, "
                    "and its wake is not ended")
        elif event == E["VCPU_OFF"]:
            open_.pop(vcpu, None)
    return count


def wakes(t):
    run, trace = ponged(t)
    count = wakes_end(t, trace)
    t.check(count > 100, f"only {count} wakes")
    t.equal(sum(v["wakes"] for v in run.json("vcpu")), count,
            "wakes by the listing")


def runstates(t):
    """What the trace says of each vCPU's time adds up, and is what the
    hypervisor's own accounting says, but for the way from the moment that is
    accounted to the moment that is recorded."""
    run, trace = ponged(t)
    told = model.Model(trace)
    t.equal(told.problems, [], "impossible")
    stats = {s["vcpu"]: s for s in run.json("stats")}
    # The first word on a vCPU is that it is started, in the guest's way.
    for vcpu, (begin, sums) in told.sums().items():
        t.equal(sum(sums.values()), told.end - begin, "sum of the runstates")
        own = stats[trace.names[vcpu].index]
        turns = len([r for r in rows(trace, "DISPATCH", "BLOCK", "WAKE",
                                     "TASK") if r[3] in (vcpu, form.NOBODY)])
        for state in ("running", "blocked", "runnable"):
            apart = abs(own[f"{state}_ns"] - trace.ns(sums[state]))
            t.check(apart <= 4000 * turns, f"vCPU {vcpu} {state}: "
                    f"{own[f'{state}_ns']} ns by stats, "
                    f"{trace.ns(sums[state])} ns by the trace")
    # Exits are counted where they are recorded.
    for vcpu, name in trace.names.items():
        own = stats[name.index]
        t.equal(own["exits"], len([r for r in rows(trace, "EXIT")
                                   if r[3] == vcpu]), "exits")
        t.equal(sum(own["exits_by"].values()), own["exits"], "by reason")
        t.equal(own["exits_by"]["sbi"], len([
            r for r in rows(trace, "CALL") if r[3] == vcpu]), "SBI calls")
        t.equal(sum(w["count"] for w in own["waits"]), own["wakes"],
                "waits in the histogram")


def exported(t):
    """babeltrace2 and protoc read what the tools write."""
    _, trace = ponged(t)
    folder = t.folder / "ctf"
    ctf.write(trace, folder)
    done = subprocess.run(["babeltrace2", "--clock-cycles", folder], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    t.equal((done.returncode, done.stderr), (0, ""), "babeltrace2")
    lines = done.stdout.splitlines()
    t.equal(len(lines), trace.count(), "events that babeltrace2 reads")
    seen = re.compile(r"\[(\d+)\].*? (\w+): .*cpu = (\d+), vcpu = \( "
                      r"\"?([^\" ]+)\"? : container = (\d+)")
    ours = sorted((r[0], form.EVENTS[r[1]].name.lower(), r[2],
                   trace.who(r[3]), r[3]) for r in trace.merged())
    theirs = sorted((int(k[1]), k[2], int(k[3]), k[4], int(k[5]))
                    for k in map(seen.search, lines))
    base = theirs[0][0] - ours[0][0]  # the clock's offset
    t.equal([(x[0] - base, *x[1:]) for x in theirs], ours, "the events")
    wake = next(r for r in trace.merged() if r[1] == E["WAKE"])
    t.check(any(f"wake_id = {wake[4]}, by_vcpu = {wake[5]} " in l
                for l in lines), "a wake's words are not there")
    flows(t, trace)


def flows(t, trace):
    path = t.folder / "trace.perfetto"
    perfetto.write(trace, path)
    done = subprocess.run(
        ["protoc", f"--proto_path={TOP}/tools/tracelib",
         "--decode=rouse.Trace", "perfetto.proto"], text=True,
        stdin=open(path, "rb"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    t.equal((done.returncode, done.stderr), (0, ""), "protoc")
    t.check(not re.search(r"^ *\d+:", done.stdout, re.M),
            "a field that perfetto.proto does not have")
    out = done.stdout
    begun = re.findall(r"^    flow_ids: (\d+)", out, re.M)
    ended = re.findall(r"^    terminating_flow_ids: (\d+)", out, re.M)
    t.check(len(begun) > 100, f"only {len(begun)} arrows")
    t.equal(sorted(begun), sorted(ended), "arrows that begin and end")
    # Each end of an arrow says what the wake was: here, who plays does it.
    what = re.findall(r'string_value: "([^"]*)"\s*name: "by_what"', out)
    t.equal((len(what), "an IPI" in what), (2 * len(begun), True),
            "what woke whom")
    names = re.findall(r'track_descriptor {\s*uuid: (\d+)\s*name: "([^"]*)"',
                       out)
    t.equal(len({uuid for uuid, _ in names}), len(names), "tracks' numbers")
    for wanted in ("CPU 0", "CPU 1", "pp", "vCPU 0", "vCPU 1"):
        t.check(wanted in [n for _, n in names], f"no track {wanted}")
    # Slices of each track are closed in the order in which they were opened.
    depth = {}
    for kind, track in re.findall(
            r"type: TYPE_SLICE_(\w+)\s*track_uuid: (\d+)", out):
        depth[track] = depth.get(track, 0) + (1 if kind == "BEGIN" else -1)
        t.check(depth[track] in (0, 1, 2), f"depth {depth[track]}")
    t.equal(set(depth.values()), {0}, "slices left open")
    times = [int(x) for x in re.findall(r"^  timestamp: (\d+)", out, re.M)]
    t.equal(times, sorted(times), "the order of time")


SLEEPERS = "hz=200 seconds=0"
# Whose queue is one of arrivals though it looks at nothing that says so.
IN_ORDER = ["rr"]
ALIKE = [{}] * 4
# Whatever the policy, and beside seven others on a CPU.
LONGEST_WAIT_NS = 1000000000
SLICE_US = 5000


def knobs_of(policy):
    """What its guests are asked for it by."""
    if policy in matrix.looking_at("priority"):
        return [{"priority": p} for p in (5, 5, 9, 5)]
    if policy in matrix.looking_at("weight"):
        return [{"weight": w} for w in (256, 512, 128, 256)]
    return ALIKE


def forgotten(trace):
    return order.by_wait(trace, LONGEST_WAIT_NS * trace.hz // 1000000000)


def passed_over(policy, trace, level):
    """In the form that a policy of its kind has: one with priorities, or whose
    turns are in order; one that records how far vCPUs are behind; any other."""
    if policy in matrix.looking_at("priority") + IN_ORDER:
        return order.by_arrival(trace, level)
    if rows(trace, "ACCOUNT"):
        # QEMU runs harts by turns: with several, a timer may come late.
        more_us = 1000 if len(trace.cpus) == 1 else SLICE_US
        return order.by_lag(trace, (SLICE_US + more_us) * trace.hz // 1000000)
    return forgotten(trace)


def queues(t):
    """More vCPUs than CPUs, some of them sleepers: nobody is passed over. It is
    recorded from their start, since who waits before is not known to wait."""
    policy, knobs = t.args["policy"], t.args["knobs"]
    guests = [guest(f"g{i}", "tick" if i % 2 else "spin", vcpus=2,
                    bootargs=SLEEPERS if i % 2 else None, autostart=False,
                    slice_us=SLICE_US, **k)
              for i, k in enumerate(knobs)]
    names = " ".join(f"g{i}" for i in range(len(guests)))
    trace = Run(t, guests, ["trace on sched,life,policy size=4096",
                            f"guest start {names}",
                            f"sleep {t.args['seconds']}", "trace off"], policy,
                t.args["smp"]).trace
    t.equal([c.first for c in trace.cpus], [0] * t.args["smp"], "overwritten")
    t.equal(model.Model(trace).problems[:5], [], "impossible")
    level = {n.vcpu: knobs[int(n.guest[1:])].get("priority", 0)
             for n in trace.names.values()}
    compared, bad = passed_over(policy, trace, level.get)
    t.equal(bad[:5], [], "passed over")
    if len({*level.values()}) == 1:
        t.equal(forgotten(trace)[1][:5], [], "forgotten")
    seen = [len(rows(trace, "DISPATCH")),
            len(rows(trace, "SLICE_END", "PREEMPT")), compared]
    t.check(seen[0] > 200 and seen[1] > 20 and seen[2] > 200,
            f"only {seen} dispatches, ends of turns, comparisons")


def console(t):
    """`trace dump` and the machine's memory say the same."""
    # 512 records a CPU, so that the oldest are overwritten.
    run = Run(t, [pingpong(100)], ["trace on size=16", *ONCE, "trace off",
                                   "trace dump", "trace dump -j"])
    as_text, begin, as_json = run.m.text.partition('{"type":"trace_begin"')
    for what, text in (("text", as_text), ("-j", begin + as_json)):
        by_console = capture.from_console(text)
        for a, b in zip(run.trace.cpus, by_console.cpus):
            t.check(a.first > 0 and len(a.records) > 500, "nothing overwritten")
            t.equal((b.first, b.lost, b.records), (a.first, a.lost, a.records),
                    f"CPU {a.cpu}, {what}")
        t.equal(by_console.names, run.trace.names, f"names, {what}")
    # A line that got lost is told.
    text = re.sub(r"^trace:5:.*\n", "", as_text, flags=re.M)
    try:
        capture.from_console(text, "log")
        t.check(False, "a line was missing and nobody said so")
    except form.Error as error:
        t.equal(str(error).split(",")[1], " the first is trace:5:", "error")


def counted(t):
    """A guest that tests its firmware's calls, its own counters of firmware
    events among them, is as content when tracing begins and ends meanwhile."""
    run = Run(t, [guest("sbi", "sbitest", vcpus=2, autostart=False)],
              ["watch all", "guest start sbi", *["trace on size=64", "sleep 0.2",
                                    "trace off", "sleep 0.1"] * 3,
               "trace on size=64", "guest wait sbi"], limit=800)
    t.check(re.search(r"[1-9]\d* passed, 0 failed", heard("sbi", run.m.text)),
            "sbitest was not content")
    t.check(rows(run.trace, "CALL"), "nothing was traced at its end")


def stopped(t):
    """It ends at its event, and what came before is kept."""
    run = Run(t, [pingpong(20)],
              ["trace on size=16 stop=GUEST_STATE", *ONCE, "trace status -j"])
    status = run.json("trace")[0]
    t.equal((status["on"], status["stopped"], status["stop"]),
            (False, True, "GUEST_STATE"), "the status")
    last = [c.records[-1][1] for c in run.trace.cpus
            if c.flags & form.STOPPED]
    t.equal(last, [E["GUEST_STATE"]], "the last record")
    t.check(not rows(run.trace, "DISPATCH"), "records after the end")


def late(t):
    """A wait that is longer than it may be ends it, some records later."""
    trace = Run(t, [pingpong(20)],
                ["trace on size=16 late=0 stop=LATE after=5", *ONCE]).trace
    c = next(c for c in trace.cpus if c.flags & form.STOPPED)
    t.equal(c.records[-6][1], E["LATE"], "five records before the end")
    waited = {(w.vcpu, w.wake_id): w.ran - w.woken
              for w in model.Model(trace).waits}
    r = c.records[-6]
    # What is recorded is a little later than what it is about.
    t.check(r[4] > 0 and abs(waited[r[3], r[5]] - r[4]) < 100,
            f"LATE by {r[4]} ticks, recorded are {waited[r[3], r[5]]}")


def fills(t):
    """A ring that keeps the first records counts the others."""
    run = Run(t, [pingpong(20)], ["trace on size=1 mode=fill", *ONCE,
                                  "trace off", "trace status -j"])
    for status, c in zip(run.json("trace_cpu"), run.trace.cpus):
        t.equal((status["kept"], status["overwritten"]), (32, 0), "kept")
        t.check(status["lost"] > 0 and c.lost == status["lost"], "lost")
        t.equal((c.first, len(c.records)), (0, 32), "the first")


def names(t):
    """Numbers of vCPUs stay with their guests, also when these are gone."""
    trace = Run(t, [guest("first", "hello", autostart=False)], [
        "trace on size=1024", "guest start first", "guest wait first",
        "guest destroy first", "guest create second vcpus=2 memory=16M "
        "kernel=baremetal/hello.elf autostart=on", "guest wait second"]).trace
    t.equal([trace.who(v) for v in sorted(trace.names)],
            ["first:0", "second:0", "second:1"], "names")
    t.check(trace.names[0].gone > 0 and not trace.names[1].gone, "who is gone")
    on = [trace.who(r[3]) for r in rows(trace, "VCPU_ON")]
    t.equal(on[:2], ["first:0", "second:0"], "started")


# A policy's own, of which those that come along have none: only programs that
# test the rings write it (tests/stress/tracer_stress.c).
UNSURE = {"NOTE"}
# Timers some us ahead, and sleep: some pass on the way to it.
STAYS = "rounds=10 timers=3000 seed=1"


def shares(name, mode, **knobs):
    return guest(name, "shares", autostart=False,
                 bootargs=f"mode={mode} ms=100000000", **knobs)


def gives_way(t):
    """A guest that yields gives its CPU to whoever waits for it, each time, and
    a WFI that has nothing to wait for doesn't."""
    trace = Run(t, [shares("hog", "hog"), shares("thief", t.args["mode"])],
                ["trace on sched,life size=4096", "guest start hog thief",
                 f"sleep {t.args['seconds']}", "trace off"],
                t.args["policy"], 1).trace
    told = model.Model(trace)
    t.equal(told.problems[:5], [], "impossible")
    who = {n.vcpu: n.guest for n in trace.names.values()}
    ran = {who[v]: sums.get(model.RUNNING, 0)
           for v, (_, sums) in told.sums().items()}
    share = ran["thief"] / sum(ran.values())
    turns = [(r[1], who.get(r[3])) for r in rows(trace, "YIELD", "DISPATCH")]
    after = [(who_, next_) for (event, who_), (_, next_)
             in zip(turns, turns[1:]) if event == E["YIELD"]]
    if t.args["mode"] == "yielder":
        t.check(len(after) > 50, f"only {len(after)} yields")
        t.equal(set(after), {("thief", "hog")}, "who gave way to whom")
        t.check(share < 0.05, f"it had {share * 100:.1f} % all the same")
    else:
        t.equal(after, [], "who gave way to whom")
        t.check(share > 0.45, f"it had only {share * 100:.1f} %")


def everything(t):
    """Guests and commands that do all that there is an event for."""
    pair = [guest(f"pair{i}", "meter", autostart=False, memory="18M", pin=0,
                  bootargs=f"role=other who={i} rounds=5") for i in range(2)]
    guests = [
        pingpong(20), *pair, shares("capped", "hog", cap=10, pin=0),
        shares("hog", "hog", pin=0),
        shares("sleeper", "boost run_us=100 sleep_us=300", pin=0),
        *[shares(f"free{i}", "hog") for i in range(3)],
        guest("caller", "meter", autostart=False, memory="18M",
              bootargs="rows=set_timer rounds=5"),
        guest("poller", "tick", autostart=False, wfi="poll", pin=1,
              wfi_poll_us=10000, bootargs="hz=200 seconds=0"),
        guest("stayer", "wakehunt", autostart=False, bootargs=STAYS),
        guest("devices", "devtest", autostart=False),
        guest("widths", "devtest", autostart=False, bootargs="only=widths")]
    run = Run(t, guests, [
        "trace on late=500 size=8192", *ONCE,
        "guest start pair0 pair1", "guest wait pair0 pair1",
        "guest start caller stayer", "guest wait caller stayer",
        "guest start capped hog sleeper poller", "sleep 0.1",
        "guest pause hog", "sleep 0.01", "guest resume hog", "sleep 0.1",
        "guest stop capped hog sleeper poller",
        "guest start free0 free1 free2", "sleep 0.1",
        "guest stop free0 free1 free2",
        "guest start widths", "guest wait widths",
        "guest start devices", "sleep 0.1", "sched set rr", "trace off"],
        "credit")  # which alone accounts and boosts
    seen = {r[1] for r in complete(t, run.trace).merged()}
    t.equal({e.name for e in form.EVENTS.values()} - UNSURE
            - {form.EVENTS[n].name for n in seen}, set(), "never recorded")
    counters(t, run.trace)
    known_by_less(t, run.trace)
    timers(t, run.trace)


def timers(t, trace):
    """Each time that a CPU's timer fires in a turn has a record with the deadline,
    which is what the timer was set to last."""
    for c in trace.cpus:
        armed, exits, fired = 0, 0, []
        for time_, event, _, _, a, _ in c.records:
            exits += event == E["EXIT"] and a == model.INTERRUPT | 5
            if event == E["TIMER_ARM"]:
                armed = a
            elif event == E["CPU_TIMER"]:
                fired.append((exits, a == armed <= time_))
        t.check(len(fired) > 10, f"CPU {c.cpu}: {len(fired)} turns")
        t.equal(fired, [(i + 1, True) for i in range(exits)], "timers")


def known_by_less(t, trace):
    """An external interrupt is taken when it is claimed; and deadlines that
    wake are known by what the class sched alone has."""
    claims = {(r[3], r[0]) for r in rows(trace, "VIRQ_CLAIM") if r[4]}
    told = model.Model(trace)
    taken = {(r.vcpu, r.handled) for r in told.raised
             if r.virq == model.EXTERNAL}
    t.check(len(taken) > 10 and taken <= claims, f"taken: {taken - claims}")
    less = form.Trace(trace.hz, len(trace.cpus), trace.names.values())
    for c, full in zip(less.cpus, trace.cpus):
        c.records = [r for r in full.records
                     if form.EVENTS[r[1]].cls in ("SCHED", "LIFE")]
    what = [[w.by_what == model.DEADLINE for w in m.waits]
            for m in (told, model.Model(less))]
    t.check(sum(what[0]) > 10, "no deadlines")
    t.equal(what[1], what[0], "woken by a deadline")


def raised(t):
    """Without Sstc a vCPU's timer is raised while it runs, or as it is set if the
    moment is over: each by one record, not before its time, and it is known how
    long the guest took to be entered with it."""
    trace = complete(t, Run(
        t, [guest("caller", "meter", autostart=False, memory="18M",
                  bootargs="rows=timer_running,set_timer rounds=20"),
            guest("late", "wakehunt", autostart=False,
                  bootargs="rounds=10 timers=200 seed=1")],
        ["trace on call,virq,timer,sched,exit,life size=4096",
         "guest start caller late", "guest wait caller late", "trace off"],
        smp=1, cpu=CPU + ",sstc=off").trace)
    due, fired, seen = {}, set(), collections.Counter()
    for time_, event, _, vcpu, a, b in trace.merged():
        if event == E["CALL_TIMER"]:
            due[vcpu] = time_ + a - b
            seen["set too late"] += a <= b
        elif event == E["TIMER_FIRE"]:
            fired.add(vcpu)
        elif event == E["VIRQ_ASSERT"] and a == model.TIMER:
            # The call's word and its record are two looks at the clock.
            when = due.pop(vcpu, None)
            t.check(when is not None and time_ + 2 >= when,
                    f"tick {time_}: its timer is set to {when}")
            t.equal(b, form.NOBODY, "by whom")
            seen["asleep" if vcpu in fired else "running"] += 1
            fired.discard(vcpu)
    t.check(seen["running"] > 20 + seen["set too late"] > 20
            and seen["asleep"] > 20, f"hardly any: {seen}")
    t.equal(len([r for r in model.Model(trace).raised
                 if r.virq == model.TIMER]),
            seen["running"] + seen["asleep"], "timers that were taken")


def counters(t, trace):
    """Perfetto's counters say of each CPU how many wait there, as counted here
    and by the hypervisor, and of each vCPU by how much it is behind."""
    path = t.folder / "trace.perfetto"
    perfetto.write(trace, path)
    out = subprocess.run(
        ["protoc", f"--proto_path={TOP}/tools/tracelib",
         "--decode=rouse.Trace", "perfetto.proto"], text=True,
        stdin=open(path, "rb"), stdout=subprocess.PIPE, check=True).stdout
    tracks = {uuid: name for uuid, name in re.findall(
        r'track_descriptor {\s*uuid: (\d+)\s*name: "([^"]*)"', out)}
    values = {}
    for when, uuid, value in re.findall(
            r"timestamp: (\d+)\s*.*\s*track_event {\s*type: TYPE_COUNTER\s*"
            r"track_uuid: (\d+)\s*\w*counter_value: ([-.e\d]+)", out):
        values.setdefault(tracks[uuid], []).append((int(when), float(value)))
    count = counts.Count(trace)
    t.equal(count.untrue[:3], [], "loads")
    for cpu, by_tick in count.waiting.items():
        told = values[f"waiting on CPU {cpu}"]
        t.check(len(told) > 50, f"CPU {cpu}: {len(told)} values")
        for tick, n in by_tick.items():
            after = bisect.bisect_right(told, (trace.ns(tick), 1e9))
            # Nothing is known of before all CPUs have records.
            if after:
                t.equal(told[after - 1][1], n, f"tick {tick}: wait on {cpu}")
    lags = [v for name, some in values.items() if name.startswith("lag")
            for _, v in some]
    t.equal(len(lags), len(rows(trace, "ACCOUNT", "BOOST")), "values of lags")
    t.check(min(lags) < 0 < max(lags) < 1e6, "lags that can't be")


def make(t):
    """`make trace`, all of it, on a lab that ends the machine itself."""
    path = t.folder / "one-command.dts"
    out = TOP / "build" / "trace" / path.stem
    shutil.rmtree(out, ignore_errors=True)
    path.write_text(lab(guest("pp", "pingpong", vcpus=2,
                              bootargs="rounds=100"), poweroff=True))
    done = subprocess.run(
        [*MAKE, "SETUP=0", f"LAB={path}", "SECONDS=60",
         'APPEND=doorbell=sbi cmd="sched list"', "trace"], cwd=TOP, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
    t.equal(done.returncode, 0, done.stderr)
    for what in ("From wake to run:", "pp:1", "Shares of each CPU:", "sbi ipi",
                 "trace.perfetto", "babeltrace2"):
        t.check(what in done.stdout, f"{what!r} is not in the summary")
    t.check("for 60 s" in done.stderr, f"SECONDS is not heard: {done.stderr}")
    for name in ("trace.bin", "trace.perfetto", "ctf/metadata", "summary.txt"):
        t.check((out / name).stat().st_size, f"{name} is empty")
    text = subprocess.run([TOP / "tools" / "trace", "text", out / "trace.bin"],
                          text=True, stdout=subprocess.PIPE)
    t.check("\tpp:0\tWAKE\twake=1\tby=" in text.stdout, "no WAKE as text")
    shutil.rmtree(out)


# In place of QEMU: what QEMU does between making its monitor's file and
# listening there, for longer. Then QEMU itself, which makes another one.
SLOW_QEMU = """#!/usr/bin/env python3
import os, socket, sys, time
path = sys.argv[sys.argv.index("-qmp") + 1].split(":")[1].split(",")[0]
socket.socket(socket.AF_UNIX).bind(path)
time.sleep(1)
path = os.environ["PATH"].split(":", 1)[1]
os.environ["PATH"] = path
os.execvp("qemu-system-riscv64", sys.argv)
"""


# What takes a trace of a machine that it starts itself.
TAKERS = {
    "": lambda t: [TOP / "tools" / "trace", "run", "0.1", "--size", "16",
                   "--out", t.folder / "out"],
    ",meter": lambda t: [TOP / "bench" / "meter.py", "--explain", "--machine",
                         "aclint", "--rows", "ipi_self", "--rounds", "5"],
}


def not_yet(t):
    """A monitor's file that is there does not mean that anyone listens."""
    stand_in = t.folder / "bin" / "qemu-system-riscv64"
    stand_in.parent.mkdir()
    stand_in.write_text(SLOW_QEMU)
    stand_in.chmod(0o755)
    path = t.folder / "own.dts"
    path.write_text(lab(pingpong(1)))
    done = subprocess.run(
        t.args["command"](t), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": f"{stand_in.parent}:/usr/bin:/bin:/usr/sbin:/sbin",
             "LAB": str(path), "ROUSE_BENCH_RESULTS": str(t.folder)})
    t.equal(done.returncode, 0, done.stderr)


def refused(t):
    """What can't be recorded is told in a line that says why."""
    path = t.folder / "own.dts"
    path.write_text(lab(pingpong(1)))
    for words, more, wanted in (
            (["abc"], {}, "'abc': expected a number of seconds"),
            (["-1"], {}, "'-1': expected a number of seconds"),
            (["1"], {"SMP": "x"}, "run: SMP=x: expected a number of harts"),
            (["1"], {"LAB": "nowhere.dts"}, "nowhere.dts: no such file"),
            (["1"], {"APPEND": "sched=nope"}, "sched=nope: no such scheduler"),
            (["1"], {"APPEND": "cmd=help"}, "trace: APPEND: expected cmd=")):
        done = subprocess.run(
            [TOP / "tools" / "trace", "run", "--out", t.folder / "out",
             "--", *words], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LAB": str(path),
                 **more})
        t.check(done.returncode and wanted in done.stdout
                and "Traceback" not in done.stdout,
                f"{words} {more}: {done.stdout}")


def tests(full):
    long = {"seconds": 4, "shift": 5, "timeout": 400}
    cases = [
        Case("every_wake_has_one_dispatch", wakes),
        Case("runstates_and_exits_are_those_of_the_accounting", runstates),
        Case("babeltrace2_and_protoc_read_what_is_written", exported),
        *[Case(f"nobody_is_passed_over,{policy}", queues, policy=policy,
               knobs=knobs_of(policy), smp=1, **long)
          for policy in matrix.sharing()],
        *[Case(f"nobody_is_passed_over_on_2_harts,{policy}", queues,
               policy=policy, knobs=knobs_of(policy) * 2, smp=2, **long)
          for policy in matrix.sharing()],
        Case("the_console_gives_what_the_memory_holds", console),
        Case("a_guest_that_counts_is_content_while_traced", counted,
             timeout=900),
        Case("a_recording_ends_at_its_event", stopped),
        Case("a_long_wait_ends_a_recording", late),
        Case("a_ring_that_keeps_the_first_counts_the_rest", fills),
        Case("names_outlive_their_guests", names),
        *[Case(f"{name},{policy}", gives_way, policy=policy, mode=mode,
               seconds=2, shift=5)
          for name, mode in (
              ("who_yields_gives_way_each_time", "yielder"),
              ("who_has_nothing_to_wait_for_keeps_its_turn", "pending"))
          for policy in matrix.sharing()],
        Case("every_event_of_the_format_is_recorded", everything),
        Case("a_timer_without_sstc_is_raised_at_who_runs", raised),
        Case("one_command_takes_and_converts", make),
        *[Case(f"a_monitor_that_does_not_listen_yet_is_waited_for{name}",
               not_yet, command=command) for name, command in TAKERS.items()],
        Case("what_cannot_be_recorded_says_why", refused),
    ]
    if full:
        # But for the runs that nobody_is_passed_over has made.
        cases += [Case(f"nobody_who_waits_is_forgotten,{smp}_harts,{policy}",
                       queues, policy=policy, knobs=ALIKE, smp=smp, **long)
                  for policy in matrix.sharing() for smp in (1, 2)
                  if smp > 1 or knobs_of(policy) != ALIKE]
    return cases
