"""Turns, as probes have written them down: [(start, end), ...] in ns of the
machine's clock, and what can be said of them."""

import bisect
import itertools


def common(all_turns):
    """The stretch of time in which all have written their turns."""
    return (max(t[0][0] for t in all_turns), min(t[-1][1] for t in all_turns))


class Service:
    """How long a vCPU has run up to a moment."""

    def __init__(self, turns):
        self.starts = [t[0] for t in turns]
        self.turns = turns
        self.before = [0, *itertools.accumulate(e - s for s, e in turns)]

    def at(self, moment):
        i = bisect.bisect_right(self.starts, moment) - 1
        if i < 0:
            return 0
        start, end = self.turns[i]
        return self.before[i] + min(moment, end) - start

    def worst_lag(self, share, window, first, last):
        """The most that a window of this length was short of its fluid
        share. It is found where a window begins at the end of a turn or
        ends at the start of one."""
        worst = 0
        moments = [e for _, e in self.turns] + [s - window
                                                for s, _ in self.turns]
        for t in moments:
            if first <= t and t + window <= last:
                got = self.at(t + window) - self.at(t)
                worst = max(worst, share * window - got)
        return worst


def shares_over_time(services, first, last, steps):
    """For a stacked area: [moments in s], {name: [shares in %]}."""
    width = (last - first) / steps
    times = [round((i + 0.5) * width / 1e9, 6) for i in range(steps)]
    out = {}
    for name, service in services.items():
        cuts = [service.at(first + i * width) for i in range(steps + 1)]
        out[name] = [round((b - a) / width * 100, 2)
                     for a, b in zip(cuts, cuts[1:])]
    return times, out


def merged(turns, gap_ns=200e3):
    """Turns without the moments that the hypervisor took inside of them: no
    other guest's turn is as short as this gap."""
    out = []
    for start, end in turns:
        if out and start - out[-1][1] < gap_ns:
            start = out.pop()[0]
        out.append((start, end))
    return out


def strip(turns, first, last):
    """For a Gantt strip: [[start, end] in ms] inside a stretch."""
    turns = merged(turns)
    return [[round((max(s, first) - first) / 1e6, 4),
             round((min(e, last) - first) / 1e6, 4)]
            for s, e in turns if e > first and s < last]
