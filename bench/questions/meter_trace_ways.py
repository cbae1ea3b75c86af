from meter import trace_ways

TITLE = trace_ways.TITLE
QUESTION = trace_ways.QUESTION
COLUMNS = trace_ways.COLUMNS
ALONE = True    # as questions/meter.py
COST_S = 60


def cases(b):
    return [{}]


def measure(b):
    return trace_ways.measure(20 if b.quick else 200)


def plots(done):
    data = [{"operation": row[1], "class": name, "median": n}
            for _, some, _ in done for row in some
            for name, n in zip(trace_ways.CLASSES, row[2:])]
    return [{"kind": "dots", "by": "class", "x": "operation", "y": "median",
             "data": data, "title": "instructions, median, by the class of the "
             "trace that is on"}]
