from meter import explain, operations

TITLE = explain.TITLE
QUESTION = explain.QUESTION
COLUMNS = explain.COLUMNS

ALONE = True    # as questions/meter.py
COST_S = 120


def cases(b):
    return [{"machine": key} for key in b.some(*operations.MACHINES)]


def measure(b, machine):
    found = {}
    for part in operations.PARTS:
        found.update(operations.counted(b, machine, part))
    return explain.explain_late(operations.asked(b), machine, found,
                                out=lambda text: None)


def rows(done):
    return [row for _, some, _ in done for row in some]


def plots(done):
    data = [{"where": f"{row}, {case['machine']}", "cause": cause,
             "rounds": rounds}
            for case, some, _ in done
            for _, row, cause, _, _, rounds, _ in some if rounds]
    return [{"kind": "stack", "x": "where", "y": "rounds", "by": "cause",
             "title": "over 1.1 medians", "data": data}]
