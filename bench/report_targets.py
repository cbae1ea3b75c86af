"""The table at the top of the report: what was aimed at, what was reached, and
what the best of others takes for the same work; and the table of all rows of
the meter.

A line is (what, where on the page, target, reached, good, peer): good is True,
False, or None where nothing was measured.
"""

import html
import statistics
from collections import namedtuple

import peers
import results
from meter.explain import is_reason
from meter.linux import PEER, TARGET
from meter.machine import MACHINES, rows
from meter.scaling import (
    LEVEL_PERCENT, PER_DOUBLING, grows, is_level, step_words)
from meter.trace_cost import TARGET_OFF, TARGET_ON

Line = namedtuple("Line", "what result target reached good peer")

UNMEASURED = "not measured"
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
            yield Line(what, "meter", f"≤ {number(aim)}",
                       of_machines(got) if got else UNMEASURED,
                       max(got.values()) <= aim if got else None,
                       number(best) if best else "")


def tail_line(found):
    table = results.as_dicts(found["meter"]) if "meter" in found else []
    wide = [r for r in table if r["p99"] > 1.1 * r["median"]]
    names = ", ".join(dict.fromkeys(r["title"] for r in wide))
    least = min((r["n"] for r in table), default=0)
    text = (f"{len(table) - len(wide)} of {len(table)} rows, of {least:,} "
            "rounds or more") + (f"; not: {names}" if names else "")
    return Line("p99 within 10 % of the median", "meter", "every row",
                text if table else UNMEASURED, not wide if table else None, "")


def reason_line(found):
    table = results.as_dicts(found["meter_outliers"]) \
        if "meter_outliers" in found else None
    late = sum(r["rounds"] for r in table or ())
    told = sum(r["rounds"] for r in table or () if is_reason(r["cause"]))
    return Line("outliers with a reason", "meter_outliers", "every one",
                UNMEASURED if table is None else f"{told} of {late}",
                None if table is None else told == late, "")


def growth_lines(found):
    table = results.as_dicts(found["meter_scaling"]) \
        if "meter_scaling" in found else []
    # Policies that others were measured with, and this was not.
    others = {p: 0 for r in found.values()
              for p in str(r["conditions"].get("policies", "")).split()}
    others = [p for p in others if p not in {r["policy"] for r in table}]
    for row, what in (("wake", "a wake"), ("pick", "a pick")):
        mine = [r for r in table if r["row"] == row]
        words, good = [], True
        for policy in dict.fromkeys(r["policy"] for r in mine):
            last = max((r for r in mine if r["policy"] == policy),
                       key=lambda r: r["vcpus"])
            sizes = {r["vcpus"]: r["median"] for r in mine
                     if r["policy"] == policy}
            good &= not grows(row, sizes)
            words.append(f"{policy} {last['of_first'] - 100:+.1f} %"
                         if is_level(sizes) else
                         f"{policy} {last['per_doubling']:+.1f} each "
                         f"doubling{step_words(row, sizes)}")
        words += [f"{p}: no room for two" for p in others if mine]
        most = max((r["vcpus"] for r in mine), default=0)
        yield Line(f"cost of {what}, 2 to {most or 2000:,} vCPUs on a hart",
                   "meter_scaling", f"±{LEVEL_PERCENT} %, or ≤ {PER_DOUBLING} "
                   "more each doubling", ", ".join(words) or UNMEASURED,
                   good if mine else None, "")


def linux_line(found):
    table = results.as_dicts(found["meter_linux"]) \
        if "meter_linux" in found else []
    ratio = statistics.median(r["inside"] for r in table) / \
        statistics.median(r["native"] for r in table) if table else None
    return Line("Linux to its init, in times without a hypervisor",
                "meter_linux", f"≤ {TARGET}",
                f"{ratio:.3f}{MORE_TO_FIND if ratio < 1 else ''}" if table
                else UNMEASURED,
                ratio <= TARGET if table else None, f"{PEER}")


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
    table = [r for r in results.as_dicts(found["thief"]) if r["promised"]] \
        if "thief" in found else []
    worst = max(table, key=lambda r: r["over"], default=None)
    return Line("what a thief gets over its share, where shares are promised",
                "thief", "≤ 1 %", f"{worst['over']:+.2f} % ({worst['policy']}, "
                f"{worst['thief']})" if worst else UNMEASURED,
                worst["over"] <= 1 if worst else None, "")


def lines(found):
    yield from operation_lines(found)
    yield tail_line(found)
    yield reason_line(found)
    yield from growth_lines(found)
    yield linux_line(found)
    yield from trace_lines(found)
    yield thief_line(found)


def headline(found, stale):
    """The table, as HTML. stale: {result: what is old about it}."""
    out = []
    for line in lines(found):
        word = {True: "reached", False: "missed", None: "open"}[line.good]
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
                   f"<td>{word}</td></tr>")
    note = ('<p class="old">† measured on another tree, quickly, or in part: '
            "see there</p>" if stale else "")
    return ('<table class="targets"><thead><tr><th>instructions, median of '
            "all on the way</th><th>target</th><th>reached</th><th>best peer"
            "</th><th></th></tr></thead>\n<tbody>" + "\n".join(out)
            + "</tbody></table>" + note)


# --- all rows ---------------------------------------------------------------


def every_row(result):
    """The meter's table for people: a line an operation, machines and others
    beside one another."""
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
        theirs = peers.FIGURES.get(row.name, {})
        others = [" / ".join(map(number, theirs[p])) if p in theirs else ""
                  for p in peers.WHAT]
        out.append(f'<tr><td>{esc(row.title)}</td><td class="n">{aim}</td>'
                   + "".join(cells) + "".join(f'<td class="n">{o}</td>'
                                              for o in others) + "</tr>")
    head = "".join(f"<th>{h}</th>" for h in
                   ("operation", "target", *map(esc, SHORT.values()),
                    *map(esc, peers.WHAT)))
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
