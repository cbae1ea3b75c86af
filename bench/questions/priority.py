from bench import (LATENCY_COLUMNS, LISTS, Notes, hog, key, probe, seed,
                   value)

TITLE = "Strict priority"
QUESTION = ("A guest of priority 200 sleeps and wakes while hogs of priority "
            "50 have every hart: how late is it? And how much do they get "
            "while a guest of priority 200 wants all harts?")
COLUMNS = [
    key("policy", "policy"),
    key("promised", "looks at priorities"),
    key("harts", "harts"),
    seed(),
    *LATENCY_COLUMNS,
    value("leak", "%", "what the lower got of what the higher wanted", "less",
          0.01),
]


def cases(b):
    return [{"policy": p, "harts": harts, "seed": s}
            for harts in b.some(1, 2)
            for p in b.policies(2 * harts + 1, harts)
            for s in b.seeds(1)]


def measure(b, policy, harts, seed):
    low = [hog(f"low{i}", priority=50) for i in range(2 * harts)]
    guests = low + [probe("high", "wake", seed, 3, priority=200,
                          args=f"ms={b.seconds(5) * 1000}")]
    run = b.boot(guests, ["guest wait high", "sleep 1"], policy, harts,
                 shift=4, seed=seed)
    late = Notes(run.said("high")).late[0]
    look = b.seconds(3)
    run = b.boot(low + [hog("high", vcpus=harts, priority=200)],
                 ["watch off", "sleep 1", LISTS, f"sleep {look}", LISTS],
                 policy, harts, shift=5, seed=seed)
    got = run.between().held()
    leak = sum(v for n, v in got.items() if n != "high") / harts * 100
    # Harts that take turns see a timer late: only one hart's latency counts.
    row = late.row() if harts == 1 else [None] * len(LATENCY_COLUMNS)
    return ([[policy.name, "priority" in policy.knobs, harts, seed, *row,
              leak]], late.cdf())


def plots(done):
    return [{"kind": "cdf", "title": "wake to run, the higher priority, 1 hart",
             "x_title": "latency [us]", "log": True,
             "curves": {case["policy"].name: cdf for case, _, cdf in done
                        if case["harts"] == 1}},
            {"kind": "bars", "title": "what the lower got", "x": "policy",
             "y": "leak", "by": "harts"}]
