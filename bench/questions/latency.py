from bench import LATENCY_COLUMNS, Notes, hog, key, probe, seed

TITLE = "Waking among hogs"
QUESTION = ("A guest sleeps until a random moment and then wants the CPU for "
            "50 us. How late does it get it beside 1, 2, 4 and 8 hogs on the "
            "same hart, with the knobs of all alike, and with twice the weight "
            "and twice the priority?")
COLUMNS = [
    key("policy", "policy"),
    key("hogs", "hogs on the hart"),
    key("knobs", "the sleeper's knobs"),
    seed(),
    *LATENCY_COLUMNS,
]

KNOBS = {"alike": {}, "preferred": {"weight": 512, "priority": 200}}


def cases(b):
    return [{"policy": p, "hogs": hogs, "knobs": knobs, "seed": s}
            for hogs in ((0, 4) if b.quick else (0, 1, 2, 4, 8))
            for p in b.policies(hogs + 1, 1)
            for knobs in b.some(*(KNOBS if hogs else ["alike"]))
            for s in b.seeds(1)]


def measure(b, policy, hogs, knobs, seed):
    guests = [hog(f"hog{i}") for i in range(hogs)]
    guests.append(probe("sleeper", "wake", seed, 1.5 + 0.2 * hogs,
                        f"ms={b.seconds(10) * 1000}", **KNOBS[knobs]))
    run = b.boot(guests, ["guest wait sleeper", "sleep 1"], policy, 1,
                 shift=4, seed=seed)
    late = Notes(run.said("sleeper")).late[0]
    return ([[policy.name, hogs, knobs, seed, *late.row()]], late.cdf())


def plots(done):
    beside = {}
    for case, _, cdf in done:
        name = case["policy"].name
        if case["knobs"] != "alike":
            name += ", preferred"
        hogs = case["hogs"]
        title = f"beside {hogs or 'no'} hog{'s' * (hogs != 1)}"
        beside.setdefault(title, {}).setdefault(name, cdf)
    return [{"kind": "lines", "title": "median, knobs alike", "x": "hogs",
             "y": "p50", "by": "policy", "where": {"knobs": "alike"},
             "log": True},
            {"kind": "lines", "title": "99th percentile, knobs alike",
             "x": "hogs", "y": "p99", "by": "policy",
             "where": {"knobs": "alike"}, "log": True},
            {"kind": "cdf", "title": "wake to run", "x_title": "latency [us]",
             "log": True, "panels": beside}]
