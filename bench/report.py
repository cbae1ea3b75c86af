#!/usr/bin/python3
"""Makes one page of all results: build/bench/report.html.

    bench/report.py [FOLDER [OUT.html]]     (make report)

FOLDER has results in the common shape (bench/results.py); what made them
doesn't matter. The page needs nothing but itself: plots are SVG inside it,
tables are behind them, it follows the reader's choice of light or dark and
fits a telephone. A result without plots is shown as its table, one that can't
be read is an error.

This wants Debian's Python, for which python3-matplotlib is packaged.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import compared  # noqa: E402
import results  # noqa: E402

try:
    import report_layout  # noqa: E402
    import report_meter  # noqa: E402
    import report_plots  # noqa: E402
    import report_targets  # noqa: E402
    from report_targets import esc  # noqa: E402
except ImportError as error:
    sys.exit(f"report: {error}; it needs python3-matplotlib: "
             "run tools/setup bench")

HERE = Path(__file__).resolve().parent

# Sections of the page, in this order; what is in none comes last.
SECTIONS = [
    ("The way of an interrupt", "way", ["meter", "meter_outliers",
                                        "meter_scaling", "meter_trace",
                                         "meter_trace_ways", "meter_policies",
                                         "meter_native", "meter_linux"]),
    ("Who gets the CPU", "shares", ["fairness", "thief", "caps", "priority",
                                    "slices"]),
    ("How soon", "latency", ["latency", "wfi", "wfi_ipi",
                              "cyclictest"]),
    ("Many harts", "places", ["conserve", "handover"]),
    ("What it costs", "costs", ["switch", "scaling", "hackbench",
                                "consolidation"]),
    ("Simulated", "simulated", ["sim", "sweep"]),
]


def cell(value):
    if value is None:
        return '<td class="none">&ndash;</td>'
    if isinstance(value, bool):
        return f'<td class="{"yes" if value else "no"}">' \
               f'{"yes" if value else "no"}</td>'
    if isinstance(value, (int, float)):
        text = f"{value:,}" if isinstance(value, int) else trimmed(value)
        return f'<td class="n">{text}</td>'
    return f"<td>{esc(value)}</td>"


def trimmed(value):
    """Four figures, and no more than a reader wants."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.4g}"
    return f"{value:.2g}" if "e" in text else text


def table(result):
    head = "".join(
        f'<th title="{esc(c["title"])}">{esc(c["title"])}'
        + (f'<small>{esc(c["unit"])}</small>' if c["unit"] else "") + "</th>"
        for c in result["columns"])
    body = "\n".join("<tr>" + "".join(map(cell, row)) + "</tr>"
                     for row in result["rows"])
    return (f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
            f"<tbody>{body}</tbody></table></div>")


def conditions(result):
    words = [f"<dt>{esc(k.replace('_', ' '))}</dt><dd>{esc(v)}</dd>"
             for k, v in result["conditions"].items()
             if v not in ("", None) and k not in results.NO_ROOM]
    return f'<dl class="conditions">{"".join(words)}</dl>'


def commits_between(old, new):
    """How many commits lie between two, or None if nobody knows."""
    text = results.output(["git", "rev-list", "--count", "--left-right",
                           f"{old}...{new}"])
    return sum(map(int, text.split())) if text else None


def stale_words(found, tree):
    """{result: what is old or small about it}, of those that are."""
    out = {}
    for name, result in found.items():
        under, words = result["conditions"], []
        commit = str(under.get("commit", "unknown"))
        old, new = commit.removesuffix("-dirty"), tree.removesuffix("-dirty")
        if old != new:
            n = commits_between(old, new)
            words.append(f"measured at {commit}" + (
                f", {n} commit{'s' * (n != 1)} from the tree's" if n else
                ", the tree is another"))
        if under.get("quick"):
            words.append("a quick run")
        if under.get("missing"):
            words.append(f"failed: {under['missing']}")
        if words:
            out[name] = "; ".join(words)
    return out


def room_words(under):
    """Which policies had no room for what is asked, as HTML."""
    words = [f"{text} {esc(under[place])}." for place, text in zip(
        results.NO_ROOM, ("Left out, since there is no room:",
                          "Asked only where there is room:"))
             if under.get(place)]
    return f'<p class="room">{" ".join(words)}</p>' if words else ""


def article(result, colours, stale, native):
    """native: the meter's result without a hypervisor, or None."""
    badge = f'<p class="old">{esc(stale)}</p>' if stale else ""
    lead = (f"<h3>{esc(result['title'])}</h3>\n"
            f'{badge}<p class="question">{esc(result["question"])}</p>'
            f"{room_words(result['conditions'])}")
    drawn = lead + report_meter.figures(result, native) \
        if result["name"] == "meter" \
        else report_layout.figures(result, colours, lead)
    seen = "<figure" in drawn or 'class="cells"' in drawn
    count = len(result["rows"])
    return f"""<article id="{esc(result['name'])}">
{drawn}
<details{"" if seen else " open"}><summary>The table, {count} row{"s" * (count != 1)}</summary>
{table(result)}
{conditions(result)}
</details>
</article>"""


def compared_table():
    """Which questions the simulator is held to the hypervisor by, and which
    not, and why."""
    lines = "\n".join(
        f"<tr><td>{esc(name)}</td>{cell(c.what or None)}"
        f"<td>{esc(c.but)}</td></tr>" for name, c in compared.QUESTIONS.items())
    return f"""<article id="compared">
<h3>Compared with the hypervisor</h3>
<p class="question">Of which questions is it seen that the simulator and the
hypervisor give the same answer, of which cases, and why not of the others?
(docs/sim.md says how near they must be.)</p>
<div class="scroll"><table class="compared"><thead><tr><th>question</th>
<th>cases compared</th><th>why not the others</th></tr></thead>
<tbody>{lines}</tbody></table></div>
</article>"""


def sections(found):
    left = dict(found)
    for title, anchor, names in SECTIONS:
        mine = [left.pop(n) for n in names if n in left]
        if mine:
            yield title, anchor, mine
    if left:
        yield "More", "more", list(left.values())


def versions(found):
    """What all results have in common, once, at the top."""
    sets = [r["conditions"] for r in found.values()]
    words = []
    for name in ("commit", "qemu", "opensbi", "compiler", "guests"):
        values = sorted({str(c[name]) for c in sets if c.get(name)})
        if values:
            words.append(f"{name} {', '.join(values)}")
    return " &middot; ".join(map(esc, words))


def notice(stale, tree):
    """What a reader has to know before any figure."""
    if not stale:
        return f"All of it was measured at commit {esc(tree)}."
    groups = {}
    for name, words in stale.items():
        groups.setdefault(words, []).append(
            f'<a href="#{esc(name)}">{esc(name)}</a>')
    return (f"The tree is at commit {esc(tree)}. <strong>Not all of this is a "
            "full measurement of it</strong>: " + "; ".join(
                f"{esc(words)}: {', '.join(names)}"
                for words, names in groups.items()) + ".")


def page(found, tree):
    stale = stale_words(found, tree)
    policies = list(dict.fromkeys(
        p for r in found.values()
        for p in str(r["conditions"].get("policies", "")).split()))
    colours = report_plots.Colours(policies)
    parts, links = [], []
    for title, anchor, mine in sections(found):
        links.append(f'<a href="#{anchor}">{esc(title)}</a>')
        parts.append(f'<section id="{anchor}"><h2>{esc(title)}</h2>\n'
                     + "\n".join(article(r, colours, stale.get(r["name"]),
                                         found.get("meter_native"))
                                 for r in mine)
                     + (compared_table() if anchor == "simulated" else "")
                     + "</section>")
    key = report_layout.key([
        (p, report_plots.page_colours(colours.of(p, 0)), "solid")
        for p in policies])
    text = (HERE / "report.html").read_text()
    for name, value in {"VERSIONS": versions(found), "LINKS": " ".join(links),
                        "NOTICE": notice(stale, tree),
                        "TARGETS": report_targets.headline(found, stale),
                        "POLICIES": key, "BODY": "\n".join(parts)}.items():
        text = text.replace(f"@{name}@", value)
    return text


def main(argv):
    folder = Path(argv[0]) if argv else results.folder()
    out = Path(argv[1]) if len(argv) > 1 else \
        results.BUILD / "bench" / "report.html"
    try:
        found = results.read_all(folder)
    except results.Bad as error:
        sys.exit(f"report: {error}")
    if not found:
        sys.exit(f"report: {folder} holds no results: run make bench first")
    out.parent.mkdir(parents=True, exist_ok=True)
    tree = results.conditions()["commit"]
    out.write_text(page(found, tree))
    print(f"report: {out}, {len(found)} results")
    for name, words in stale_words(found, tree).items():
        print(f"report: {name}: {words}")


main(sys.argv[1:])
