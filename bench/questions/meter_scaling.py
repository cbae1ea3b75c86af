from meter import scaling

TITLE = scaling.TITLE
QUESTION = scaling.QUESTION
COLUMNS = scaling.COLUMNS
COST_S = 9


def cases(b):
    sizes = (2, 16) if b.quick else scaling.SIZES
    return [{"policy": p, "vcpus": n} for p in b.policies(2, 1)
            for n in sizes]


def measure(b, policy, vcpus):
    return [], scaling.measure(policy.name, vcpus)


def rows(done):
    return scaling.lines_of({
        (case["policy"].name, case["vcpus"]): found
        for case, _, found in done})


def plots(done):
    return [{"kind": "lines", "title": title, "x": "vcpus", "y": "median",
             "by": "policy", "log_x": True, "where": {"row": row}}
            for row, title in (("wake", "a wake"),
                               ("pick", "giving way to the next"))]
