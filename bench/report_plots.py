"""Draws the plots of a result, as SVG that fits into the report's page.

A plot is an object in a result's "plots":

    {"kind": ..., "title": "...", "group": "..."}

`group`: plots of one group stand side by side. The kinds:

    bars   of the table: x, y, by (columns), where ({column: value})
    stack  the same, the parts of an x behind one another
    dots   the same as points; target: the column that they should be at
    lines  the same along a number x; log, log_x: logarithmic axes
    cdf    curves: {name: [[value, part of all], ...]}, x_title, log; or
           panels: {title: curves}, one small plot each, all of one scale
    area   stacked: x, series {name: [...]}, lines {name: what is due}
    gantt  rows {name: [[start, end], ...]}, x_title
    cells  text: x and y (columns) of each row, those of one `by` in a line;
           target: the column with what y may be at most

bars, stack, dots and lines may bring rows of their own: data [{column: value}].

Rows with equal keys and different seeds are drawn as their mean, and as a
bar from the least to the greatest where there is room.

Colours are written as INK, MUTED, GRID and the colours of a palette, and
replaced by CSS variables of the page, so that a plot follows the page into
the dark. A policy has one colour on the whole page, and nothing else has it.
"""

import io
import re
import textwrap

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker  # noqa: E402

INK, MUTED, GRID = "#010203", "#040506", "#070809"
OURS = "#0c0d0e"    # Rouse beside others
PALETTE = [f"#0a0b{i:02x}" for i in range(1, 11)]
# Of what is no policy.
TINTS = [f"#0b0c{i:02x}" for i in range(1, 12)]

plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "rouse",
    "font.family": "sans-serif", "font.size": 9,
    "axes.edgecolor": MUTED, "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5, "axes.titlecolor": INK, "axes.titlelocation": "left",
    "axes.titleweight": "bold", "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.7,
    "axes.labelsize": 8.5, "axes.axisbelow": True,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5, "xtick.major.size": 3, "ytick.major.size": 3,
    "xtick.major.width": 0.7, "ytick.major.width": 0.7,
    "grid.color": GRID, "grid.linewidth": 0.6, "text.color": INK,
    "legend.frameon": False, "legend.fontsize": 8.5,
    "legend.labelcolor": INK, "legend.handlelength": 1.4,
    "legend.columnspacing": 1.2, "legend.borderaxespad": 0,
    "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none", "lines.linewidth": 1.6,
})

# Inches, 72 units each: near a telephone's width. Of small multiples on a wide
# page three or four stand side by side, and letters are to be as large there.
WIDTH = 4.7
SMALL = {3: 3.3, 4: 2.6}    # of so many columns


class Colours:
    """Names to colours: the same name, the same colour. Policies come first,
    in the order in which they are registered."""

    def __init__(self, policies):
        self.policies = {p: PALETTE[i % len(PALETTE)]
                         for i, p in enumerate(policies)}

    def of(self, name, place):
        first = re.split(r",? ", str(name))[0]
        if str(name) in self.policies:
            return self.policies[str(name)]
        if first in self.policies:
            return self.policies[first]
        return TINTS[(place + 1) % len(TINTS)]


def styles(names):
    """{name: line}: what comes behind a comma in names ("rr, alone") differs
    by its line, as policies do by their colour."""
    rests = dict.fromkeys(str(n).partition(",")[2] for n in names)
    kinds = ([""] if "" in rests else []) + [r for r in rests if r]
    lines = ["-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)),
             (0, (2.5, 1.2))]
    return {n: lines[kinds.index(str(n).partition(",")[2]) % len(lines)]
            for n in names}


def widths(names):
    """{name: width}: the first policy's lines are the widest, so that of equal
    ones all are seen."""
    firsts = list(dict.fromkeys(str(n).partition(",")[0] for n in names))
    step = 1.8 / max(1, len(firsts) - 1)
    return {n: 1.4 + step * (len(firsts) - 1 - firsts.index(
        str(n).partition(",")[0])) for n in names}


def named(axes, names):
    """Names at the left, the first one at the top."""
    axes.set_yticks(range(len(names)), [short(n) for n in names])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def short(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def rows_of(plot, rows):
    where = plot.get("where", {})
    return [r for r in rows if all(r.get(k) == v for k, v in where.items())
            and number(r.get(plot["y"]))]


def grouped(plot, rows):
    """{by: {x: [values]}}, in the order of the table."""
    out = {}
    for row in rows_of(plot, rows):
        mine = out.setdefault(row.get(plot.get("by", ""), ""), {})
        mine.setdefault(row[plot["x"]], []).append(row[plot["y"]])
    return out


def titles(result, plot):
    columns = {c["name"]: c for c in result["columns"]}

    def text(name):
        c = columns.get(name)
        if not c:
            return ""
        return c["title"] + (f" [{c['unit']}]" if c["unit"] else "")
    return {k: text(plot.get(k)) for k in ("x", "y", "by")}


def mean(values):
    return sum(values) / len(values)


def figure(height=2.7, width=WIDTH):
    fig, axes = plt.subplots(figsize=(width, height), layout="constrained")
    return fig, axes


def legend(fig, axes, title=None, columns=None):
    """Below the plot, so that it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    if not handles or (len(labels) == 1 and not labels[0]):
        return
    columns = columns or max(1, min(len(labels), 58 // (longest + 5)))
    fig.legend(handles, labels, loc="upper left", ncol=columns, title=title,
               bbox_to_anchor=(0.0, 0.0), bbox_transform=fig.transFigure,
               title_fontsize=8.5, alignment="left")


def logarithmic(axis, values):
    """A logarithmic axis with plain numbers, if there is anything to see on
    one: from a decade on, and nothing at 0."""
    positive = [v for v in values if v > 0]
    if not positive or max(positive) < 8 * min(positive):
        return
    name = axis.axis_name
    getattr(axis.axes, f"set_{name}scale")("log")
    getattr(axis.axes, f"set_{name}lim")(min(positive) / 1.5,
                                         max(positive) * 1.5)
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(
        lambda v, _: f"{v:,.0f}" if v >= 1 else f"{v:g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


# --- kinds ------------------------------------------------------------------


def draw_bars(result, plot, rows, colours):
    """Horizontal, so that names have room."""
    groups = grouped(plot, rows)
    xs = list(dict.fromkeys(x for g in groups.values() for x in g))
    many = len(groups)
    fig, axes = figure(0.75 + len(xs) * (0.1 + 0.17 * many))
    thick = 0.82 / max(1, many)
    by_policy = plot.get("x") == "policy" and many == 1
    for k, (name, values) in enumerate(groups.items()):
        for i, x in enumerate(xs):
            if x not in values:
                continue
            v = values[x]
            at = i + (k - (many - 1) / 2) * thick
            colour = colours.of(x if by_policy else name, k)
            axes.barh(at, mean(v), thick * 0.9, color=colour, linewidth=0,
                      label=short(name) if x == next(iter(values)) else None,
                      xerr=[[mean(v) - min(v)], [max(v) - mean(v)]]
                      if len(v) > 1 and max(v) > min(v) else None,
                      error_kw={"ecolor": MUTED, "elinewidth": 0.8})
            axes.annotate(f"{mean(v):.4g}", (max(v), at), va="center",
                          xytext=(3, 0), textcoords="offset points",
                          fontsize=8, color=MUTED)
    named(axes, xs)
    axes.margins(x=0.14)
    if not any(v for g in groups.values() for some in g.values()
               for v in some):
        axes.set_xlim(0, 1)
    axes.set_xlabel(titles(result, plot)["y"])
    axes.grid(axis="x")
    if plot.get("log"):
        axes.set_xscale("log")
    if many > 1:
        legend(fig, axes, titles(result, plot)["by"])
    return fig


def draw_stack(result, plot, rows, colours):
    groups = grouped(plot, rows)
    ends = {r[plot["x"]]: 0 for r in rows_of(plot, rows)}
    fig, axes = figure(0.75 + 0.27 * len(ends))
    for k, (name, values) in enumerate(groups.items()):
        axes.barh([list(ends).index(x) for x in values],
                  [mean(v) for v in values.values()], 0.74,
                  left=[ends[x] for x in values], linewidth=0,
                  color=colours.of(name, k), label=short(name))
        for x, v in values.items():
            ends[x] += mean(v)
    for i, end in enumerate(ends.values()):
        axes.annotate(f"{end:.4g}", (end, i), va="center", xytext=(3, 0),
                      textcoords="offset points", fontsize=8, color=MUTED)
    named(axes, ends)
    axes.margins(x=0.14)
    axes.set_xlabel(titles(result, plot)["y"])
    axes.grid(axis="x")
    legend(fig, axes, titles(result, plot)["by"])
    return fig


def draw_dots(result, plot, rows, colours):
    groups = grouped(plot, rows)
    xs = list(dict.fromkeys(x for g in groups.values() for x in g))
    fig, axes = figure(0.75 + 0.34 * len(xs))
    for i, x in enumerate(xs):
        due = [r[plot["target"]] for r in rows_of(plot, rows)
               if r[plot["x"]] == x and number(r.get(plot.get("target")))]
        for value in sorted(set(due)):
            axes.plot([value, value], [i - 0.36, i + 0.36], color=INK,
                      linewidth=1.4, zorder=3)
    if plot.get("target"):
        axes.plot([], [], color=INK, linewidth=1.4, marker="|",
                  linestyle="none", markersize=10,
                  label={c["name"]: c["title"] for c in result["columns"]}
                  .get(plot["target"], "target"))
    for k, (name, values) in enumerate(groups.items()):
        places = [(v, xs.index(x) + (k - (len(groups) - 1) / 2) * 0.16)
                  for x, some in values.items() for v in some]
        axes.plot([p[0] for p in places], [p[1] for p in places], "o",
                  color=colours.of(name, k), markersize=5.5, alpha=0.85,
                  markeredgewidth=0, label=short(name), zorder=4)
    named(axes, xs)
    axes.set_ylim(len(xs) - 0.45, -0.55)
    axes.set_xlabel(titles(result, plot)["y"])
    axes.grid(axis="both")
    legend(fig, axes)
    return fig


def draw_lines(result, plot, rows, colours):
    groups = grouped(plot, rows)
    fig, axes = figure()
    everything, ticks, wide = [], [], widths(groups)
    for k, (name, values) in enumerate(groups.items()):
        xs = sorted(values)
        ys = [mean(values[x]) for x in xs]
        everything += ys
        ticks += xs
        axes.plot(xs, ys, "o-", markersize=2.4 + wide[name], label=short(name),
                  color=colours.of(name, k), linewidth=wide[name],
                  markeredgewidth=0)
    if plot.get("log_x"):
        axes.set_xscale("log", base=2)
    if plot.get("log"):
        logarithmic(axes.yaxis, everything)
    else:
        axes.set_ylim(min(0, *everything), max(everything) * 1.06 or 1)
    axes.set_xticks(sorted(set(ticks)), [short(x) for x in sorted(set(ticks))])
    axes.minorticks_off()
    axes.set_xlabel(titles(result, plot)["x"])
    axes.set_ylabel(textwrap.fill(titles(result, plot)["y"], 36))
    axes.grid(axis="y")
    legend(fig, axes)
    return fig


def draw_cdf(result, plot, rows, colours):
    fig, axes = figure()
    curves = plot["curves"]
    # Small multiples have all of their names and values in common.
    names = plot.get("names") or list(curves)
    line, wide = styles(names), widths(names)
    for k, name in enumerate(names):
        points = curves.get(name)
        if not points:
            continue
        xs = [points[0][0], *(p[0] for p in points)]
        ys = [0, *(p[1] * 100 for p in points)]
        axes.step(xs, ys, where="post", label=name,
                  color=colours.of(name, k), linestyle=line[name],
                  linewidth=wide[name])
    values = plot.get("span") or [p[0] for points in curves.values()
                                  for p in points]
    if plot.get("log"):
        logarithmic(axes.xaxis, values)
    elif plot.get("span"):
        margin = 0.05 * (max(values) - min(values)) or 1
        axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.xaxis.get_major_locator().set_params(**(
        {} if axes.get_xscale() == "log" else {"nbins": 5}))
    axes.set_ylim(0, 101)
    axes.set_xlabel(plot.get("x_title", ""))
    axes.set_ylabel("% of all")
    axes.grid(axis="both")
    legend(fig, axes)
    return fig


def panels(plot):
    """The plots that a plot with panels is."""
    some = {title: c for title, c in plot["panels"].items() if any(c.values())}
    names = list(dict.fromkeys(n for c in some.values() for n in c))
    values = [p[0] for c in some.values() for points in c.values()
              for p in points if p[0] > 0 or not plot.get("log")]
    return [{**plot, "title": title, "curves": curves, "names": names,
             "span": [min(values, default=0), max(values, default=1)]}
            for title, curves in some.items()]


def draw_area(result, plot, rows, colours):
    fig, axes = figure(2.5)
    names = list(plot["series"])
    shades = [TINTS[(i + 1) % len(TINTS)] for i in range(len(names))]
    axes.stackplot(plot["x"], *plot["series"].values(), labels=names,
                   colors=shades, alpha=0.82, linewidth=0)
    level = 0
    for name in names[:-1]:
        if name in plot.get("lines", {}):
            level += plot["lines"][name]
            axes.axhline(level, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_ylim(0, 100)
    axes.set_xlim(plot["x"][0], plot["x"][-1])
    axes.set_xlabel(plot.get("x_title", ""))
    axes.set_ylabel(plot.get("y_title", ""))
    legend(fig, axes)
    return fig


def draw_gantt(result, plot, rows, colours):
    strips = plot["rows"]
    fig, axes = figure(0.6 + 0.24 * len(strips))
    for i, (name, turns) in enumerate(strips.items()):
        axes.broken_barh([(s, e - s) for s, e in turns], (i - 0.36, 0.72),
                         facecolors=TINTS[(i + 1) % len(TINTS)],
                         linewidth=0)
    named(axes, strips)
    axes.margins(x=0)
    axes.set_xlabel(plot.get("x_title", ""))
    axes.grid(axis="x")
    return fig


DRAW = {"bars": draw_bars, "stack": draw_stack, "dots": draw_dots,
        "lines": draw_lines, "cdf": draw_cdf, "area": draw_area,
        "gantt": draw_gantt}


# --- into the page ----------------------------------------------------------


def page_colours(text):
    """With the page's variables for the colours of ours."""
    for name, colour in [("ink", INK), ("muted", MUTED), ("grid", GRID),
                         ("ours", OURS)]:
        text = text.replace(colour, f"var(--{name})")
    for letter, colours in (("c", PALETTE), ("t", TINTS)):
        for i, colour in enumerate(colours):
            text = text.replace(colour, f"var(--{letter}{i + 1})")
    return text


def inline(fig, prefix, label):
    """The figure as an <svg> element for the middle of a page."""
    out = io.StringIO()
    fig.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.04,
                metadata={"Date": None, "Creator": None,
                          "Type": None, "Format": None})
    plt.close(fig)
    svg = out.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    svg = re.sub(r"<svg[^>]*>", f'<svg viewBox="0 0 {box[1]} {box[2]}" '
                 'xmlns="http://www.w3.org/2000/svg" '
                 'xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
                 f'aria-label="{label}">',
                 svg, count=1)
    # Only what is referred to keeps its name, and no two figures share one.
    used = set(re.findall(r'(?:url\(#|xlink:href="#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"'
                 if m[1] in used else "", svg)
    svg = re.sub(r'(url\(#|xlink:href="#)', rf"\g<1>{prefix}", svg)
    svg = page_colours(svg)
    svg = re.sub(r"font: ([^;']*?)([\d.]+)px [^;]*?(;|\")",
                 r"font: \1\2px var(--sans)\3", svg)
    return re.sub(r"\n\s*", "\n", svg)


def key_of(axes):
    """[(name, colour, line)] of what a legend would have."""
    out = []
    for handle, name in zip(*axes.get_legend_handles_labels()):
        # A bar's, a line's, or an area's.
        face = getattr(handle, "patches", [handle])[0]
        colour = face.get_color() if hasattr(face, "get_color") else \
            face.get_facecolor()
        line = "dashed" if getattr(handle, "is_dashed", bool)() else "solid"
        out.append((name, page_colours(matplotlib.colors.to_hex(
            colour if isinstance(colour, (str, tuple)) else colour[0])), line))
    return out


def draw(result, plot, rows, colours, prefix, small=0):
    """(SVG, its key if that is to stand beside it) of a plot, or None if there
    is nothing to draw. Small ones, of so many columns, share a key."""
    kind = DRAW.get(plot.get("kind"))
    rows = plot.get("data", rows)
    if not kind or ("y" in plot and not rows_of(plot, rows)):
        return None
    fig = kind(result, plot, rows, colours)
    axes, key = fig.axes[0], []
    axes.set_title(plot.get("title", ""), pad=7)
    if small:
        key = key_of(axes)
        for one in fig.legends:
            one.remove()
        fig.set_size_inches(SMALL[small], fig.get_figheight() * 0.9)
    return inline(fig, prefix,
                  plot.get("title", "plot").replace('"', "'")), key
