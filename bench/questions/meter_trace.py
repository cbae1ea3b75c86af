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
    words = "; ".join(
        f"{n:g}: " + ("all others" if n == offs[0] and len(offs) > 1 else
                      ", ".join(r["event"] for r in data if r["off"] == n)
                      if len(offs) > 1 else "all") for n in reversed(offs))
    most = ", ".join(f"{n}" for n in {r["target_on"] for r in data})
    return [{"kind": "cells", "by": "class", "x": "event", "y": "on",
             "target": "target_on", "data": data,
             "title": f"instructions of a record, its class on; {most} allowed; "
             f"off, {due}: {words}"}]
