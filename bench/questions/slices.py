import statistics

from bench import Latency, Notes, common, key, merged, probe, seed, value

TITLE = "How long a turn is"
QUESTION = ("Two hogs on one hart have the same slice. How near to it are "
            "their turns, as they see them themselves?")
COLUMNS = [
    key("policy", "policy"),
    key("promised", "looks at slices"),
    key("slice", "slice", "us"),
    seed(),
    value("turns", "", "turns seen", noise=2, percent=1),
    value("mean", "us", "mean", noise=2),
    value("deviation", "us", "standard deviation", "less", 20),
    value("min", "us", "shortest", noise=50),
    value("max", "us", "longest", noise=50),
    value("error", "%", "the mean is off the slice", "less", 0.2),
]


def cases(b):
    return [{"policy": p, "slice": us, "seed": s} for p in b.policies(2, 1)
            for us in ((5000,) if b.quick else (1000, 5000, 10000, 30000))
            for s in b.seeds(1)]


def measure(b, policy, slice, seed):
    names = ("one", "two")
    ms = b.seconds(max(2, slice // 5000))
    guests = [probe(n, "turns", seed, 1, f"ms={ms * 1000} "
                    f"cooldown_ms={200 + slice // 100} gap_us=40",
                    slice_us=slice) for n in names]
    run = b.boot(guests, [f"guest wait {' '.join(names)}", "sleep 1"], policy,
                 1, shift=4, seed=seed)
    turns = [merged(Notes(run.said(n)).turns[0]) for n in names]
    first, last = common(turns)
    # The first and the last turn were not seen from end to end.
    long = [(e - s) / 1000 for t in turns
            for s, e in t if s > first and e < last]
    seen = Latency()
    for us in long:
        seen.add(round(100 * us / slice, 2))
    mean = statistics.mean(long)
    return ([[policy.name, "slice-us" in policy.knobs, slice, seed, len(long),
              mean, statistics.pstdev(long), min(long), max(long),
              abs(mean / slice - 1) * 100]], seen.cdf())


def plots(done):
    panels = {}
    for case, _, cdf in done:
        panels.setdefault(f"slices of {case['slice'] / 1000:g} ms", {})[
            case["policy"].name] = cdf
    return [{"kind": "cdf", "title": "length of turns",
             "x_title": "turn [% of the slice]", "panels": panels}]
