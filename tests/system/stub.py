"""QEMU's gdb stub, spoken to directly: a machine whose harts fail.

    stub = Stub(t)
    m = t.boot(..., options=stub.options)
    stub.attach()
    stub.run_all_but(2)     # hart 2 stands still, the others run
    stub.run_all()          # and goes on, not knowing of it
    stub.write32(0x2f00004, 1)   # a store to a device, by nobody

A hart that stands still is one that fails, is slow, or gets its doorbell late:
the machine can't tell. Nothing in Rouse takes part in it.
"""

import os
import re
import socket
import time

from harness import BUILD, SLOW, Failure, socket_path
from tracelib.capture import symbol


class Gone(Failure):
    """QEMU has ended, or hung up."""


class Stub:
    def __init__(self, test, stopped=False):
        self.path = socket_path("gdb", self)
        self.options = ["-gdb", f"unix:{self.path},server=on,wait=off"]
        if stopped:
            self.options.append("-S")
        self.test = test
        self.link = None
        self.text = b""
        self.running = not stopped

    def attach(self):
        """From here on the machine stands still until it is let run."""
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(30 * SLOW)
        for _ in range(int(600 * SLOW)):
            try:
                self.link.connect(self.path)
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise Failure("QEMU's gdb stub can't be reached")
        os.unlink(self.path)
        self.threads = []
        reply = self.ask("qfThreadInfo")
        while reply.startswith("m"):
            self.threads += [int(w, 16) for w in reply[1:].split(",")]
            reply = self.ask("qsThreadInfo")
        self.ask("Qqemu.PhyMemMode:1")
        self.running = False

    def _raw(self, data):
        try:
            self.link.sendall(data)
        except OSError as error:
            raise Gone(f"QEMU's gdb stub: {error}") from None

    def _send(self, text):
        data = text.encode()
        self._raw(b"$" + data + b"#%02x" % (sum(data) & 255))

    def _receive(self):
        """The next packet; acknowledgements are passed over."""
        while True:
            match = re.search(rb"\$([^#]*)#..", self.text)
            if match:
                self.text = self.text[match.end():]
                self._raw(b"+")
                return match.group(1).decode()
            try:
                data = self.link.recv(4096)
            except OSError as error:
                raise Gone(f"QEMU's gdb stub: {error}") from None
            if not data:
                raise Gone("QEMU's gdb stub has hung up")
            self.text += data

    def ask(self, text):
        self._send(text)
        return self._receive()

    def stop(self):
        if self.running:
            self._raw(b"\x03")
            while not self._receive().startswith("T"):
                pass
            self.running = False

    def _go(self, threads):
        self.stop()
        self._send("vCont;" + ";".join(f"c:{t:x}" for t in threads))
        self.running = True

    def run_all_but(self, *harts):
        """QEMU's threads are the harts, in order."""
        self._go([t for n, t in enumerate(self.threads) if n not in harts])

    def run_all(self):
        self._go(self.threads)

    def run_until(self, function):
        """All run until one is about to begin that function of Rouse's; then
        all stand still. Which hart it is."""
        address = symbol(BUILD / "rouse.elf", function)
        self.ask(f"Z1,{address:x},2")
        self.run_all()
        stopped = self._receive()
        self.running = False
        self.ask(f"z1,{address:x},2")
        thread = re.search(r"thread:([0-9a-f]+);", stopped)
        if not thread:
            raise Failure(f"no hart came by {address:#x}: {stopped!r}")
        return self.threads.index(int(thread.group(1), 16))

    def answer(self, hart, value):
        """The function that the hart is about to begin (run_until) returns
        this without having done anything."""
        words = self.ask(f"Hg{self.threads[hart]:x}"), self.ask("p1")
        answers = [words[0]] + [
            self.ask(f"P{n:x}={v}") for n, v in
            ((10, value.to_bytes(8, "little", signed=True).hex()),  # a0
             (32, words[1]))]                                       # pc = ra
        if answers != ["OK"] * 3:
            raise Failure(f"a hart's registers answer {answers}")

    def write32(self, address, value):
        """Only while it stands still."""
        reply = self.ask(f"M{address:x},4:{value.to_bytes(4, 'little').hex()}")
        if reply != "OK":
            raise Failure(f"a store to {address:#x} answers {reply!r}")

    def read32(self, address):
        """Likewise."""
        reply = self.ask(f"m{address:x},4")
        try:
            return int.from_bytes(bytes.fromhex(reply), "little")
        except ValueError:
            raise Failure(f"a load from {address:#x} answers "
                          f"{reply!r}") from None
