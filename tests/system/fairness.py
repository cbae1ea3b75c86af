"""Who gets the CPU: shares, caps, priorities and slices of whole machines.

Judged by the hypervisor's own accounting, which is exact to a tick: two
readings of its listings, each in one output, and the differences between them
against what weighted water-filling gives. Guests' own counts of the work that
they got done must agree with it. No clock of the build host is looked at: QEMU
counts instructions (-icount), each takes a fixed amount of guest time, so ten
seconds are ten seconds however busy the build host is, and a run that failed
fails again in the same way.

What may go wrong only when harts run at once (changing the policy, the places
and the ways to wait under load) is run without -icount and judged by nothing
that depends on time.
"""

import itertools
import json
import re

import matrix
from harness import Case, TOP
from labs import Shell, guest, lab, linux, said

HOG = "mode=hog ms=10000000"
LISTS = "guest list -j; vcpu list -j; sched cpus -j"

# Guest time of an instruction is 2^SHIFT ns: a slow hart makes a run cheap,
# and what the hypervisor does look large.
SHIFT = 5
NEAR = 0.01


# --- what is fair -----------------------------------------------------------


class Claim:
    """What a guest may have: its vCPUs' CPUs (a set for each), weight, cap in
    per cent of one CPU (0: none)."""

    def __init__(self, *cpus, weight=1, cap=0):
        self.cpus = [frozenset(c) for c in cpus]
        self.weight = weight
        self.cap = cap / 100 if cap else len(cpus)


def room(claims, cpus):
    """The most that guests can have together, in CPUs.

    A vCPU holds one CPU at most: that is a flow from guests through vCPUs to
    CPUs, and as much as its smallest cut lets through.
    """
    return min(
        len(cut) + sum(min(c.cap, sum(not own <= cut for own in c.cpus))
                       for c in claims)
        for n in range(cpus + 1)
        for cut in map(frozenset, itertools.combinations(range(cpus), n)))


def fair(claims, cpus):
    """Weighted water-filling: {guest: CPUs}.

    All levels rise together, by weight, until a set of guests has all that
    there is room for; theirs stay, the others' rise on.
    """
    got = {}
    while len(got) < len(claims):
        left = [name for name in claims if name not in got]
        # The set that is full first, and of these the largest.
        level, full = None, ()
        for n in range(1, len(left) + 1):
            for some in itertools.combinations(left, n):
                space = (room([claims[i] for i in (*got, *some)], cpus)
                         - sum(got.values()))
                at = space / sum(claims[i].weight for i in some)
                if level is None or at <= level + 1e-9:
                    level, full = at, some
        got.update({name: level * claims[name].weight for name in full})
    return got


def claims_of(cpus, **guests):
    """Claims of guests that are all given as (vCPUs, weight) and may run
    anywhere."""
    return {name: Claim(*[range(cpus)] * vcpus, weight=weight)
            for name, (vcpus, weight) in guests.items()}


# --- measuring --------------------------------------------------------------


def readings(text):
    """What was printed for LISTS, each time: {(type, name...): listing}."""
    found, last = [], None
    for line in re.findall(r'^\{"type":.*\}$', text, re.M):
        one = json.loads(line)
        kind = one["type"]
        if kind == "guest":
            if last != "guest":
                found.append({})
            key = (kind, one["name"])
        elif kind == "vcpu":
            key = (kind, one["guest"], one["vcpu"])
        elif kind == "cpu":
            key = (kind, one["cpu"])
        else:
            continue
        found[-1][key] = one
        last = kind
    return found


class Between:
    """What happened between two readings."""

    def __init__(self, before, after):
        self.before, self.after = before, after

    def grown(self, key, what):
        return self.after[key][what] - self.before[key][what]

    def vcpus(self, what):
        """{(guest, vCPU): growth of a counter}"""
        return {key[1:]: self.grown(key, what)
                for key in self.after if key[0] == "vcpu"}

    def cpus(self, what):
        return [self.grown(key, what)
                for key in sorted(k for k in self.after if k[0] == "cpu")]

    def elapsed(self, vcpu=None):
        """ns between the two listings of a vCPU: its runstates add up to it.
        One vCPU's listing is of one moment; the next one's is a little
        later."""
        key = (("vcpu", *vcpu) if vcpu else
               next(k for k in self.after if k[0] == "vcpu"))
        return sum(self.grown(key, f"{state}_ns") for state in
                   ("running", "runnable", "blocked", "offline"))

    def parts(self):
        """{guest: how many CPUs' worth it had}"""
        got = {}
        for vcpu, ns in self.vcpus("running_ns").items():
            got[vcpu[0]] = got.get(vcpu[0], 0) + ns / self.elapsed(vcpu)
        return got


def counted(shift):
    """QEMU's options for a machine whose time is instructions."""
    return ["-icount", f"shift={shift},sleep=off"]


def script(t, guests, steps, policy, smp, shift=SHIFT, **more):
    """Runs a lab by commands at start, to its end; returns the machine and
    the readings."""
    m = t.boot(lab=lab(*guests, scheduler=policy,
                       boot=["watch off", *steps, "poweroff"]),
               smp=smp, options=counted(t.args.get("shift", shift)),
               cpu="rv64,v=on" + ("" if t.args.get("sstc", True)
                                  else ",sstc=off"), **more)
    t.equal(m.wait(t.args.get("limit", 300)), 0, "QEMU's status")
    return m, readings(m.text)


def measure(t, guests, policy, smp, seconds=10, before=(), **more):
    steps = ["sleep 3", *before, LISTS, f"sleep {seconds}", LISTS]
    m, read = script(t, guests, steps, policy, smp, **more)
    t.equal(len(read), 2, "readings")
    seen = Between(*read)
    t.check(1 <= seen.elapsed() / (seconds * 1e9) < 1.1,
            f"{seen.elapsed()} ns between the readings")
    return m, seen


def percent(values):
    return ", ".join(f"{k} {v * 100:.2f} %" for k, v in values.items())


def judge(t, seen, wanted):
    """All of what is there was given out, and each guest had its share."""
    got = seen.parts()
    all_got, all_wanted = sum(got.values()), sum(wanted.values())
    both = f"got {percent(got)}; expected {percent(wanted)}"
    t.check(all_wanted * (1 - NEAR) <= all_got <= all_wanted * (1 + 1e-3),
            f"CPUs were left idle or counted twice: {both}")
    for name, share in wanted.items():
        due = share * all_got / all_wanted
        t.check(abs(got[name] - due) <= NEAR * due, f"{name}: {both}")


def hog(name, **knobs):
    return guest(name, "shares", **{"bootargs": HOG, **knobs})


# --- shares by weight -------------------------------------------------------


def weights(t):
    """1:2:4, as far as a guest's vCPUs have room for its share."""
    smp, vcpus = t.args["smp"], t.args["vcpus"]
    given = {"one": 100, "two": 200, "four": 400}
    guests = [hog(n, vcpus=vcpus, weight=w) for n, w in given.items()]
    _, seen = measure(t, guests, t.args["policy"], smp)
    judge(t, seen, fair(claims_of(smp, **{n: (vcpus, w) for n, w
                                          in given.items()}), smp))


def work_done(t):
    """What a guest counts is what the hypervisor says that it gave."""
    given = {"one": 1, "two": 2, "four": 4}
    guests = [guest(n, "shares", weight=100 * w, bootargs="mode=hog ms=10000 "
                    "warmup_ms=1000 cooldown_ms=1000")
              for n, w in given.items()]
    m = t.boot(lab=lab(*guests, scheduler=t.args["policy"], poweroff=True),
               smp=1, options=counted(SHIFT))
    t.equal(m.wait(300), 0, "QEMU's status")
    loops = {n: int(re.search(said(n, r"shares: hart 0 loops (\d+)"), m.text,
                              re.M).group(1)) for n in given}
    for n, w in given.items():
        due = sum(loops.values()) * w / 7
        t.check(abs(loops[n] - due) <= NEAR * due,
                f"{n} should have done {due:.0f} of {loops}")


def equal_hogs(t):
    """Nobody is left with half a CPU because two others share the rest."""
    hogs, smp = t.args["hogs"], t.args["smp"]
    names = [f"hog{i}" for i in range(hogs)]
    _, seen = measure(t, [hog(n) for n in names], t.args["policy"], smp)
    judge(t, seen, fair(claims_of(smp, **dict.fromkeys(names, (1, 1))), smp))


def affinity_counts(t):
    """Two that may run anywhere make up for what the bound ones do not get."""
    claims = {"left": Claim({0}, weight=100), "right": Claim({1}, weight=300),
              "wide": Claim({0, 1}, {0, 1}, weight=200)}
    guests = [hog("left", weight=100, affinity="0"),
              hog("right", weight=300, affinity="1"),
              hog("wide", weight=200, vcpus=2)]
    _, seen = measure(t, guests, t.args["policy"], 2)
    judge(t, seen, fair(claims, 2))


def new_weight(t):
    guests = [hog("a", weight=100), hog("b", weight=100)]
    _, read = script(t, guests, ["sleep 1", "set a weight=300", LISTS,
                                 "sleep 5", LISTS, "set a weight=50", LISTS,
                                 "sleep 5", LISTS], t.args["policy"], 1)
    judge(t, Between(*read[0:2]), {"a": 3 / 4, "b": 1 / 4})
    judge(t, Between(*read[2:4]), {"a": 1 / 3, "b": 2 / 3})


# --- caps -------------------------------------------------------------------


def judge_caps(t, seen, wanted):
    got = seen.parts()
    for name, share in wanted.items():
        t.check(abs(got[name] - share) <= NEAR * share,
                f"{name}: got {percent(got)}; expected {percent(wanted)}")


def cap_alone(t):
    """A CPU that has nothing else to do stays idle for the rest."""
    cap, smp, vcpus = t.args["cap"], t.args["smp"], t.args["vcpus"]
    _, seen = measure(t, [hog("capped", cap=cap, vcpus=vcpus)],
                      t.args["policy"], smp)
    judge_caps(t, seen, {"capped": cap / 100})
    idle = sum(seen.cpus("idle_ns")) / seen.elapsed()
    t.check(abs(idle - (smp - cap / 100)) < NEAR * smp,
            f"CPUs were idle for {idle:.3f} of {smp}")


def caps_beside(t):
    """Several caps, and one without who gets what they leave."""
    smp, vcpus = t.args["smp"], t.args["vcpus"]
    caps = {"ten": 10 * smp, "twenty": 20 * smp, "thirty": 30 * smp}
    guests = [hog(n, cap=c, vcpus=vcpus) for n, c in caps.items()]
    guests.append(hog("rest", vcpus=smp, weight=64))
    _, seen = measure(t, guests, t.args["policy"], smp)
    wanted = {n: c / 100 for n, c in caps.items()}
    judge_caps(t, seen, {**wanted, "rest": smp - sum(wanted.values())})


def cap_of_sleepers(t):
    """Sleeping and waking all the time is no way around a cap."""
    guests = [guest(mode, "shares", cap=20, bootargs=f"mode={mode} ms=1000000")
              for mode in ("sleeper", "yielder", "boost")]
    _, seen = measure(t, guests, t.args["policy"], 1)
    got = seen.parts()
    for name, share in got.items():
        t.check(share <= 0.2 * (1 + NEAR), f"{name} got {percent(got)}")
        t.check(share >= 0.2 * (1 - 5 * NEAR), f"{name} got {percent(got)}")


# --- those who take more ----------------------------------------------------

GREEDY = {
    "who_sleeps_before_each_tick": "mode=sleeper",
    "who_yields_all_the_time": "mode=yielder",
    "who_wakes_to_be_preferred": "mode=boost",
    "who_wakes_every_10_us": "mode=boost run_us=10 sleep_us=5",
    "who_naps_for_slices": "mode=boost run_us=15000 sleep_us=5000",
}


def greedy(t):
    """Its share is all that it gets, while others want theirs."""
    smp, vcpus = t.args["smp"], t.args["vcpus"]
    names = [f"hog{i}" for i in range(smp)]
    taker = guest("greedy", "shares", vcpus=vcpus,
                  bootargs=f"{t.args['mode']} ms=1000000")
    _, seen = measure(t, [taker] + [hog(n) for n in names], t.args["policy"],
                      smp)
    wanted = fair(claims_of(smp, greedy=(vcpus, 1),
                            **dict.fromkeys(names, (1, 1))), smp)
    got = seen.parts()
    both = f"got {percent(got)}; fair is {percent(wanted)}"
    t.check(got["greedy"] <= wanted["greedy"] * (1 + NEAR), both)
    for n in names:
        # The CPUs that exits took are nobody's gain.
        t.check(got[n] >= wanted[n] * (1 - 2 * NEAR), f"{n}: {both}")


def many_vcpus(t):
    """Eight vCPUs are worth as much as one."""
    _, seen = measure(t, [hog("eight", vcpus=8), hog("one")],
                      t.args["policy"], 1)
    judge(t, seen, {"eight": 1 / 2, "one": 1 / 2})
    each = seen.vcpus("running_ns")
    eighth = sum(each["eight", i] for i in range(8)) / 8
    for i in range(8):
        t.check(abs(each["eight", i] - eighth) < 10 * NEAR * eighth,
                f"vCPU {i} of eight ran for {each['eight', i]} ns, "
                f"an eighth is {eighth:.0f}")


# --- priorities, slices -----------------------------------------------------


def strict(t):
    """The lower one gets nothing at all while the higher one is busy, and
    everything while that one sleeps."""
    smp = t.args["smp"]
    guests = [hog("low", priority=50, vcpus=smp),
              hog("high", priority=200, vcpus=smp)]
    steps = ["sleep 1", LISTS, "sleep 3", LISTS,
             "guest pause high", LISTS, "sleep 3", LISTS,
             "guest resume high", LISTS, "sleep 3", LISTS,
             "set low priority=201", LISTS, "sleep 3", LISTS]
    _, read = script(t, guests, steps, t.args["policy"], smp)
    for i, (winner, loser) in enumerate((("high", "low"), ("low", "high"),
                                         ("high", "low"), ("low", "high"))):
        seen = Between(*read[2 * i:2 * i + 2])
        got = seen.parts()
        t.equal(got[loser], 0, f"{loser}'s part, {i}")
        t.check(abs(got[winner] / smp - 1) < NEAR,
                f"part {i}: {winner} has {percent(got)}")


def urgent(t):
    """One that is woken takes the CPU from a lower one at once: it never
    waits for longer than the hypervisor itself takes."""
    guests = [hog("low", priority=50),
              guest("high", "shares", priority=200,
                    bootargs="mode=boost run_us=500 sleep_us=1500 ms=1000000")]
    _, seen = measure(t, guests, t.args["policy"], 1)
    waited = seen.vcpus("runnable_ns")["high", 0]
    wakes = seen.vcpus("wakes")["high", 0]
    t.check(wakes > 2000, f"{wakes} wakes in ten seconds")
    # 32 ns an instruction: 200 us are some 6000.
    t.check(waited / wakes < 200e3,
            f"{waited / wakes:.0f} ns from a wake to running")


def slices(t):
    """Turns are as long as slice-us says, so hogs share in that proportion."""
    given = {"a": 2000, "b": 4000, "c": 8000}
    guests = [hog(n, slice_us=us) for n, us in given.items()]
    _, seen = measure(t, guests, t.args["policy"], 1)
    judge(t, seen, {n: us / 14000 for n, us in given.items()})
    turns, ran = seen.vcpus("dispatches"), seen.vcpus("running_ns")
    for n, us in given.items():
        mean = ran[n, 0] / turns[n, 0] / 1000
        t.check(abs(mean / us - 1) < 3 * NEAR,
                f"{n} has turns of {mean:.0f} us, its slice is {us}")


def equal_slices(t):
    """Equal ones get equal parts on each CPU, whatever their weight is."""
    names = [f"hog{i}" for i in range(5)]
    guests = [hog(n, weight=64 << i, slice_us=5000)
              for i, n in enumerate(names)]
    _, seen = measure(t, guests, t.args["policy"], 1)
    judge(t, seen, dict.fromkeys(names, 1 / 5))


def tests(full):
    share = having("weight")
    return ([Case(f"weights_1_2_4_share_{smp}_cpus,{v}_vcpus,{p}", weights, policy=p, smp=smp, vcpus=v)
              for p in share for smp, v in ((1, 1), (1, 2), (2, 1), (2, 2))]
     + [Case(f"guests_count_as_much_work_as_their_weights_say,{p}", work_done, policy=p) for p in share]
     + [Case(f"{h}_equal_hogs_on_{s}_cpus,{p}", equal_hogs, policy=p, smp=s, hogs=h) for p in share for s, h in ((2,3),(4,5),(2,5))]
     + [Case(f"affinity,{p}", affinity_counts, policy=p) for p in share]
     + [Case(f"new_weight,{p}", new_weight, policy=p) for p in share]
     + [Case(f"cap_alone{c}_{s}_{v},{p}", cap_alone, policy=p,cap=c,smp=s,vcpus=v) for p in having("cap") for c,s,v in ((30,1,1),(75,1,3),(150,2,4),(3,1,1),(130,2,2))]
     + [Case(f"caps_beside{s}_{v},{p}", caps_beside, policy=p,smp=s,vcpus=v) for p in having("cap") for s,v in ((1,1),(2,3))]
     + [Case(f"cap_of_sleepers,{p}", cap_of_sleepers, policy=p) for p in having("cap")]
     + [Case(f"greedy{k}{s}_{v},{p}", greedy, mode=m, policy=p,smp=s,vcpus=v) for p in share for k,m in GREEDY.items() for s,v in ((1,1),(2,2),(2,3))]
     + [Case(f"many,{p}", many_vcpus, policy=p) for p in share]
     + [Case(f"strict{s},{p}", strict, policy=p, smp=s) for p in having("priority") for s in (1,2)]
     + [Case(f"urgent,{p}", urgent, policy=p) for p in having("priority")]
     + [Case(f"slices,{p}", slices, policy=p) for p in having("slice-us") if p not in share]
     + [Case(f"equal_slices,{p}", equal_slices, policy=p) for p in having("slice-us") if p not in share])


def having(knob):
    """Policies that look at a knob, as their own list says."""
    found = []
    for policy in matrix.policies():
        text = (TOP / "kernel" / "sched" / f"{policy}.c").read_text()
        knobs = re.search(r"_knobs\[\] = \{([^}]*)\}", text)
        if knobs and f'"{knob}"' in knobs.group(1):
            found.append(policy)
    return found
