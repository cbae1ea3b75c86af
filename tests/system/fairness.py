"""Who gets the CPU: shares, caps, priorities and slices of whole machines.

Judged by the hypervisor's own accounting, which is exact to a tick: two
readings of its listings and the differences between them, against what
weighted water-filling gives. What guests count of the work that they got done
must agree. No clock of the build host is looked at: QEMU counts instructions
(-icount) and each takes a fixed amount of guest time, so ten seconds are ten
seconds however busy the build host is, and a run that failed fails again in
the same way.

What may go wrong only when harts really run at once (changing the policy and
the places under load) is run without -icount as well, and judged by nothing
that depends on time.
"""

import itertools
import json
import re

import matrix
from harness import CPU, Case
from labs import guest, lab, said

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
        """{guest: how many CPUs' worth it was charged}, up to the end of each
        vCPU's last turn: under a policy that ends them."""
        return {key[1]: self.grown(key, "guest_ns") / self.elapsed()
                for key in self.after if key[0] == "guest"}

    def held(self):
        """{guest: how many CPUs' worth its vCPUs have held}, up to now, with
        what the hypervisor did meanwhile."""
        got = {}
        for vcpu, ns in self.vcpus("running_ns").items():
            got[vcpu[0]] = got.get(vcpu[0], 0) + ns / self.elapsed(vcpu)
        return got


def counted(shift):
    """QEMU's options for a machine whose time is instructions."""
    return ["-icount", f"shift={shift},sleep=off"]


def script(t, guests, steps, policy, smp, count=True, status=0):
    """Runs a lab by commands at start, to its end; returns the machine and
    the readings."""
    m = t.boot(lab=lab(*guests, scheduler=policy,
                       boot=["watch off", *steps, "poweroff"]), smp=smp,
               options=counted(t.args.get("shift", SHIFT)) if count else (),
               cpu=CPU + ("" if t.args.get("sstc", True) else ",sstc=off"))
    t.equal(m.wait(t.args.get("limit", 300)), status, "QEMU's status")
    return m, readings(m.text)


def measure(t, guests, policy, smp, seconds=10, before=()):
    """What guests get that have been at it for a while."""
    steps = ["sleep 3", *before, LISTS, f"sleep {seconds}", LISTS]
    _, read = script(t, guests, steps, policy, smp)
    t.equal(len(read), 2, "readings")
    seen = Between(*read)
    t.check(1 <= seen.elapsed() / (seconds * 1e9) < 1.1,
            f"{seen.elapsed()} ns between the readings")
    return seen


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
    seen = measure(t, guests, t.args["policy"], smp)
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
    seen = measure(t, [hog(n) for n in names], t.args["policy"], smp)
    judge(t, seen, fair(claims_of(smp, **dict.fromkeys(names, (1, 1))), smp))


def affinity_counts(t):
    """Two that may run anywhere make up for what the bound ones do not get."""
    claims = {"left": Claim({0}, weight=100), "right": Claim({1}, weight=300),
              "wide": Claim({0, 1}, {0, 1}, weight=200)}
    guests = [hog("left", weight=100, affinity="0"),
              hog("right", weight=300, affinity="1"),
              hog("wide", weight=200, vcpus=2)]
    seen = measure(t, guests, t.args["policy"], 2)
    judge(t, seen, fair(claims, 2))


def new_weight(t):
    guests = [hog("a", weight=100), hog("b", weight=100)]
    _, read = script(t, guests, ["sleep 1", "set a weight=300", LISTS,
                                 "sleep 5", LISTS, "set a weight=50", LISTS,
                                 "sleep 5", LISTS], t.args["policy"], 1)
    judge(t, Between(*read[0:2]), {"a": 3 / 4, "b": 1 / 4})
    judge(t, Between(*read[2:4]), {"a": 1 / 3, "b": 2 / 3})


# --- caps -------------------------------------------------------------------


def judge_caps(t, seen, caps):
    """Each has what its cap is worth, in per cent of one CPU."""
    got = seen.parts()
    for name, cap in caps.items():
        t.check(abs(got[name] - cap / 100) <= NEAR * cap / 100,
                f"{name}: got {percent(got)}; caps are {caps}")
    return got


def cap_alone(t):
    """A CPU that has nothing else to do stays idle for the rest."""
    cap, smp, vcpus = t.args["cap"], t.args["smp"], t.args["vcpus"]
    seen = measure(t, [hog("capped", cap=cap, vcpus=vcpus)],
                   t.args["policy"], smp)
    judge_caps(t, seen, {"capped": cap})
    t.check(sum(seen.cpus("idle_ns")) > 0, "no CPU was idle")


def caps_beside(t):
    """Several caps, and one without who gets what they leave."""
    smp, vcpus = t.args["smp"], t.args["vcpus"]
    caps = {"ten": 10 * smp, "twenty": 20 * smp, "thirty": 30 * smp}
    guests = [hog(n, cap=c, vcpus=vcpus) for n, c in caps.items()]
    guests.append(hog("rest", vcpus=smp, weight=64))
    seen = measure(t, guests, t.args["policy"], smp)
    got = judge_caps(t, seen, caps)
    # Less what the hypervisor itself takes: many turns are short here.
    t.check(0.38 * smp <= got["rest"] <= 0.401 * smp,
            f"the one without a cap: got {percent(got)}")


def cap_of_sleepers(t):
    """Sleeping and waking all the time is no way around a cap."""
    modes = "sleeper", "yielder", "pending", "boost"
    guests = [guest(mode, "shares", cap=20, bootargs=f"mode={mode} ms=1000000")
              for mode in modes]
    seen = measure(t, guests, t.args["policy"], 1)
    judge_caps(t, seen, dict.fromkeys(modes, 20))


def new_cap(t):
    _, read = script(t, [hog("a", cap=30, vcpus=2)],
                     ["sleep 2", LISTS, "sleep 4", LISTS, "set a cap=120",
                      LISTS, "sleep 4", LISTS, "set a cap=0", LISTS, "sleep 2",
                      LISTS], t.args["policy"], 2)
    judge_caps(t, Between(*read[0:2]), {"a": 30})
    judge_caps(t, Between(*read[2:4]), {"a": 120})
    got = Between(*read[4:6]).parts()["a"]
    t.check(got > 1.9, f"without a cap it got {got * 100:.1f} %")


# --- those who take more ----------------------------------------------------

GREEDY = {
    "who_sleeps_before_each_tick": "mode=sleeper",
    "who_yields_all_the_time": "mode=yielder",
    "who_waits_for_what_is_there": "mode=pending",
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
    seen = measure(t, [taker] + [hog(n) for n in names], t.args["policy"],
                      smp)
    wanted = fair(claims_of(smp, greedy=(vcpus, 1),
                            **dict.fromkeys(names, (1, 1))), smp)
    got = seen.parts()
    both = f"got {percent(got)}; fair is {percent(wanted)}"
    t.check(got["greedy"] <= wanted["greedy"] * (1 + NEAR), both)
    t.check(sum(got[n] for n in names) >= got["greedy"] * (1 - NEAR)
            * sum(wanted[n] for n in names) / wanted["greedy"], both)


def many_vcpus(t):
    """Eight vCPUs are worth as much as one."""
    seen = measure(t, [hog("eight", vcpus=8), hog("one")],
                      t.args["policy"], 1)
    judge(t, seen, {"eight": 1 / 2, "one": 1 / 2})
    each = seen.vcpus("running_ns")
    eighth = sum(each["eight", i] for i in range(8)) / 8
    for i in range(8):
        t.check(abs(each["eight", i] - eighth) < 10 * NEAR * eighth,
                f"vCPU {i} of eight ran for {each['eight', i]} ns, "
                f"an eighth is {eighth:.0f}")


def nothing_saved(t):
    """Who slept for long, or comes new, has its share from then on: not the
    CPU to itself for as long as it was away, and no less either."""
    guests = [hog("hog"), hog("new", autostart=False),
              guest("late", "shares", bootargs="mode=boost run_us=4000000 "
                    "sleep_us=4000000 ms=1000000")]
    _, read = script(t, guests, ["sleep 3"] + [LISTS, "sleep 1"] * 13
                     + ["guest start new", "sleep 1"] + [LISTS, "sleep 1"] * 4,
                     t.args["policy"], 1)
    rivals = []
    for seen in map(Between, read, read[1:]):
        # Those who wanted the CPU all the time, by what listings can tell.
        away = {key[0]: seen.vcpus("blocked_ns")[key]
                + seen.vcpus("offline_ns")[key] for key in seen.vcpus("wakes")}
        here = [name for name, ns in away.items() if not ns]
        if any(0 < ns < 0.99 * seen.elapsed() for ns in away.values()):
            continue
        rivals.append(len(here))
        got = seen.parts()
        # In one second no more than four slices more or less.
        t.check(all(abs(got[n] - 1 / len(here)) < 0.05 for n in here),
                f"{here}: got {percent(got)}")
    t.check({1, 2} <= set(rivals) and max(rivals[-2:]) >= 2,
            f"how many wanted the CPU: {rivals}")


# --- priorities, slices -----------------------------------------------------


def strict(t):
    """The lower one gets nothing at all while the higher one is busy, and
    everything that the console leaves while that one rests."""
    smp = t.args["smp"]
    guests = [hog("low", priority=50, vcpus=smp),
              hog("high", priority=200, vcpus=smp, autostart=False)]
    look = ["sleep 2", LISTS, "sleep 3", LISTS]
    _, read = script(t, guests, ["sleep 2", "guest start high", *look,
                                 "guest pause high", *look,
                                 "guest resume high", *look,
                                 "set low priority=201", *look],
                     t.args["policy"], smp)
    for i, (winner, loser) in enumerate((("high", "low"), ("low", "high"),
                                         ("high", "low"), ("low", "high"))):
        between = Between(*read[2 * i:2 * i + 2])
        got = between.held()
        t.equal(got[loser], 0, f"what {loser} got in part {i}")
        shown = sum(between.cpus("task_ns")) / between.elapsed()
        t.check(abs((got[winner] + shown) / smp - 1) < NEAR,
                f"part {i}: {percent(got)}, tasks {100 * shown:.2f} %")


def urgent(t):
    """One that is woken takes the CPU from a lower one at once: it never
    waits for longer than the hypervisor itself takes."""
    guests = [hog("low", priority=50),
              guest("high", "shares", priority=200,
                    bootargs="mode=boost run_us=500 sleep_us=1500 ms=1000000")]
    seen = measure(t, guests, t.args["policy"], 1)
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
    seen = measure(t, guests, t.args["policy"], 1)
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
    seen = measure(t, guests, t.args["policy"], 1)
    judge(t, seen, dict.fromkeys(names, 1 / 5))


# --- places -----------------------------------------------------------------


def makes_room(t):
    """One is bound to the CPU on which another runs that could run elsewhere,
    and has the higher priority or a long turn."""
    guests = [hog("free", affinity="0", priority=200, slice_us=1000000),
              hog("bound", affinity="0", priority=50, slice_us=1000000)]
    steps = ["sleep 1", "set free affinity=0-1", "sleep 0.1", LISTS, "sleep 2",
             LISTS]
    _, read = script(t, guests, steps, t.args["policy"], 2)
    got = Between(*read).held()
    t.check(min(got.values()) > 1 - NEAR, percent(got))


def state_of(reading, name, vcpu=0):
    one = reading["vcpu", name, vcpu]
    return one["state"], one["cpu"]


def refuses(t):
    """Where every CPU has its vCPU, one more is told so and nobody is
    disturbed; it starts when there is room."""
    policy, smp = t.args["policy"], t.args["smp"]
    guests = [hog(f"hog{i}", pin=[i]) for i in range(smp)]
    guests.append(hog("extra", autostart=False))
    look = ["sleep 1", LISTS]
    m, read = script(t, guests,
                     ["sleep 4", LISTS, "guest start extra", *look, *look,
                      "guest stop hog0", "guest start extra", *look, *look],
                     policy, smp)
    t.check(re.search(r"extra: can.t be started: .*no room", m.text),
            "no word of the refusal")
    seen = Between(*read[0:3:2])
    t.equal(sum(seen.vcpus("migrations").values()), 0, "migrations")
    t.equal(sum(seen.vcpus("preemptions").values()), 0, "preemptions")
    got = seen.held()
    t.equal(got["extra"], 0, "what the refused guest got")
    t.check(all(got[f"hog{i}"] > 0.95 for i in range(smp)),
            f"got {percent(got)}")
    t.equal(state_of(read[-1], "extra"), ("running", 0), "once there is room")


def no_room(t):
    """A policy that has no room for all is refused: nothing changes."""
    policy, other = t.args["policy"], t.args["other"]
    m, read = script(t, [hog(f"hog{i}") for i in range(3)],
                     ["sleep 3", f"sched set {policy}", "sched list -j", LISTS,
                      "sleep 1", LISTS], other, 2)
    t.check(re.search(r"^sched set: .*room", m.text, re.M), "no word of it")
    active = [name for name, on in re.findall(
        r'"type":"policy","name":"(\w+)","active":(\w+)', m.text)
        if on == "true"]
    t.equal(active, [other], "the active policy")
    t.check(min(Between(*read).held().values()) > 0.5, "someone got less")


def moves(t):
    """What affinity and pins say holds at once, beside others too."""
    policy, smp = t.args["policy"], 3
    # Under a policy without room for it, nobody else is there.
    alone = matrix.rooms(policy, 1) is not None
    guests = [hog("mover", affinity="0")]
    guests += [] if alone else [hog(f"hog{i}", pin=[i]) for i in range(smp)]
    places = [("set mover affinity=1", {1}), ("vcpu pin mover:0 2", {2}),
              ("set mover affinity=all", {0, 1, 2}),
              ("vcpu pin mover:0 0-1", {0, 1}), ("vcpu pin mover:0 9", {0, 1}),
              ("vcpu pin mover:0 none", {0, 1, 2}),
              ("set mover pin=1", {1}), ("set mover pin=0", {0})]
    steps = ["sleep 4", LISTS]
    for command, _ in places:
        steps += [command, "sleep 1", LISTS]
    _, read = script(t, guests, steps, policy, smp)
    for (command, allowed), *two in zip(places, read, read[1:]):
        state, cpu = state_of(two[1], "mover")
        t.check(cpu in allowed and state in ("running", "queued"),
                f"after {command!r} it is {state} on CPU {cpu}")
        got = Between(*two).held()["mover"]
        # Half of a CPU, less what the console's task takes there for lists.
        t.check(got > (0.95 if alone else 0.3),
                f"after {command!r} it got {got * 100:.1f} %")


# --- the policy changes, ways to wait ---------------------------------------


def switching(t):
    """The policy is changed again and again while guests work, sleep and
    wake: nobody is lost or stuck, and what was counted goes on."""
    smp, policies = t.args["smp"], t.args["policies"]
    few = smp if any(matrix.rooms(p, smp) for p in policies) else None
    guests = [guest("ping", "pingpong", vcpus=2,
                    bootargs=f"rounds={t.args['rounds']}")]
    if few:
        guests += [hog(f"hog{i}") for i in range(few - 2)]
    else:
        guests += [guest("hunt", "wakehunt", vcpus=3, bootargs=f"rounds="
                         f"{t.args['rounds']} timers=200 watchdog_ms=60000"),
                   hog("hog0", vcpus=2), hog("hog1", cap=60)]
    steps, turns = ["sleep 3", LISTS], t.args["times"]
    for i in range(turns):
        # At once after the last change, some moments later, or much later.
        steps += [f"sched set {policies[i % len(policies)]}"]
        steps += [[], ["sched cpus"], ["mem", "vcpu list"]][i % 4 % 3]
        if i % 10 == 9:
            steps += ["sleep 1", LISTS]
    ends = ["ping"] if few else ["ping", "hunt"]
    # What they have said is shown at the end, for whoever reads the log.
    steps += [f"guest wait {' '.join(ends)}", LISTS,
              f"watch {' '.join(ends)}", "sleep 1"]
    m, read = script(t, guests, steps, policies[0], smp, t.args["count"])
    t.equal(len(re.findall(r"^sched set: ", m.text, re.M)), 0, "refusals")
    for before, after in zip(read, read[1:]):
        t.equal(before.keys(), after.keys(), "who is there")
        for key, ns in Between(before, after).vcpus("running_ns").items():
            t.check(ns > 0 or not key[0].startswith("hog"),
                    f"vCPU {key} did not go on")
        for key in before:
            for what in ("running_ns", "wakes", "exits", "dispatches",
                         "guest_ns"):
                t.check(after[key].get(what, 0) >= before[key].get(what, 0),
                        f"{what} of {key} went back")
    for name in ends:
        one = read[-1]["guest", name]
        t.equal((one["state"], one["last_event"], one["last_code"],
                 one["boots"]), ("stopped", "poweroff", 0, 1),
                f"how {name} ended: "
                + " | ".join(re.findall(rf"^\[{name}\] (.*)", m.text, re.M)))


def ways_to_wait(t):
    """Guests that wait natively or polling work beside hogs, and do not keep
    a CPU while they wait."""
    smp, policy = t.args["smp"], t.args["policy"]
    names = [f"hog{i}" for i in range(smp)]
    guests = [hog(n) for n in names]
    for wfi in ("native", "poll"):
        more = {"wfi": wfi, "wfi_poll_us": 200 if wfi == "poll" else None}
        guests += [guest(f"ping-{wfi}", "pingpong", vcpus=2,
                         bootargs="rounds=300", **more),
                   guest(f"tick-{wfi}", "tick", bootargs="seconds=2", **more),
                   guest(f"rest-{wfi}", "shares", bootargs=ASLEEP, **more)]
    ends = [f"{g}-{wfi}" for g in ("ping", "tick")
            for wfi in ("native", "poll")]
    _, read = script(t, guests, [f"guest wait {' '.join(ends)}", "sleep 1",
                                 LISTS, "sleep 3", LISTS], policy, smp)
    for name in ends:
        one = read[-1]["guest", name]
        t.equal((one["last_event"], one["last_code"]), ("poweroff", 0),
                f"how {name} ended")
    got = Between(*read).held()
    t.check(all(got[n] > 1 - 2 * NEAR for n in names), f"got {percent(got)}")


# Works for a moment, then sleeps for good.
ASLEEP = "mode=boost run_us=1 sleep_us=1000000000 ms=1000000"


def idle(t):
    """Who sleeps is left alone: no exit, no turn, and the CPU sleeps too."""
    smp = t.args["smp"]
    guests = [guest(f"asleep-{wfi}", "shares", vcpus=smp, bootargs=ASLEEP,
                    wfi=wfi) for wfi in t.args["wfi"]]
    seen = measure(t, guests, t.args["policy"], smp)
    for what in ("wakes", "dispatches"):
        grown = seen.vcpus(what)
        t.equal(grown, dict.fromkeys(grown, 0), what)
    # The watchdog asks a CPU whose guest waits untrapped once a second.
    asked = (int(seen.elapsed() / 1e9) + 1
             if smp > 1 and t.args["wfi"] == ("native",) else 0)
    exits = seen.vcpus("exits")
    t.check(max(exits.values()) <= asked, f"exits: {exits}")
    # The console's own: it wakes to print the lists and sleeps between them.
    for what, most in (("waits", 400), ("timer_sets", 400), ("mails", 400)):
        t.check(max(seen.cpus(what)) < most, f"{what}: {seen.cpus(what)}")
    t.check(min(seen.cpus("idle_ns")) > (1 - NEAR) * seen.elapsed() or
            "native" in t.args["wfi"], f"idle: {seen.cpus('idle_ns')}")


# --- which tests for which policy -------------------------------------------


def cases_of_shares(full, p):
    """Of a policy that looks at weights."""
    cases = [Case(f"weights_1_2_4_share_{s}_cpus_as_fair,{v}_vcpus_each,{p}",
                  weights, policy=p, smp=s, vcpus=v)
             for s, v in ((1, 1), (1, 2), (2, 1), (2, 2), (4, 3))
             if full or (s, v) in ((1, 1), (2, 1), (2, 2))]
    cases += [Case(f"{h}_equal_hogs_share_{s}_cpus,{p}", equal_hogs, policy=p,
                   smp=s, hogs=h)
              for s, h in ((2, 3), (2, 5), (4, 5), (3, 7), (4, 9))
              if full or (s, h) == (2, 3)]
    cases += [Case(f"{who}_gets_no_more,{v}_vcpus_on_{s},{p}", greedy,
                   mode=mode, policy=p, smp=s, vcpus=v)
              for s, v in ((1, 1), (1, 3), (2, 1), (2, 3))
              for who, mode in GREEDY.items() if full or (s, v) == (1, 1)]
    return cases + [
        Case(f"guests_get_as_much_done_as_their_weights_say,{p}", work_done,
             policy=p),
        Case(f"who_is_bound_to_a_cpu_is_made_up_for,{p}", affinity_counts,
             policy=p),
        Case(f"a_new_weight_counts_at_once,{p}", new_weight, policy=p),
        Case(f"eight_vcpus_get_as_much_as_one,{p}", many_vcpus, policy=p),
        Case(f"who_was_away_has_saved_up_nothing,{p}", nothing_saved,
             policy=p),
    ]


def cases_of_caps(full, p):
    cases = [Case(f"a_cap_of_{c}_holds_alone,{v}_vcpus_on_{s},{p}", cap_alone,
                  policy=p, cap=c, smp=s, vcpus=v)
             for c, s, v in ((30, 1, 1), (3, 1, 1), (75, 1, 3), (150, 2, 4),
                             (130, 2, 2), (250, 4, 6))
             if full or c in (30, 150)]
    cases += [Case(f"caps_hold_beside_others,{v}_vcpus_on_{s},{p}",
                   caps_beside, policy=p, smp=s, vcpus=v)
              for s, v in ((1, 1), (1, 4), (2, 3)) if full or s == 2]
    return cases + [
        Case(f"sleeping_is_no_way_around_a_cap,{p}", cap_of_sleepers,
             policy=p),
        Case(f"a_new_cap_counts_at_once,{p}", new_cap, policy=p)]


def cases_of_turns(full, p):
    """Of a policy with slices and no weights, with priorities or without."""
    cases = [Case(f"turns_are_as_long_as_slices,{p}", slices, policy=p),
             Case(f"equal_slices_share_equally_whatever_the_weight,{p}",
                  equal_slices, policy=p)]
    if p not in matrix.looking_at("priority"):
        return cases
    return cases + [Case(f"a_lower_priority_gets_nothing,{s}_harts,{p}",
                         strict, policy=p, smp=s)
                    for s in ((1, 2, 4) if full else (2,))] + [
        Case(f"a_higher_priority_runs_when_it_wakes,{p}", urgent, policy=p)]


def cases_of_all(full, policies, sharing):
    rooms = [p for p in policies if p not in sharing]
    cases = [Case(f"a_vcpu_without_a_cpu_is_refused,{s}_harts,{p}", refuses,
                  policy=p, smp=s) for p in rooms
             for s in ((1, 2, 4) if full else (2,))]
    cases += [Case(f"a_policy_without_room_is_refused,{p}", no_room, policy=p,
                   other=sharing[-1]) for p in rooms]
    cases += [Case(f"who_runs_makes_room_for_one_that_is_bound,{p}",
                   makes_room, policy=p) for p in sharing]
    cases += [Case(f"affinity_and_pins_move_a_vcpu,{p}", moves, policy=p)
              for p in policies]
    cases += [Case(f"guests_that_wait_{s}_harts_leave_cpus_to_hogs,{p}",
                   ways_to_wait, policy=p, smp=s) for p in sharing
              for s in ((1, 2) if full else (1,))]
    cases += [Case(f"who_sleeps_causes_no_exits,{'+'.join(w)},{s}_harts,{p}",
                   idle, policy=p, smp=s, wfi=w) for p in sharing
              for s in ((1, 2) if full else (1,))
              for w in (("trap",), ("native",), ("poll",),
                        ("trap", "native", "poll"))
              if full or len(w) > 1 or p == sharing[-1]]
    for count in (True, False):
        how = "counted" if count else "at_once"
        cases += [Case(f"policies_change_under_load_and_nobody_is_lost,"
                       f"{s}_harts,{len(set_of)}_policies,{how}", switching,
                       timeout=400, smp=s, policies=set_of, count=count,
                       times=200 if full else 30,
                       rounds=20000 if full else 2000)
                  for s, set_of in ((2, sharing), (4, policies))
                  if full or count or s == 2]
    return cases


def tests(full):
    policies = matrix.policies()
    cases = []
    for p in policies:
        if p in matrix.looking_at("weight"):
            cases += cases_of_shares(full, p)
        elif p in matrix.looking_at("slice-us"):
            cases += cases_of_turns(full, p)
        if p in matrix.looking_at("cap"):
            cases += cases_of_caps(full, p)
    return cases + cases_of_all(full, policies, matrix.sharing())
