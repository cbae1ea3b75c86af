from bench import guest, hog, key, seed, value

TITLE = "Hand-overs and migrations"
QUESTION = ("What does it take to divide the time on four harts: how often is "
            "a vCPU moved, a CPU asked for work, and mail sent?")
# Harts take turns in this machine, so a little decides who asks whom first.
COLUMNS = [
    key("policy", "policy"),
    key("load", "load"),
    seed(),
    value("migrations", "1/s", "vCPUs moved", "less", 1, 10),
    value("handovers", "1/s", "hand-overs", "less", 1, 10),
    value("asks", "1/s", "asked for work", "less", 5, 10),
    value("denials", "1/s", "asked in vain", "less", 5, 10),
    value("claims", "1/s", "idle CPUs claimed", "less", 5, 10),
    value("mails", "1/s", "mails", "less", 20, 10),
    value("preemptions", "1/s", "preemptions", "less", 5, 10),
    value("dispatches", "1/s", "turns begun", "less", 20, 10),
]

HARTS = 4


def waker(i, seed):
    return guest(f"waker{i}", "shares", bootargs=f"mode=boost run_us=2000 "
                 f"sleep_us={3000 + 211 * i + 17 * seed} ms=100000000")


LOADS = {
    "4 hogs": (4, lambda s: [hog(f"hog{i}") for i in range(4)]),
    "5 hogs": (5, lambda s: [hog(f"hog{i}") for i in range(5)]),
    "8 hogs": (8, lambda s: [hog(f"hog{i}") for i in range(8)]),
    "6 that wake": (6, lambda s: [waker(i, s) for i in range(6)]),
    "4 hogs, 4 that wake": (8, lambda s: [hog(f"hog{i}") for i in range(4)]
                            + [waker(i, s) for i in range(4)]),
}


def cases(b):
    return [{"policy": p, "load": load, "seed": s}
            for load in (list(LOADS)[1:2] if b.quick else LOADS)
            for p in b.policies(LOADS[load][0], HARTS)
            for s in b.seeds(2)]


def measure(b, policy, load, seed):
    seen = b.measure(LOADS[load][1](seed), policy, HARTS, b.seconds(4),
                     shift=5, seed=seed, warm=1 + seed / 100)
    each = 1e9 / seen.elapsed()
    vcpus = [sum(seen.vcpus(what).values()) * each
             for what in ("migrations", "preemptions", "dispatches")]
    cpus = [sum(seen.cpus(what)) * each for what in
            ("handovers", "asks", "denials", "claims", "mails")]
    return [[policy.name, load, seed, vcpus[0], *cpus, *vcpus[1:]]]


def plots(done):
    return [{"kind": "bars", "title": "vCPUs moved a second", "x": "load",
             "y": "migrations", "by": "policy"},
            {"kind": "bars", "title": "asked for work a second", "x": "load",
             "y": "asks", "by": "policy"}]
