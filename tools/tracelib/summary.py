"""A trace on the terminal: latencies, shares, exits, and the longest waits."""

import json
from collections import defaultdict

from .model import Model, VIRQS, cause_name

POINTS = ((50, "p50"), (90, "p90"), (99, "p99"), (100, "max"))


def percentile(ordered, p):
    """The smallest of them that p % are not above; `ordered` isn't empty."""
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


def latency(trace, values):
    ordered = sorted(values)
    out = {"count": len(ordered)}
    for p, name in POINTS:
        out[f"{name}_ns"] = trace.ns(percentile(ordered, p))
    return out


def collect(trace, longest=10):
    """Everything as one object, for -j and for tests."""
    m = Model(trace)
    waits, raised, exits = (defaultdict(list) for _ in range(3))
    for w in m.waits:
        waits[w.vcpu].append(w.ran - w.woken)
    for r in m.raised:
        raised[r.vcpu, r.virq].append(r.handled - r.raised)
    for e in m.exits:
        what = e.detail or cause_name(e.cause)
        if what.startswith(("read ", "write ")):
            # One row for a page of a device, not one for each register.
            access, at = what.split()
            what = f"{access} in {int(at, 16) & ~0xfff:#x}"
        exits[what].append(e.end - e.begin)
    span = max(1, m.end - m.begin)
    return {
        "type": "trace_summary",
        "span_ns": trace.ns(m.end - m.begin),
        "records": trace.count(),
        "overwritten": sum(c.first for c in trace.cpus),
        "lost": sum(c.lost + c.gaps for c in trace.cpus),
        "wake_to_run": [dict(vcpu=trace.who(v), **latency(trace, x))
                        for v, x in sorted(waits.items())],
        "assert_to_handler": [
            dict(vcpu=trace.who(v), virq=VIRQS[bit][0], **latency(trace, x))
            for (v, bit), x in sorted(raised.items())],
        "cpus": [{"cpu": cpu, "shares_percent": {
            what: round(100 * ticks / span, 2)
            for what, ticks in sorted(used.items(), key=lambda x: -x[1])
            if ticks > 0}} for cpu, used in m.shares().items()],
        "exits": [{"reason": what, "count": len(x), "total_ns":
                   trace.ns(sum(x)), "mean_ns": trace.ns(sum(x)) // len(x)}
                  for what, x in sorted(exits.items(),
                                        key=lambda i: -sum(i[1]))],
        "longest_waits": [
            {"vcpu": trace.who(w.vcpu), "at_ns": trace.ns(w.woken - m.begin),
             "waited_ns": trace.ns(w.ran - w.woken), "cpu": w.cpu,
             "woken_by": trace.who(w.by), "by_what": w.by_what,
             "wake_id": w.wake_id,
             "instead": [[what, trace.ns(t)] for what, t in m.instead(w)]}
            for w in sorted(m.waits, key=lambda w: w.woken - w.ran)[:longest]],
        "problems": m.problems,
    }


def time_text(ns):
    for unit, div in (("ns", 1), ("us", 1000), ("ms", 1000000)):
        if ns < 10000 * div:
            return f"{ns / div:.1f} {unit}" if div > 1 else f"{ns} ns"
    return f"{ns / 1e9:.2f} s"


def latency_lines(rows, title, more):
    yield title
    if not rows:
        yield "  none in this trace"
        return
    yield f"  {'vCPU':<22}{more:<10}{'count':>8}" + "".join(
        f"{name:>11}" for _, name in POINTS)
    for r in rows:
        yield (f"  {r['vcpu']:<22}{r.get('virq', ''):<10}{r['count']:>8}"
               + "".join(f"{time_text(r[name + '_ns']):>11}"
                         for _, name in POINTS))


def waker_text(w):
    """Whose doing the wake was, as far as it was anybody's, and what it was."""
    words = [w["by_what"]] if w["by_what"] else []
    if w["woken_by"] != "-" or not words:
        words.insert(0, w["woken_by"])
    return ", by ".join(words)


def lines(s):
    yield (f"{time_text(s['span_ns'])} of all CPUs, {s['records']} records; "
           f"{s['overwritten']} older ones were overwritten, {s['lost']} lost")
    yield ""
    yield from latency_lines(s["wake_to_run"], "From wake to run:", "")
    yield ""
    yield from latency_lines(s["assert_to_handler"],
                             "From raised to the guest's claim (external), or "
                             "its entry with it pending:",
                             "interrupt")
    yield ""
    yield "Shares of each CPU:"
    for c in s["cpus"]:
        yield f"  CPU {c['cpu']:<3}" + ", ".join(
            f"{what} {share} %" for what, share in c["shares_percent"].items())
    yield ""
    yield "Exits, by the time that they took:"
    for e in s["exits"][:20]:
        yield (f"  {e['reason']:<28}{e['count']:>9}"
               f"{time_text(e['total_ns']):>12}, {time_text(e['mean_ns'])} "
               "each")
    if not s["exits"]:
        yield "  none in this trace"
    yield ""
    yield "Longest waits, and what the CPU did instead:"
    for w in s["longest_waits"]:
        what = ", ".join(f"{n} {time_text(t)}" for n, t in w["instead"][:4])
        yield (f"  {w['vcpu']:<22}{time_text(w['waited_ns']):>10} on CPU "
               f"{w['cpu']} at {time_text(w['at_ns'])}, woken by "
               f"{waker_text(w)}: {what or 'no time at all'}")
    if not s["longest_waits"]:
        yield "  none in this trace"
    for p in s["problems"][:20]:
        yield f"PROBLEM {p}"
    if len(s["problems"]) > 20:
        yield f"and {len(s['problems']) - 20} more problems"


def text(trace, as_json=False):
    s = collect(trace)
    return json.dumps(s) if as_json else "\n".join(lines(s))
