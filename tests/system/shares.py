"""What each policy gives to whom, and that the policy can be changed.

Rouse's own accounts are read twice in one command, `vcpu list -j` with a
sleep in between, and judged as ratios: each vCPU's four runstates add up to
the time that has passed for it, whatever the clock on the wall says and
however slow the machine is.
"""

import matrix
from harness import Case
from labs import Shell, guest, lab

WITHIN = 0.01

# Long enough not to end by itself.
FOREVER = "ms=100000000"
STATES = ("running_ns", "runnable_ns", "blocked_ns", "offline_ns")


class Window:
    """What every vCPU did within some seconds of Rouse's time."""

    def __init__(self, shell, seconds):
        listed = shell.json(f"vcpu list -j; sched cpus -j; sleep {seconds}; "
                            "sched cpus -j; vcpu list", 120 + 10 * seconds)
        half = len(listed) // 2
        # The second listing of CPUs comes before that of vCPUs.
        first = {self.key(o): o for o in listed[:half]}
        self.delta = {}
        self.guests = set()
        for now in listed[half:]:
            key = self.key(now)
            old = first[key]
            self.delta[key] = {k: now[k] - old[k] for k in now
                               if isinstance(now[k], int)}
            if now["type"] == "vcpu":
                self.guests.add(now["guest"])

    @staticmethod
    def key(o):
        return (o.get("guest"), o.get("vcpu", o.get("cpu")))

    def vcpu(self, guest_name, vcpu=0):
        return self.delta[(guest_name, vcpu)]

    def cpu(self, cpu):
        return self.delta[(None, cpu)]

    def sum(self, name, what="running_ns"):
        return sum(d[what] for (g, _), d in self.delta.items() if g == name)

    def elapsed(self, name):
        """Guest's vCPU 0: the time that has passed for it."""
        return sum(self.vcpu(name)[s] for s in STATES)

    def of_all(self, name):
        """The guest's part of what all guests got."""
        return self.sum(name) / sum(self.sum(g) for g in self.guests)

    def of_cpu(self, name):
        """The guest's use, in CPUs."""
        return self.sum(name) / self.elapsed(name)


def near(t, got, wanted, what):
    t.check(abs(got - wanted) <= WITHIN,
            f"{what}: got {got:.4f}, expected {wanted:.4f}")


def begin(t, *guests, smp=1, policy=None, up=None):
    m = t.boot(lab=lab(*guests), smp=smp, mem="512M",
               append=f"sched={policy or t.args['policy']}")
    m.expect("rouse> ", 60)
    shell = Shell(m)
    shell.quiet()
    # All of them are there and have got going.
    while any(v["running_ns"] < 10000000 for (g, n), v in
              shell.vcpus().items() if up is None or g in up):
        pass
    shell.run("sleep 1")
    return m, shell


def end(t, m):
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def hog(name, **knobs):
    return guest(name, "spin", **knobs)


def weights(t):
    smp = t.args["smp"]
    m, shell = begin(t, *[hog(name, weight=w, vcpus=smp, slice_us=5000)
                          for name, w in (("one", 100), ("two", 200),
                                          ("four", 400))], smp=smp)
    w = Window(shell, t.args["seconds"])
    for name, part in (("one", 1 / 7), ("two", 2 / 7), ("four", 4 / 7)):
        near(t, w.of_all(name), part, f"part of {name}")
    end(t, m)


def weight_is_the_guests(t):
    """Many vCPUs get a guest no more than one does."""
    m, shell = begin(t, hog("single"), hog("crowd", vcpus=6))
    w = Window(shell, t.args["seconds"])
    near(t, w.of_all("single"), 1 / 2, "part of the guest with one vCPU")
    end(t, m)


def two_thirds(t):
    m, shell = begin(t, *[hog(n) for n in ("a", "b", "c")], smp=2)
    w = Window(shell, t.args["seconds"])
    for name in "abc":
        near(t, w.of_cpu(name) / sum(w.of_cpu(n) for n in "abc"), 1 / 3,
             f"part of {name}")
        near(t, w.of_cpu(name), 2 / 3 * (1 - busy(w, 2)), f"CPUs of {name}")
    end(t, m)


def busy(w, cpus):
    """The part of the CPUs' time that went to Rouse and its tasks."""
    host = sum(w.cpu(c)["task_ns"] + w.cpu(c)["host_ns"] for c in range(cpus))
    return host / cpus / w.elapsed("a")


def water_filling(t):
    """A guest that can't use its share leaves it to the others: on two CPUs
    one vCPU of weight 1000 gets one CPU, and two of 100 share the other."""
    m, shell = begin(t, hog("big", weight=1000), hog("a", weight=100),
                     hog("b", weight=100), smp=2)
    w = Window(shell, t.args["seconds"])
    got = {n: w.of_all(n) for n in ("big", "a", "b")}
    near(t, got["big"], 1 / 2, "part of the big one")
    near(t, got["a"], 1 / 4, "part of a")
    near(t, got["b"], 1 / 4, "part of b")
    end(t, m)


def caps(t):
    m, shell = begin(t, hog("quarter", cap=25), hog("wide", cap=60, vcpus=2),
                     hog("free"), smp=2)
    w = Window(shell, t.args["seconds"])
    near(t, w.of_cpu("quarter"), 0.25, "CPUs of the guest with cap 25")
    near(t, w.of_cpu("wide"), 0.60, "CPUs of the guest with cap 60")
    end(t, m)


def cap_while_idle(t):
    m, shell = begin(t, hog("capped", cap=30), smp=2)
    w = Window(shell, t.args["seconds"])
    near(t, w.of_cpu("capped"), 0.30, "CPUs of the only guest, cap 30")
    shell.run("set capped cap=70")
    shell.run("sleep 1")
    w = Window(shell, t.args["seconds"])
    near(t, w.of_cpu("capped"), 0.70, "CPUs after its cap was set to 70")
    end(t, m)


def equal_slices(t):
    m, shell = begin(t, *[hog(n, slice_us=2000) for n in ("a", "b", "c")])
    w = Window(shell, t.args["seconds"])
    for name in "abc":
        near(t, w.of_all(name), 1 / 3, f"part of {name}")
    turns = [w.vcpu(n)["dispatches"] for n in "abc"]
    t.check(max(turns) - min(turns) <= 1, f"turns: {turns}")
    end(t, m)


def strict_priority(t):
    """The higher always runs; the lowest gets only what is left over."""
    m, shell = begin(t, hog("low", priority=10), hog("middle", priority=20,
                                                      autostart=False),
                     guest("urgent", "shares", priority=255,
                           bootargs=f"mode=boost run_us=500 sleep_us=500 "
                           f"{FOREVER}"), up=("low", "urgent"))
    shell.run("guest start middle")
    shell.run("sleep 1")
    w = Window(shell, t.args["seconds"])
    t.equal(w.sum("low"), 0, "time of the lowest while a higher one runs")
    t.check(w.sum("urgent") > 0 and w.sum("middle") > 0,
            "the others did not run")
    t.check(w.sum("urgent", "runnable_ns") <= WITHIN * w.elapsed("urgent"),
            f"the highest waited {w.sum('urgent', 'runnable_ns')} ns")
    # Knobs count at once.
    shell.run("set low priority=30")
    w = Window(shell, 1)
    t.check(w.sum("low") > w.sum("middle"), "a raised priority counts not")
    end(t, m)


def no_gain(t):
    """One of three equal guests tries to get more than its third."""
    how = t.args["how"]
    args = {"sleeper": "mode=sleeper tick_us=10000",
            "yielder": "mode=yielder",
            "boost": "mode=boost run_us=200 sleep_us=20"}[how]
    m, shell = begin(t, hog("a"), hog("b"),
                     guest("greedy", "shares", bootargs=f"{args} {FOREVER}"))
    w = Window(shell, t.args["seconds"])
    t.check(w.of_all("greedy") <= 1 / 3 + WITHIN,
            f"the {how} got {w.of_all('greedy'):.4f} of the CPU")
    near(t, w.of_all("a"), w.of_all("b"), "the honest ones")
    end(t, m)


def one_a_cpu(t):
    m, shell = begin(t, hog("a"), hog("b"), smp=2)
    m.line("guest create c memory=16M kernel=baremetal/spin.elf autostart=on")
    m.expect(r"(?i)no (room|cpu)|refused|could not be started", 60)
    w = Window(shell, t.args["seconds"])
    states = {k: v["state"] for k, v in shell.vcpus().items()}
    t.check(states.get(("c", 0)) in ("refused", "off"), f"states: {states}")
    for name in "ab":
        t.check(w.vcpu(name)["migrations"] == 0, f"{name} moved")
        t.check(w.sum(name) >= w.elapsed(name) * 0.9, f"{name} had to wait")
    end(t, m)


def switching(t):
    """Policies are changed all the time, and nobody is lost or stuck."""
    policies = [p for p in matrix.policies()
                if matrix.rooms(p, t.args["smp"]) is None]
    m, shell = begin(t, hog("hog1", vcpus=2), hog("hog2", cap=150, vcpus=2),
                     guest("tick", "tick", vcpus=2, bootargs="seconds=0"),
                     guest("pingpong", "pingpong", vcpus=4,
                           bootargs="rounds=1000000000"),
                     guest("hunt", "wakehunt", vcpus=4, bootargs=
                           "rounds=1000000000 watchdog_ms=20000"),
                     smp=t.args["smp"], policy=policies[0])
    before = shell.vcpus()
    for n in range(t.args["times"]):
        policy = policies[n % len(policies)]
        t.equal(shell.run(f"sched set {policy}"), [], f"sched set {policy}")
        active = [p["name"] for p in shell.json("sched list") if p["active"]]
        t.equal(active, [policy], "the active policy")
        if n % 20 == 19:
            now = shell.vcpus()
            t.equal(set(now), set(before), "vCPUs")
            before = now
    for policy in policies:
        shell.run(f"sched set {policy}; set hog1 priority=100; "
                  "set hog2 priority=100; sleep 2")
        before = shell.vcpus()
        shell.run("sleep 4")
        for key, v in shell.vcpus().items():
            t.check(v["running_ns"] > before[key]["running_ns"],
                    f"vCPU {key} does not run any more under {policy}")
    t.equal({n: g["state"] for n, g in shell.guests().items()},
            dict.fromkeys(("hog1", "hog2", "tick", "pingpong", "hunt"),
                          "running"), "states")
    end(t, m)


def no_room(t):
    """A policy without room for all vCPUs is refused, and nothing changes."""
    one = [p for p in matrix.policies() if matrix.rooms(p, 1)]
    m, shell = begin(t, hog("a", vcpus=2), hog("b"), smp=2)
    for policy in one:
        lines = shell.run(f"sched set {policy}")
        t.check(len(lines) == 1 and "room" in lines[0], f"answer: {lines}")
    active = [p["name"] for p in shell.json("sched list") if p["active"]]
    t.equal(active, [t.args["policy"]], "the active policy")
    shell.run("guest stop b")
    for policy in one:
        t.equal(shell.run(f"sched set {policy}"), [], "answer")
    end(t, m)


def tests(full):
    seconds = 10 if full else 5
    known = set(matrix.policies())
    sharing = [p for p in matrix.policies() if matrix.rooms(p, 1) is None]
    cases = []

    def case(name, run, policy="credit", **args):
        if policy in known:
            cases.append(Case(f"{name},{policy}", run, timeout=600,
                              policy=policy, seconds=seconds, **args))

    for smp in (1, 2, 4) if full else (1, 2):
        case(f"weights_1_2_4_give_shares_1_2_4,{smp}_cpu", weights, smp=smp)
    case("many_vcpus_gain_nothing", weight_is_the_guests)
    case("three_hogs_on_two_cpus_get_two_thirds_each", two_thirds)
    case("what_one_cannot_use_goes_to_the_others", water_filling)
    case("caps_hold", caps)
    case("a_cap_holds_on_an_idle_machine", cap_while_idle)
    for how in ("sleeper", "yielder", "boost"):
        case(f"a_{how}_gains_nothing", no_gain, how=how)
    for policy in ("rr", "fp"):
        case("equals_get_equal_turns", equal_slices, policy)
    case("priorities_are_strict", strict_priority, "fp")
    case("one_vcpu_a_cpu_and_no_more", one_a_cpu, "pinned")
    case("a_policy_without_room_is_refused", no_room, sharing[-1])
    for smp in (1, 2, 4) if full else (2,):
        case(f"policies_change_under_load,{smp}_harts", switching, "credit",
             smp=smp, times=600 if full else 60)
    return cases
