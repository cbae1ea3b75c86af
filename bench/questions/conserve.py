from bench import LISTS, Claim, fair, hog, jain, key, seed, value

TITLE = "Work conservation"
QUESTION = ("Four harts and a load that is not even: is a hart idle while a "
            "vCPU waits for one? And is the time divided as fairly as places "
            "allow?")
COLUMNS = [
    key("policy", "policy"),
    key("load", "load"),
    seed(),
    value("idle", "%", "idle, of the machine", noise=0.2),
    value("due", "%", "idle at least"),
    value("waste", "points", "idle without need", "less", 0.2),
    value("jain", "", "Jain's index of got / fair", "more", 0.02),
]

HARTS = 4
# Guests as (name, CPUs). Those that are freed are opened to all CPUs, and what
# happens from that moment on is measured.
LOADS = {
    "3 hogs": [(f"hog{i}", "all") for i in range(3)],
    "5 hogs": [(f"hog{i}", "all") for i in range(5)],
    "6 hogs": [(f"hog{i}", "all") for i in range(6)],
    "3 bound to two harts, 2 free": [("b0", "0-1"), ("b1", "0-1"),
                                     ("b2", "0-1"), ("f0", "all"),
                                     ("f1", "all")],
    "6 crowded on one hart, then freed": [(f"c{i}", "0") for i in range(6)],
}


def cpus_of(text):
    if text == "all":
        return range(HARTS)
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def cases(b):
    return [{"policy": p, "load": load, "seed": s}
            for load in (list(LOADS)[1:2] if b.quick else LOADS)
            for p in b.policies(len(LOADS[load]), HARTS)
            for s in b.seeds(2)]


def measure(b, policy, load, seed):
    freed = "freed" in load
    given = LOADS[load]
    before = [f"set {n} affinity=all" for n, _ in given] if freed else []
    seconds = b.seconds(4)
    run = b.boot([hog(n, affinity=cpus) for n, cpus in given],
                 ["watch off", f"sleep {1 + seed / 100}", *before, LISTS,
                  f"sleep {seconds}", LISTS], policy, HARTS, shift=5,
                 seed=seed)
    seen = run.between()
    got = seen.held()
    want = fair({n: Claim(cpus_of("all" if freed else cpus))
                 for n, cpus in given}, HARTS)
    idle = sum(seen.cpus("idle_ns")) / seen.elapsed() / HARTS * 100
    due = (1 - sum(want.values()) / HARTS) * 100
    return [[policy.name, load, seed, idle, due, max(0, idle - due),
             jain([got[n] / want[n] for n in want])]]


def plots(done):
    return [{"kind": "bars", "title": "idle without need", "x": "load",
             "y": "waste", "by": "policy"},
            {"kind": "dots", "title": "Jain's index", "x": "load", "y": "jain",
             "by": "policy"}]
