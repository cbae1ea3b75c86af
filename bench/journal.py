"""What an interrupted run of the benchmarks had done already.

Each machine's answer is a file, build/bench/journal/QUESTION/KEY.json, written
when it has ended well. KEY is made of all that the answer depends on: what is
asked, and the files that are asked and that ask. A run that was stopped or
failed in parts is gone on with by the next one; the answers of one that ended
well are removed, so that the next one measures anew.
"""

import hashlib
import json
import shutil
import subprocess

import results

FOLDER = results.folder().parent / "journal"

# Of what was built, and of what asks.
BUILT = ("rouse.bin", "meter.so", "sim/rouse-sim", "opensbi/fw_jump.bin",
         "guests/baremetal/*.elf", "guests/linux/Image",
         "guests/linux/initrd*.gz")
ASKING = ("bench/*.py", "bench/meter/*", "bench/questions/*.py",
          "bench/sim/costs", "bench/sweep/*", "tests/system/*.py")


def _files():
    for top, patterns in ((results.BUILD, BUILT), (results.TOP, ASKING)):
        for pattern in patterns:
            yield from sorted(p for p in top.glob(pattern) if p.is_file())


def _state():
    """One word for everything that an answer depends on but the question."""
    whole = hashlib.sha256()
    for path in _files():
        whole.update(str(path).encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    whole.update(subprocess.run(["qemu-system-riscv64", "--version"],
                                stdout=subprocess.PIPE, check=True).stdout)
    return whole.hexdigest()


class Journal:
    def __init__(self, quick):
        self.state = f"{_state()} {quick}"

    def _path(self, question, case):
        key = json.dumps([self.state, {k: str(v) for k, v in case.items()}])
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return FOLDER / question / f"{name}.json"

    def find(self, question, case):
        """The answer to a case, or None."""
        try:
            return json.loads(self._path(question, case).read_text())
        except (OSError, ValueError):
            return None

    def keep(self, question, case, answer):
        path = self._path(question, case)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(answer))
        new.replace(path)

    def forget(self, question):
        shutil.rmtree(FOLDER / question, ignore_errors=True)
