from bench import jain, key, seed, value
from linux_guests import HARTS, side_by_side

TITLE = "Consolidation"
QUESTION = ("1, 2 and 4 Linux guests with two vCPUs each compute on the same "
            "two harts (stress-ng, int64, so many operations each): how much "
            "do all of them get done a second until the last one is ready, "
            "compared with one guest alone, and how evenly? (One alone leaves "
            "harts idle when it begins and ends: a little over 100 % is "
            "possible.)")
COLUMNS = [
    key("policy", "policy"),
    key("guests", "guests"),
    seed(),
    value("ops", "1/s", "operations, all together", "more", 0.3),
    value("efficiency", "%", "compared with one guest alone", "more", 3),
    value("jain", "", "Jain's index of the guests", "more", 0.01),
]

COST_S = 25


def cases(b):
    return [{"policy": p, "guests": k, "seed": s}
            for k in b.some(1, 2, 4) for p in b.policies(2 * k, HARTS)
            for s in b.seeds(1)]


def rate(b, policy, guests, seed):
    """Operations a second of all together, and of each."""
    _, took, did = side_by_side(b, policy, guests, seed)
    return sum(did) / max(took), [n / s for n, s in zip(did, took)]


def measure(b, policy, guests, seed):
    alone, _ = rate(b, policy, 1, seed)
    ops, each = rate(b, policy, guests, seed)
    return [[policy.name, guests, seed, ops, ops / alone * 100, jain(each)]]


def plots(done):
    return [{"kind": "lines", "title": "done by all, compared with one alone",
             "x": "guests", "y": "efficiency", "by": "policy"}]
