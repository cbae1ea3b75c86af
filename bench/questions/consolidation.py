from bench import jain, key, seed, value
from linux_guests import HARTS, side_by_side

TITLE = "Consolidation"
QUESTION = ("1, 2 and 4 Linux guests with two vCPUs each compute on the same "
            "two harts (stress-ng, int64): how much do all of them get done "
            "together, compared with one guest alone, and how evenly?")
COLUMNS = [
    key("policy", "policy"),
    key("guests", "guests"),
    seed(),
    # An operation takes a tenth of a second: so much is chance.
    value("ops", "1/s", "operations, all together", "more", 0.7),
    value("efficiency", "%", "compared with one guest alone", "more", 3),
    value("jain", "", "Jain's index of the guests", "more", 0.01),
]


def cases(b):
    return [{"policy": p, "guests": k, "seed": s}
            for k in b.some(1, 2, 4) for p in b.policies(2 * k, HARTS)
            for s in b.seeds(1)]


def measure(b, policy, guests, seed):
    alone = sum(side_by_side(b, policy, 1, seed)[1])
    _, ops = side_by_side(b, policy, guests, seed)
    return [[policy.name, guests, seed, sum(ops), sum(ops) / alone * 100,
             jain(ops)]]


def plots(done):
    return [{"kind": "lines", "title": "done by all, compared with one alone",
             "x": "guests", "y": "efficiency", "by": "policy"}]
