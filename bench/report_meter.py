"""The meter's table as bars: what an operation takes here, in the best that
there is elsewhere, without a hypervisor, and what is aimed at.

Rows are those of build/bench/results/meter.json: an operation (row, title) on
a kind of machine, its distribution in instructions, its target, and the stages
of its way (columns stage_NAME). Others' figures come from bench/peers.py.
"""

import html
import re

import peers
import report_plots as plots
import results

SHADES = {"Xvisor": 5, "KVM": 6, "native": 0}


def operations(result):
    """{(operation, machine): row}, an operation's machines together."""
    rows = [r for r in results.as_dicts(result)
            if isinstance(r.get("median"), (int, float)) and r.get("row")]
    order = list(dict.fromkeys(r["row"] for r in rows))
    rows.sort(key=lambda r: order.index(r["row"]))
    return {(r["row"], str(r.get("machine") or "")): r for r in rows}


def compared(rows):
    """Operations with figures of peers, or a target."""
    return {key: row for key, row in rows.items()
            if peers.figures(*key) or row.get("target")}


def label(row, many):
    machine = str(row.get("machine") or "")
    short = re.match(r"(?:virt,)?(\w*)", machine)[1] or "virt"
    return (row.get("title") or row["row"]) + (f", {short}" if many else "")


def bars_of(key, row):
    """[(name, value, colour)]"""
    bars = [("Rouse", row["median"], plots.PALETTE[3])]
    return bars + [(name, value, plots.PALETTE[SHADES[name]])
                   for name, value in peers.figures(*key).items()]


def draw_bars(rows):
    """Ours, the peers' and the target's line, on a logarithmic scale."""
    many = len({machine for _, machine in rows}) > 1
    lines = []
    for key, row in rows.items():
        lines.append((label(row, many), None, None, row.get("target")))
        lines += [(n, v, c, row.get("target")) for n, v, c in bars_of(key, row)]
    fig, axes = plots.figure(0.5 + 0.19 * len(lines), 7.6)
    for i, (name, value, colour, target) in enumerate(lines):
        if value is None:
            continue
        axes.barh(i, value, 0.78, color=colour, linewidth=0)
        beyond = max(value, target or 0) if name == "Rouse" else value
        axes.annotate(f"{value:g}", (beyond, i), va="center", fontsize=8,
                      xytext=(4, 0), textcoords="offset points",
                      color=plots.INK if name == "Rouse" else plots.MUTED)
        if target and name == "Rouse":
            axes.plot([target, target], [i - 0.6, i + 0.6],
                      color=plots.INK, linewidth=1.6)
    plots.logarithmic(axes.xaxis, [l[1] for l in lines if l[1]])
    axes.set_yticks(range(len(lines)), [l[0] for l in lines])
    for tick, line in zip(axes.get_yticklabels(), lines):
        tick.set_color(plots.INK if line[1] is None else plots.MUTED)
        tick.set_fontweight("bold" if line[1] is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlabel("instructions, median; the upright line is the target")
    axes.grid(axis="x")
    axes.margins(x=0.1)
    return fig


def stages(row):
    """{stage: instructions}, those that there are."""
    return {name[len("stage_"):]: n for name, n in row.items()
            if name.startswith("stage_") and n}


def draw_stages(rows):
    """Where the instructions of each operation are, of all its stages."""
    rows = {k: r for k, r in rows.items() if stages(r)}
    if not rows:
        return None
    many = len({machine for _, machine in rows}) > 1
    names = list(dict.fromkeys(s for r in rows.values() for s in stages(r)))
    fig, axes = plots.figure(0.6 + 0.24 * len(rows), 7.6)
    for i, row in enumerate(rows.values()):
        left = 0
        for name, n in stages(row).items():
            axes.barh(i, n, 0.74, left=left, linewidth=0,
                      color=plots.PALETTE[names.index(name)
                                          % len(plots.PALETTE)])
            left += n
    for k, name in enumerate(names):
        axes.barh(0, 0, color=plots.PALETTE[k % len(plots.PALETTE)],
                  label=name)
    axes.set_yticks(range(len(rows)), [label(r, many) for r in rows.values()])
    axes.tick_params(axis="y", length=0, labelcolor=plots.INK)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("instructions, by stage")
    axes.grid(axis="x")
    plots.legend(fig, axes, columns=min(8, len(names)))
    return fig


def figures(result):
    rows = operations(result)
    if not rows:
        return ""
    out, some = [], compared(rows)
    if some:
        what = "; ".join(f"{n}: {w}" for n, w in peers.WHAT.items())
        svg = plots.inline(draw_bars(some), "meter-bars-", "instructions")
        out.append(f'<figure class="wide">{svg}<figcaption>The same program on '
                   f"all of them. {html.escape(what)}.</figcaption></figure>")
    fig = draw_stages(rows)
    if fig:
        svg = plots.inline(fig, "meter-stages-", "stages")
        out.append(f'<figure class="wide">{svg}</figure>')
    return '<div class="wide">' + "\n".join(out) + "</div>"
