from meter import trace_cost

TITLE = trace_cost.TITLE
QUESTION = trace_cost.QUESTION
COLUMNS = trace_cost.COLUMNS
COST_S = 20


def cases(b):
    return [{}]


def measure(b):
    return [trace_cost.line_of(*found) for found in trace_cost.measure()]


def plots(done):
    return [{"kind": "dots", "title": "a record, its class on", "x": "event",
             "y": "on", "target": "target_on"},
            {"kind": "dots", "title": "and off", "x": "event", "y": "off",
             "target": "target_off"}]
