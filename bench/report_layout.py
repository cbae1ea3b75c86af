"""Where a result's plots stand, and what is said beside them.

Plots of no group stand in two columns; if their number is odd, what is asked
takes the first place, so that no half of an article is empty. Plots of a group
(three policies, five loads) are small multiples: as many columns as fill rows,
and one key for all of them. What is text (cells) has the whole width.
"""

import report_plots
import results
from report_targets import esc


def key(entries):
    """A legend: entries of report_plots.key_of()."""
    def mark(colour, line):
        return (f"background:{colour}" if line == "solid" else
                f"border-top:.2em {line} {colour};height:.3em;width:1.7em")
    return '<ul class="key">' + "".join(
        f'<li><i style="{mark(colour, line)}"></i>{esc(name)}</li>'
        for name, colour, line in entries) + "</ul>"


def columns(count):
    """Of small multiples: 3 or 4."""
    return 4 if count % 4 in (0, 3) and count != 3 else 3


def multiples(drawn, title):
    """Small ones of a group; drawn: [(SVG, key)]."""
    entries = list(dict.fromkeys(e for _, some in drawn for e in some))
    many = min(columns(len(drawn)), len(drawn))
    # The key takes the place that is left in the last row.
    inside = len(drawn) % many
    cells = [f"<figure>{svg}</figure>" for svg, _ in drawn]
    legend = key(entries) if len(entries) > 1 else ""
    head = f'<p class="group">{esc(title)}</p>' if title else ""
    if legend and inside:
        cells.append(f'<div class="legend">{legend}</div>')
        legend = ""
    return (f'{head}{legend}<div class="plots small" style="--columns:{many}">'
            + "\n".join(cells) + "</div>")


def cells(plot, rows):
    """A figure a row, as text with a bar behind it that shows how near it is
    to what it may be."""
    lines = {}
    for row in report_plots.rows_of(plot, rows):
        due, value = row.get(plot.get("target")), row[plot["y"]]
        bar = f' style="--part:{100 * value / due:.0f}%"' if due else ""
        word = ' class="over"' if due and value > due else ""
        lines.setdefault(row.get(plot.get("by"), ""), []).append(
            f"<li{word}{bar}>{esc(row[plot['x']])} <b>{value:.4g}</b></li>")
    if not lines:
        return ""
    return (f'<div class="cells"><p class="group">{esc(plot["title"])}</p><dl>'
            + "".join(f"<dt>{esc(name)}</dt><dd><ul>{''.join(some)}</ul></dd>"
                      for name, some in lines.items()) + "</dl></div>")


def groups_of(result):
    """({group: [plots]}, [plots of no group], [cells])"""
    groups, loose, text = {}, [], []
    for plot in result.get("plots", []):
        if plot.get("kind") == "cells":
            text.append(plot)
        elif "panels" in plot:
            groups.setdefault(plot.get("group") or plot["title"],
                              []).extend(report_plots.panels(plot))
        elif plot.get("group"):
            groups.setdefault(plot["group"], []).append(plot)
        else:
            loose.append(plot)
    for name in [n for n, some in groups.items() if len(some) == 1]:
        loose += groups.pop(name)
    return groups, loose, text


def figures(result, colours, lead):
    """The article above its table; lead: what is asked, as HTML."""
    rows, count = results.as_dicts(result), 0

    def drawn(plots, small=0):
        nonlocal count
        for plot in plots:
            one = report_plots.draw(result, plot, rows, colours,
                                    f"{result['name']}{count}-", small)
            count += 1
            if one:
                yield one
    groups, loose, text = groups_of(result)
    plain = [f"<figure>{svg}</figure>" for svg, _ in drawn(loose)]
    out = []
    if len(plain) % 2:
        plain.insert(0, f'<div class="lead">{lead}</div>')
    else:
        out.append(lead)
    if plain:
        out.append('<div class="plots">' + "\n".join(plain) + "</div>")
    titles = [p["title"] for p in result.get("plots", []) if "panels" in p]
    for name, plots in groups.items():
        some = list(drawn(plots, columns(len(plots))
                          if len(plots) > 2 else 0))
        if some:
            out.append(multiples(some, name if name in titles else ""))
    return "\n".join([*out, *(cells(p, p.get("data", rows)) for p in text)])
