"""How far a run of the benchmarks is, and how long it will still take.

What each question's machines took is remembered in build/bench/seconds.json; a
question that was never asked on this machine says itself what its machines take
(COST_S). The estimate is what is left by these, stretched by what this run's
have taken so far compared with what was expected of them.
"""

import json
import time

import results

FILE = results.folder().parent / "seconds.json"


class Progress:
    def __init__(self, quick, jobs):
        self.begun, self.jobs = time.monotonic(), jobs
        self.quick = "quick" if quick else "full"
        self.took = {}              # question: [seconds of each machine]
        self.left = {}              # question: [machines, of each, alone]
        try:
            self.known = json.loads(FILE.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.total = self.count = 0
        self.expected_done = self.actual_done = 0.0

    def expects(self, question, cost_s):
        """Of one machine of a question, in seconds."""
        return self.known.get(self.quick, {}).get(question, cost_s)

    def plan(self, question, machines, cost_s, alone):
        if machines:
            self.left[question] = [machines, self.expects(question, cost_s),
                                   alone]
            self.total += machines

    def done(self, question, seconds=None):
        """A machine has ended; seconds: how long it took, if it ended well."""
        self.count += 1
        mine = self.left[question]
        mine[0] -= 1
        if seconds is not None:
            self.expected_done += mine[1]
            self.actual_done += seconds
            self.took.setdefault(question, []).append(seconds)

    def left_s(self):
        wall = sum(n * each / (1 if alone else self.jobs)
                   for n, each, alone in self.left.values())
        # A few machines say little about all.
        trust = 20.0
        pace = (self.actual_done + trust) / (self.expected_done + trust)
        return wall * pace

    def text(self):
        gone = time.monotonic() - self.begun
        return (f"[{self.count}/{self.total}, {clock(gone)}, "
                f"{clock(self.left_s())} left]")

    def ended(self):
        well = sum(map(len, self.took.values()))
        return (f"{well} machines ended well in "
                f"{clock(time.monotonic() - self.begun)}")

    def remember(self):
        mine = self.known.setdefault(self.quick, {})
        for question, seconds in self.took.items():
            mine[question] = round(sum(seconds) / len(seconds), 2)
        FILE.parent.mkdir(parents=True, exist_ok=True)
        new = FILE.with_suffix(".new")
        new.write_text(json.dumps(self.known, indent=1) + "\n")
        new.replace(FILE)


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
