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
    data = [dict(zip([c["name"] for c in COLUMNS], row))
            for _, some, _ in done for row in some]
    offs = sorted({r["off"] for r in data})
    due = ", ".join(f"{n} allowed" for n in {r["target_off"] for r in data})
    events = {n: ", ".join(r["event"] for r in data if r["off"] == n)
              for n in reversed(offs)}
    # The least is what most of them take.
    events[offs[0]] = "all others" if len(offs) > 1 else "all"
    words = "; ".join(f"{n:g}: {some}" for n, some in events.items())
    most = ", ".join(f"{n}" for n in {r["target_on"] for r in data})
    return [{"kind": "cells", "by": "class", "x": "event", "y": "on",
             "target": "target_on", "data": data,
             "title": f"instructions of a record, its class on; {most} allowed; "
             f"off, {due}: {words}"}]
