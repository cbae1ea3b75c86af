"""The meter's table as bars: what an operation takes here, in the best that
there is elsewhere, without a hypervisor, and what is aimed at. A mark shows the
shortest and the longest round and the 99th percentile.

Rows are those of build/bench/results/meter.json: an operation (row, title) on
a kind of machine, its distribution in instructions, its target, and the stages
of its way (columns stage_NAME). Others' figures come from bench/peers.py, those
without a hypervisor from meter_native.json, if there is one.
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
    for (name, _), row in rows.items():
        if name in peers.FIGURES or row.get("target"):
            out.setdefault(name, []).append(row)
    for name, some in out.items():
        if len({(r["median"], r.get("target")) for r in some}) == 1:
            out[name] = some[:1]
    return list(out.items())


def title_of(row):
    return row.get("title") or row["row"]


def bars_of(some, theirs):
    """[(label, value, colour, row)] of an operation: ours, machine by machine,
    and what others take, by doorbell if it matters. Others have no row."""
    bars = [("Rouse" + (f", {SHORT.get(r['machine'], r['machine'])}"
                        if len(some) > 1 else ""),
             r["median"], plots.OURS, r) for r in some]
    for peer, figures in theirs.items():
        for i, value in enumerate(figures):
            bars.append((peer + (", AIA" if i else ""), value,
                         plots.TINTS[SHADES[peer]], {}))
    return bars


def draw_spread(axes, row, at):
    """From the shortest to the longest round, with a mark at the 99th
    percentile; returns where it ends. Nothing of a row whose rounds are all
    alike."""
    least, late, most = (row.get(k) or 0 for k in ("min", "p99", "max"))
    if not 0 < least < most:
        return row.get("median", 0)
    axes.plot([least, most], [at, at], color=plots.MUTED, linewidth=1,
              solid_capstyle="butt")
    for x, half in ((least, 0.2), (late, 0.32), (most, 0.2)):
        axes.plot([x, x], [at - half, at + half], color=plots.MUTED,
                  linewidth=1)
    return most


def draw_bars(compared_rows, others):
    """Ours, the peers' and the target's line, on a logarithmic scale."""
    lines = []
    for name, some in compared_rows:
        lines.append((title_of(some[0]), None, None, None))
        lines += bars_of(some, others.get(name, {}))
    fig, axes = plots.figure(0.5 + 0.19 * len(lines), 7.6)
    for i, (name, value, colour, row) in enumerate(lines):
        if value is None:
            continue
        axes.barh(i, value, 0.78, color=colour, linewidth=0)
        ours = colour == plots.OURS
        target, end = row.get("target"), draw_spread(axes, row, i)
        if target:
            axes.plot([target, target], [i - 0.39, i + 0.39],
                      color=plots.INK, linewidth=1.6)
        axes.annotate(f"{value:g}", (max(value, end, target or 0), i),
                      va="center",
                      fontsize=8, xytext=(5, 0), textcoords="offset points",
                      color=plots.INK if ours else plots.MUTED)
    plots.logarithmic(axes.xaxis, [n for l in lines if l[1] for n in
                                   (l[1], l[3].get("max") or l[1])])
    axes.set_yticks(range(len(lines)), [l[0] for l in lines])
    for tick, line in zip(axes.get_yticklabels(), lines):
        tick.set_color(plots.INK if line[1] is None else plots.MUTED)
        tick.set_fontweight("bold" if line[1] is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlabel("instructions, median; the upright line is the target, the "
                    "thin marks are the shortest, the 99th\npercentile and the "
                    "longest of the rounds, where they differ")
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


def caption(is_native_ours):
    """Whose program the bars are of."""
    parts = ", ".join(f"{theirs} instructions in {what} (here {ours})"
                      for what, (ours, theirs) in peers.OWN_PARTS.items())
    others = " and ".join(w for n, w in peers.WHAT.items() if n != "native")
    native = "the meter's payload, counted here" if is_native_ours else \
        "that program, counted elsewhere"
    return (f"{others} were counted elsewhere, with another program that does "
            f"the same. Its own part is a little less: {parts}. Native is "
            f"{native}, on the firmware with no hypervisor.")


def figures(result, native=None):
    """native: the result of the meter without a hypervisor, if there is one."""
    rows = operations(result)
    if not rows:
        return ""
    others = peers.beside(results.as_dicts(native) if native else ())
    out = [report_targets.every_row(result, others, bool(native))]
    some = compared(rows)
    if some:
        svg = plots.inline(draw_bars(some, others), "meter-bars-",
                           "instructions")
        out.append(f'<figure class="wide">{svg}<figcaption>'
                   f"{html.escape(caption(native))}</figcaption></figure>")
    some = staged(rows)
    if some:
        svg = plots.inline(draw_stages(some), "meter-stages-", "stages")
        # In sight however far one has come down.
        out.append('<figure class="wide stages">'
                   + stage_key(stage_names(some))
                   + f'<div class="scroll">{svg}</div></figure>')
    out.append(report_targets.outliers(result))
    return '<div class="wide">' + "\n".join(out) + "</div>"
