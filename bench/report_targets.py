"""The table at the top of the report: what was aimed at, what was reached, and
what the best of others takes for the same work; and the table of all rows of
the meter.

A line is (what, where on the page, target, reached, good, peer, but): good is
True, False, or None where nothing was measured, or less than is aimed at: rows,
machines, sizes or rounds are missing. but: what a line that is good doesn't
judge.
"""

import html
import statistics
from collections import namedtuple

import peers
import results
from meter.explain import is_reason
from meter.linux import PEER, SEEDS, TARGET
from meter.machine import MACHINES, rows
from meter.scaling import (
    LEVEL_PERCENT, PER_DOUBLING, SIZES, grows, is_level, queue_takes,
    step_words)
from meter.trace_cost import TARGET_OFF, TARGET_ON

Line = namedtuple("Line", "what result target reached good peer but",
                  defaults=("", ""))

UNMEASURED = "not measured"
# Of a row, for its tail to be one.
ROUNDS = 1000
# Why a guest may be the quicker one; docs/meter.md has the figures.
MORE_TO_FIND = " (the machine has more devices to find)"
SHORT = {MACHINES["virt"]: "virt", MACHINES["aclint"]: "ACLINT",
         MACHINES["aia"]: "AIA"}
SBI = [MACHINES["virt"]]
BEST = [MACHINES["aclint"], MACHINES["aia"]]


def esc(text):
    return html.escape(str(text), quote=True)


def number(value):
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def listed(names, most=3):
    """So many of them, and how many more there are."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def judged(missed, whole):
    """What is missed is so whatever else was measured; what is reached, only if
    all was."""
    return False if missed else True if whole else None


# --- lines ------------------------------------------------------------------


def medians(table, row, machines):
    """{machine: median}"""
    return {r["machine"]: r["median"] for r in table
            if r["row"] == row and r["machine"] in machines}


def of_machines(found):
    """The medians, one if all are alike."""
    if len(set(found.values())) == 1:
        return number(next(iter(found.values())))
    return ", ".join(f"{number(v)} ({SHORT[m]})" for m, v in found.items())


def operation_lines(found):
    table = results.as_dicts(found["meter"]) if "meter" in found else []
    for row in rows():
        target, peer, = row.target(False)
        if not target:
            continue
        kinds = [(row.title, list(MACHINES.values()), target, peer)]
        if row.target(True)[0] != target:
            kinds = [(f"{row.title}, AIA or ACLINT doorbell", BEST, target,
                      peer),
                     (f"{row.title}, OpenSBI's IPI as doorbell", SBI,
                      *row.target(True))]
        for what, machines, aim, best in kinds:
            got = medians(table, row.name, machines)
            left = [SHORT[m] for m in machines if m not in got]
            words = [of_machines(got)] if got else []
            words += [UNMEASURED + (f" ({', '.join(left)})" if got else "")
                      ] if left else []
            yield Line(what, "meter", f"≤ {number(aim)}", "; ".join(words),
                       judged(any(n > aim for n in got.values()), not left),
                       number(best) if best else "")


def tail_line(found):
    table = results.as_dicts(found["meter"]) if "meter" in found else []
    due = [(row.name, m) for row in rows() if row.asked == "table"
           for m in MACHINES.values()]
    left = set(due) - {(r["row"], r["machine"]) for r in table}
    few = [r for r in table if r["n"] < ROUNDS]
    wide = [r for r in table if r not in few
            and r["p99"] > 1.1 * r["median"]]
    good = len(table) - len(few) - len(wide)
    words = [f"{good} of {len(due)} rows"]
    words += [f"not: {listed(r['title'] for r in wide)}"] if wide else []
    words += [f"fewer rounds, {min(r['n'] for r in few):,} or more: "
              f"{listed(r['title'] for r in few)}"] if few else []
    words += [f"{UNMEASURED}: {len(left)}"] if left else []
    return Line("p99 within 10 % of the median", "meter",
                f"every row, of {ROUNDS:,} rounds or more",
                "; ".join(words) if table else UNMEASURED,
                judged(wide, not few and not left))


def growth_words(policy, mine):
    """How a row grows under a policy. mine: its lines."""
    sizes = {r["vcpus"]: r["median"] for r in mine}
    last = max(mine, key=lambda r: r["vcpus"])
    if is_level(sizes):
        return f"{policy} {last['of_first'] - 100:+.1f} %"
    return (f"{policy} {last['per_doubling']:+.1f} each doubling"
            f"{step_words(mine[0]['row'], sizes)}")


def reason_line(found):
    table = results.as_dicts(found["meter_outliers"]) \
        if "meter_outliers" in found else None
    late = sum(r["rounds"] for r in table or ())
    told = sum(r["rounds"] for r in table or () if is_reason(r["cause"]))
    return Line("outliers with a reason", "meter_outliers", "every one",
                UNMEASURED if table is None else f"{told} of {late}",
                None if table is None else told == late)


def growth_lines(found):
    table = results.as_dicts(found["meter_scaling"]) \
        if "meter_scaling" in found else []
    full = results.no_room(found["meter_scaling"]["conditions"]) \
        if table else []
    # Whoever anything was measured with.
    policies = list(dict.fromkeys([r["policy"] for r in table] + [
        p for r in found.values()
        for p in str(r["conditions"].get("policies", "")).split()]))
    for row, what in (("wake", "a wake"), ("pick", "a pick")):
        words, missed, whole, once = [], False, bool(table), []
        for policy in policies if table else []:
            mine = [r for r in table
                    if r["row"] == row and r["policy"] == policy]
            sizes = {r["vcpus"]: r["median"] for r in mine}
            words.append(growth_words(policy, mine) if mine else
                         f"{policy}: no room for two" if policy in full else
                         f"{policy}: {UNMEASURED}")
            missed |= bool(mine and grows(row, sizes))
            whole &= policy in full or set(SIZES) <= set(sizes)
            once.append(0 if not mine or is_level(sizes) else
                        queue_takes(row, sizes) or 0)
        most = max((r["vcpus"] for r in table if r["row"] == row), default=0)
        yield Line(f"cost of {what}, 2 to {most or max(SIZES):,} vCPUs on a "
                   "hart", "meter_scaling", f"±{LEVEL_PERCENT} %, or ≤ "
                   f"{PER_DOUBLING} more each doubling",
                   ", ".join(words) or UNMEASURED, judged(missed, whole),
                   but=f"but for the first that is queued, {max(once):+d}"
                   if max(once, default=0) > PER_DOUBLING else "")


def linux_line(found):
    table = results.as_dicts(found["meter_linux"]) \
        if "meter_linux" in found else []
    ratio = statistics.median(r["inside"] for r in table) / \
        statistics.median(r["native"] for r in table) if table else None
    return Line("Linux to its init, in times without a hypervisor",
                "meter_linux", f"≤ {TARGET}",
                f"{ratio:.3f}{MORE_TO_FIND if ratio < 1 else ''}" if table
                else UNMEASURED,
                judged(table and ratio > TARGET, len(table) >= len(SEEDS)),
                f"{PEER}")


def trace_lines(found):
    table = results.as_dicts(found["meter_trace"]) \
        if "meter_trace" in found else []
    for how, aim in (("on", TARGET_ON), ("off", TARGET_OFF)):
        rows = sorted((r for r in table if r[how] is not None),
                      key=lambda r: r[how])
        words = f"{number(rows[0][how])} to {number(rows[-1][how])} " \
            f"({rows[-1]['event']})" if rows else UNMEASURED
        yield Line(f"a trace record, {how}", "meter_trace", f"≤ {aim}", words,
                   rows[-1][how] <= aim if rows else None, "")


def thief_line(found):
    table = results.as_dicts(found["thief"]) if "thief" in found else []
    worst, others = None, {}
    for r in sorted(table, key=lambda r: r["over"]):
        if r["promised"]:
            worst = r
        else:
            others[r["policy"]] = f"{r['over']:+.1f} for {r['thief']}"
    words = [f"{worst['over']:+.2f} % ({worst['policy']}, {worst['thief']})"
             if worst else UNMEASURED]
    for text in dict.fromkeys(others.values()):
        who = ", ".join(p for p, t in others.items() if t == text)
        words.append(f"{who}: {text}")
    words += ["shares not promised"] if others else []
    return Line("what a thief gets over its share, where shares are promised",
                "thief", "≤ 1 %", "; ".join(words),
                judged(worst and worst["over"] > 1, worst))


def is_whole(result):
    """Was all measured that is asked, in full?"""
    under = result["conditions"]
    return not under.get("quick") and not under.get("missing")


def lines(found):
    made = [*operation_lines(found), tail_line(found), reason_line(found),
            *growth_lines(found), linux_line(found), *trace_lines(found),
            thief_line(found)]
    for line in made:
        yield line if not line.good or is_whole(found[line.result]) else \
            line._replace(good=None)


def headline(found, stale):
    """The table, as HTML. stale: {result: what is old about it}."""
    out = []
    for line in lines(found):
        word = {True: "reached", False: "missed", None: "open"}[line.good]
        but = f"<small>{esc(line.but)}</small>" if line.but and line.good \
            else ""
        what = esc(line.what)
        if line.result in found:
            what = f'<a href="#{line.result}">{what}</a>'
        if line.result in stale:
            what += f' <em class="old" title="{esc(stale[line.result])}">' \
                    "†</em>"
        # What stands above a column is said in the line where it is narrow.
        out.append(f'<tr class="{word}"><td>{what}</td>'
                   f'<td data-is="target">{esc(line.target)}</td>'
                   f'<td data-is="reached">{esc(line.reached)}</td>'
                   f'<td data-is="best peer">{esc(line.peer)}</td>'
                   f"<td>{word}{but}</td></tr>")
    note = ('<p class="old">† measured on another tree, quickly, or in part: '
            "see there</p>" if stale else "")
    note += ('<p class="note">Open is what was not measured, or only in part.'
             "</p>" if any(line.good is None for line in lines(found)) else "")
    return ('<table class="targets"><thead><tr><th>instructions, median of '
            "all on the way</th><th>target</th><th>reached</th><th>best peer"
            "</th><th></th></tr></thead>\n<tbody>" + "\n".join(out)
            + "</tbody></table>" + note)


# --- all rows ---------------------------------------------------------------


def every_row(result, others, is_native_ours):
    """The meter's table for people: a line an operation, machines and others
    (as peers.beside() has them) beside one another."""
    found = {(r["row"], r["machine"]): r for r in results.as_dicts(result)}
    out = []
    for row in rows():
        if row.name.startswith("count_") or row.name in ("wake", "pick"):
            continue
        cells = []
        for machine in MACHINES.values():
            r = found.get((row.name, machine))
            if not r:
                cells.append('<td class="none">&ndash;</td>')
                continue
            aim = row.target(machine in SBI)[0]
            word = "" if not aim else " reached" if r["median"] <= aim else \
                " missed"
            tail = "" if r["p99"] == r["median"] else \
                f"<small>p99 {number(r['p99'])}</small>"
            cells.append(f'<td class="n{word}">{number(r["median"])}{tail}'
                         "</td>")
        best, sbi = row.target(False)[0], row.target(True)[0]
        aim = "" if not best else number(best) if best == sbi else \
            f"{number(best)}<small>virt {number(sbi)}</small>"
        theirs = others.get(row.name, {})
        beside = [" / ".join(map(number, theirs[p])) if p in theirs else ""
                  for p in peers.WHAT]
        out.append(f'<tr><td>{esc(row.title)}</td><td class="n">{aim}</td>'
                   + "".join(cells) + "".join(f'<td class="n">{o}</td>'
                                              for o in beside) + "</tr>")
    whose = {p: "counted here" if p == "native" and is_native_ours else
             "elsewhere" for p in peers.WHAT}
    head = "".join(f"<th>{h}</th>" for h in
                   ("operation", "target", *map(esc, SHORT.values()),
                    *(f"{esc(p)}<small>{whose[p]}</small>" for p in whose)))
    return ('<div class="scroll"><table class="rows"><thead><tr>' + head
            + "</tr></thead>\n<tbody>" + "\n".join(out)
            + "</tbody></table></div>")


def outliers(result):
    """Rounds over 1.1 medians: how many, and where they were longer."""
    out = []
    for r in results.as_dicts(result):
        if not r["outliers"]:
            continue
        more = sorted(((n[len("outlier_"):], v) for n, v in r.items()
                       if n.startswith("outlier_") and v),
                      key=lambda x: -abs(x[1]))
        words = ", ".join(f"{'hypervisor C' if n == 'c' else n} {v:+,.0f}"
                          for n, v in more)
        out.append(f"<tr><td>{esc(r['title'])}</td>"
                   f"<td>{esc(SHORT.get(r['machine'], r['machine']))}</td>"
                   f'<td class="n">{r["outliers"]} of {r["n"]}</td>'
                   f"<td>{esc(words)}</td></tr>")
    if not out:
        return ""
    return ('<details><summary>Rounds over 1.1 medians, and where they took '
            'more</summary><div class="scroll"><table><thead><tr>'
            "<th>operation</th><th>machine</th><th>rounds</th>"
            "<th>more in the mean one, by stage</th></tr></thead>\n<tbody>"
            + "\n".join(out) + "</tbody></table></div></details>")
