"""The one result of a sweep: its columns, plots, and rows made of points.

A point is a file of the simulator's, named POLICY-GUESTS-LOAD-SEED.json; its row
is one policy at one point, all guests together.
"""

import re

import results

TITLE = "Simulated: policies over guests and load"
QUESTION = ("How do shares, waits and switches change with the number of "
            "guests and what they want?")
COLUMNS = [
    {"name": "policy", "unit": "", "title": "policy", "role": "key"},
    {"name": "guests", "unit": "", "title": "guests", "role": "key"},
    {"name": "load", "unit": "%", "title": "what all want, of all CPUs",
     "role": "key"},
    {"name": "seed", "unit": "", "title": "seed", "role": "seed"},
    {"name": "used", "unit": "%", "title": "what they got, of all CPUs",
     "better": "more", "noise": 0.5},
    {"name": "jain", "unit": "", "title": "fairness of shares by weight "
     "(Jain's index, 1 is fair)", "better": "more", "noise": 0.005},
    {"name": "wait_p50", "unit": "us", "title": "wake-up to running: median "
     "guest's median"},
    {"name": "wait_p99", "unit": "us", "title": "greatest of all guests' 99th "
     "percentiles", "better": "less", "noise": 20, "noise_percent": 10},
    {"name": "switches", "unit": "1/s", "title": "dispatches",
     "noise_percent": 2},
    {"name": "migrations", "unit": "1/s", "title": "changes of CPU",
     "noise": 20, "noise_percent": 5},
    {"name": "missed", "unit": "%", "title": "jobs that came too late",
     "better": "less", "noise": 1},
    {"name": "spun", "unit": "%", "title": "time spun for locks, of what was "
     "used", "noise": 0.5},
]


def plots(rows):
    """Fairness and waits over the guests, at each load."""
    out = []
    for y, title in (("jain", "fairness"),
                     ("wait_p99", "99th percentile of waits")):
        out += [{"kind": "lines", "group": y, "x": "guests", "y": y,
                 "by": "policy", "where": {"load": load}, "log_x": True,
                 "log": y == "wait_p99",
                 "title": f"{title}, all want {load} %"}
                for load in sorted({r[2] for r in rows})]
    return out


NAME = re.compile(r"(?P<policy>[^/]+)-(?P<guests>\d+)-(?P<load>\d+)-"
                  r"(?P<seed>\d+)\.json$")


def jain(values):
    squares = sum(v * v for v in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def row(path):
    where = NAME.search(path)
    if not where:
        raise results.Bad(f"{path}: expected POLICY-GUESTS-LOAD-SEED.json")
    point = results.read(path)
    guests = results.as_dicts(point)
    under = point["conditions"]
    seconds, cpus = under["window_s"], under["harts"]
    total = sum(g["share"] for g in guests)
    jobs = sum(g["done"] for g in guests if g["missed"] or g["done"])
    medians = sorted(g["wait_p50"] for g in guests if g["wakes"])
    return [where["policy"], int(where["guests"]), int(where["load"]),
            int(where["seed"]), round(total / cpus, 3),
            round(jain([g["share"] / g["weight"] for g in guests]), 4),
            medians[len(medians) // 2] if medians else None,
            max((g["wait_p99"] for g in guests if g["wakes"]), default=None),
            round(sum(g["switches"] for g in guests) / seconds, 1),
            round(sum(g["migrations"] for g in guests) / seconds, 1),
            round(100 * sum(g["missed"] for g in guests) / jobs, 3) if jobs
            else 0.0,
            round(100 * sum(g["spun"] for g in guests) / total, 3) if total
            else 0.0], under


def in_order(rows):
    return sorted(rows, key=lambda r: (r[1], r[2], r[0], r[3]))
