"""The meter's table as bars: what an operation takes here, in the best that
there is elsewhere, without a hypervisor, and what is aimed at.

Rows are those of build/bench/results/meter.json: an operation (row, title) on
a kind of machine, its distribution in instructions, its target, and the stages
of its way (columns stage_NAME). Others' figures come from bench/peers.py.
"""

import html

import peers
import report_layout
import report_plots as plots
import report_targets
import results

SHADES = {"Xvisor": 5, "KVM": 6, "native": 0}


def operations(result):
    """{(operation, machine): row}, an operation's machines together."""
    rows = [r for r in results.as_dicts(result)
            if isinstance(r.get("median"), (int, float)) and r.get("row")]
    order = list(dict.fromkeys(r["row"] for r in rows))
    rows.sort(key=lambda r: order.index(r["row"]))
    return {(r["row"], str(r.get("machine") or "")): r for r in rows}


SHORT = {"virt": "virt", "virt,aclint=on": "ACLINT",
         "virt,aia=aplic-imsic,aia-guests=3": "AIA"}


def compared(rows):
    """[(operation, its rows)] of those with figures of peers, or a target.
    Machines that give the same and are compared with the same are one."""
    out = {}
    for (name, machine), row in rows.items():
        if peers.figures(name, machine) or row.get("target"):
            out.setdefault(name, []).append(row)
    for name, some in out.items():
        if len({(r["median"], r.get("target")) for r in some}) == 1:
            out[name] = some[:1]
    return list(out.items())


def title_of(row):
    return row.get("title") or row["row"]


def bars_of(name, some):
    """[(label, value, colour, target)] of an operation: ours, machine by
    machine, and what others take, by doorbell if it matters."""
    bars = [("Rouse" + (f", {SHORT.get(r['machine'], r['machine'])}"
                        if len(some) > 1 else ""),
             r["median"], plots.OURS, r.get("target")) for r in some]
    for peer, figures in peers.FIGURES.get(name, {}).items():
        for i, value in enumerate(figures):
            bars.append((peer + (", AIA" if i else ""), value,
                         plots.TINTS[SHADES[peer]], None))
    return bars


def draw_bars(compared_rows):
    """Ours, the peers' and the target's line, on a logarithmic scale."""
    lines = []
    for name, some in compared_rows:
        lines.append((title_of(some[0]), None, None, None))
        lines += bars_of(name, some)
    fig, axes = plots.figure(0.5 + 0.19 * len(lines), 7.6)
    for i, (name, value, colour, target) in enumerate(lines):
        if value is None:
            continue
        axes.barh(i, value, 0.78, color=colour, linewidth=0)
        ours = colour == plots.OURS
        if target:
            axes.plot([target, target], [i - 0.39, i + 0.39],
                      color=plots.INK, linewidth=1.6)
        axes.annotate(f"{value:g}", (max(value, target or 0), i), va="center",
                      fontsize=8, xytext=(5, 0), textcoords="offset points",
                      color=plots.INK if ours else plots.MUTED)
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
    return fig


def stages(row):
    """{stage: instructions}, those that there are."""
    return {name[len("stage_"):]: n for name, n in row.items()
            if name.startswith("stage_") and n}


def alike(row, other):
    """Would nobody see a difference between their bars?"""
    mine, theirs = stages(row), stages(other)
    return all(abs(mine.get(s, 0) - theirs.get(s, 0)) <=
               0.03 * sum(mine.values()) for s in {*mine, *theirs})


def staged(rows):
    """[(row, [its machines])] of those with stages; machines of which nobody
    would see that they differ are one."""
    out = []
    for row in rows.values():
        if not stages(row):
            continue
        same = next((m for r, m in out if r["row"] == row["row"]
                     and alike(r, row)), None)
        if same is None:
            out.append((row, [row["machine"]]))
        else:
            same.append(row["machine"])
    return out


def stage_key(names):
    return report_layout.key([
        ({"c": "hypervisor C"}.get(name, name),
         plots.page_colours(plots.TINTS[k % len(plots.TINTS)]), "solid")
        for k, name in enumerate(names)])


def stage_names(some):
    return list(dict.fromkeys(s for r, _ in some for s in stages(r)))


def draw_stages(some):
    """Which part of each operation each stage is, and how much all is."""
    names = stage_names(some)
    fig, axes = plots.figure(0.6 + 0.21 * len(some), 7.6)
    for i, (row, _) in enumerate(some):
        left, total = 0, sum(stages(row).values())
        for name, n in stages(row).items():
            part = 100 * n / total
            axes.barh(i, part, 0.78, left=left, linewidth=0,
                      color=plots.TINTS[names.index(name) % len(plots.TINTS)])
            left += part
        axes.annotate(f"{total:,.0f}", (100, i), va="center", fontsize=8,
                      xytext=(5, 0), textcoords="offset points",
                      color=plots.INK)
    many = [r["row"] for r, _ in some]
    axes.set_yticks(range(len(some)), [title_of(r) + (
        ", " + "/".join(SHORT.get(m, m) for m in machines)
        if many.count(r["row"]) > 1 else "") for r, machines in some])
    axes.tick_params(axis="y", length=0, labelcolor=plots.INK)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(some) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the instructions of a median round, by stage; at the "
                    "right, all of them")
    return fig


def figures(result):
    rows = operations(result)
    if not rows:
        return ""
    out, some = [report_targets.every_row(result)], compared(rows)
    if some:
        what = "; ".join(f"{n}: {w}" for n, w in peers.WHAT.items())
        svg = plots.inline(draw_bars(some), "meter-bars-", "instructions")
        out.append(f'<figure class="wide">{svg}<figcaption>The same program on '
                   f"all of them. {html.escape(what)}.</figcaption></figure>")
    some = staged(rows)
    if some:
        svg = plots.inline(draw_stages(some), "meter-stages-", "stages")
        # In sight however far one has come down.
        out.append('<figure class="wide stages">'
                   + stage_key(stage_names(some))
                   + f'<div class="scroll">{svg}</div></figure>')
    out.append(report_targets.outliers(result))
    return '<div class="wide">' + "\n".join(out) + "</div>"
