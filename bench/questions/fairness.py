from bench import (Notes, Service, common, jain, key, probe, seed,
                   shares_over_time, strip, value)

TITLE = "Shares by weight"
QUESTION = ("Four guests that want all of one CPU have the weights 1, 2, 4 and "
            "8. How near to its share does each come, and how far does it fall "
            "behind it in windows of 10, 100 and 1000 ms?")
COLUMNS = [
    key("policy", "policy"),
    key("promised", "looks at weights"),
    seed(),
    key("guest", "guest"),
    value("weight", "", "weight"),
    value("due", "%", "its share"),
    value("share", "%", "what it got", noise=0.2),
    value("error", "%", "off its share, of that share", "less", 0.5),
    value("jain", "", "Jain's index of all four, of got / due", "more",
          0.001),
    value("lag_10_ms", "ms", "greatest lag in 10 ms", "less", 0.1, 3),
    value("lag_100_ms", "ms", "greatest lag in 100 ms", "less", 0.5, 5),
    value("lag_1000_ms", "ms", "greatest lag in 1 s", "less", 1, 5),
]

WEIGHTS = {"one": 100, "two": 200, "four": 400, "eight": 800}


def cases(b):
    return [{"policy": p, "seed": s} for p in b.policies(4, 1)
            for s in b.seeds()]


def measure(b, policy, seed):
    ms = b.seconds(8, 2) * 1000
    # They begin a little apart: whose turn it is then is a seed's business.
    guests = [probe(n, "turns", seed * 10 + i,
                    at=4 + 0.013 * ((seed * 7 + i * 5) % 11), weight=w,
                    args=f"ms={ms} cooldown_ms=200 gap_us=40")
              for i, (n, w) in enumerate(WEIGHTS.items())]
    # The shell looks each 5 ms whether who is waited for has ended: afterwards.
    run = b.boot(guests, ["watch all", f"sleep {4.2 + ms / 1000:g}",
                          f"guest wait {' '.join(WEIGHTS)}", "sleep 1"],
                 policy, 1, seed=seed, shift=5)
    turns = {n: Notes(run.said(n)).turns[0] for n in WEIGHTS}
    first, last = common(turns.values())
    service = {n: Service(t) for n, t in turns.items()}
    got = {n: (s.at(last) - s.at(first)) / (last - first)
           for n, s in service.items()}
    due = {n: w / sum(WEIGHTS.values()) for n, w in WEIGHTS.items()}
    # What the hypervisor itself takes is nobody's.
    rate = sum(got.values())
    index = jain([got[n] / due[n] for n in WEIGHTS])
    rows = [[policy.name, "weight" in policy.knobs, seed, n, w, due[n] * 100,
             got[n] * 100, abs(got[n] / (due[n] * rate) - 1) * 100, index]
            + [service[n].worst_lag(due[n] * rate, w_ms * 1e6, first, last)
               / 1e6 for w_ms in (10, 100, 1000)]
            for n, w in WEIGHTS.items()]
    times, area = shares_over_time(service, first, last,
                                   round((last - first) / 200e6))
    middle = first + (last - first) / 2
    return rows, {"t": times, "area": area, "strips": {
        n: strip(t, middle, middle + 300e6) for n, t in turns.items()}}


def plots(done):
    out, seen = [], set()
    for case, rows, data in done:
        policy = case["policy"].name
        if policy in seen:
            continue
        seen.add(policy)
        out += [
            {"kind": "area", "group": "shares", "title": policy,
             "x": data["t"], "x_title": "time [s]", "series": data["area"],
             "y_title": "share [%]", "lines": {r[3]: r[5] for r in rows}},
            {"kind": "gantt", "group": "strips", "title": policy,
             "rows": data["strips"], "x_title": "time [ms]"}]
    return out + [{"kind": "bars", "title": "greatest lag in 100 ms",
                   "x": "policy", "y": "lag_100_ms", "by": "guest"}]
