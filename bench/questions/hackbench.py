from bench import key, seed, value
from linux_guests import HARTS, side_by_side

TITLE = "hackbench in 1, 2 and 4 Linux guests"
QUESTION = ("Each of 1, 2 and 4 Debian Linux guests with two vCPUs runs "
            "hackbench on the same two harts at the same time: how long does "
            "it take until each is ready, compared with one guest alone? (A "
            "little over 100 % is possible: one alone leaves harts idle when it "
            "begins and ends, some 2 % of its time, and how often tasks have to "
            "sleep for one another depends on who runs when.)")
COLUMNS = [
    key("policy", "policy"),
    key("guests", "guests"),
    seed(),
    value("fastest", "s", "the first one took", "less", 0.02),
    value("slowest", "s", "the last one took", "less", 0.02),
    value("slowdown", "", "the last, compared with one guest", "less", 0.05),
    value("efficiency", "%", "of one guest's work a second, all together",
          "more", 2),
]

COST_S = 20


def cases(b):
    return [{"policy": p, "guests": k, "seed": s}
            for k in b.some(1, 2, 4) for p in b.policies(2 * k, HARTS)
            for s in b.seeds(1)]


def measure(b, policy, guests, seed):
    alone = max(side_by_side(b, policy, 1, seed)[0])
    took = side_by_side(b, policy, guests, seed)[0]
    return [[policy.name, guests, seed, min(took), max(took),
             max(took) / alone, guests * alone / max(took) * 100]]


def plots(done):
    return [{"kind": "lines", "title": "until the last one was ready",
             "x": "guests", "y": "slowest", "by": "policy"}]
