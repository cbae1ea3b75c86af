"""Statistics of rounds, the table, and the file for machines."""

import math

from .images import MODES, NO_MODE

SPREAD = (("min", 0), ("q1", 0.25), ("median", 0.5), ("q3", 0.75),
          ("p99", 0.99), ("max", 1))


def rank(ordered, share):
    """The nearest-rank quantile: always one of the values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Figures:
    """What the rounds of a row come to."""

    def __init__(self, rounds, buckets, signs=()):
        self.buckets, self.signs = buckets, signs
        self.rounds = rounds
        totals = sorted(sum(r) for r in rounds)
        self.n = len(totals)
        self.mean = sum(totals) / self.n
        for name, share in SPREAD:
            setattr(self, name, rank(totals, share))
        # A round that took the median stands for all: its parts add up.
        self.typical = next(r for r in rounds if sum(r) == self.median)

    def plain(self):
        """What a result of bench/run keeps of it."""
        return {"n": self.n, "median": self.median, "p99": self.p99,
                "stages": self.stages()}

    def modes(self):
        out = dict.fromkeys([*MODES.values(), NO_MODE], 0)
        for (program, _, _), count in zip(self.buckets, self.typical):
            out[MODES.get(program, NO_MODE)] += count
        return out

    def stages(self):
        """{stage: instructions} of the typical round, none that is 0."""
        return parts(self.buckets, self.typical)

    def outliers(self):
        """Rounds over 1.1 medians: how many, and by how much each stage is
        more there than in the typical round, on average."""
        late = [r for r in self.rounds if sum(r) > 1.1 * self.median]
        more = {}
        for (_, stage, _), *counts in zip(self.buckets, self.typical, *late):
            extra = sum(counts[1:]) - counts[0] * len(late)
            if extra:
                more[stage] = more.get(stage, 0) + extra / len(late)
        return len(late), more


def parts(buckets, counts):
    out = {}
    for (_, stage, _), count in zip(buckets, counts):
        if count:
            out[stage] = out.get(stage, 0) + count
    return out


def words(split):
    return ", ".join(f"{name} {round(n)}" for name, n in
                     sorted(split.items(), key=lambda item: -abs(item[1])))
