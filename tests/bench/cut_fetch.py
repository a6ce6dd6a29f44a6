#!/usr/bin/env python3
"""A year of minutes downloaded through a connection that is cut ten times: complete, in order, no duplicate?

    python3 tests/bench/cut_fetch.py path/to/huracan [DAYS] [CUTS]

Starts the simulated exchange, a proxy that cuts connections in the middle of an answer, and `huracan data fetch`; then reads the export by itself.
"""
import gzip
import json
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time


class Cutter:
    """Relays TCP to `target` and cuts `cuts` answers in half, about every `spacing` bytes (seed 7)."""

    def __init__(self, target, cuts, spacing):
        self.target, self.left, self.done, self.spacing = target, cuts, 0, spacing
        self.random, self.lock = random.Random(7), threading.Lock()
        self.until = self.next_distance()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def next_distance(self):
        return self.random.randint(self.spacing // 2, self.spacing * 3 // 2)

    def accept(self):
        while True:
            client, _ = self.server.accept()
            venue = socket.create_connection(self.target)
            threading.Thread(target=self.relay, args=(client, venue, False), daemon=True).start()
            threading.Thread(target=self.relay, args=(venue, client, True), daemon=True).start()

    def is_cut(self, length):
        with self.lock:
            self.until -= length
            if self.until > 0 or self.left == 0:
                return False
            self.left, self.done, self.until = self.left - 1, self.done + 1, self.next_distance()
            return True

    def relay(self, source, sink, answers):
        try:
            while data := source.recv(65536):
                cut = answers and self.is_cut(len(data))
                sink.sendall(data[: len(data) // 2] if cut else data)
                if cut:
                    break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = sys.argv[1]
    days, cuts = (int(text) for text in (sys.argv[2:] + ["365", "10"][len(sys.argv) - 2 :])[:2])
    with tempfile.TemporaryDirectory() as folder:
        exchange = subprocess.Popen(
            [binary, "exchange", "--json", "--set", "demo.history_days=%d" % (days + 1)], stdout=subprocess.PIPE, text=True
        )
        try:
            ready = json.loads(exchange.stdout.readline())
            host, port = ready["rest"].removeprefix("http://").split(":")
            # A page of a thousand candles is about 130 kB.
            cutter = Cutter((host, int(port)), cuts, max(days * 1440 * 130 // (cuts + 2), 100_000))
            data = pathlib.Path(folder, "cut.redb")
            begun = time.monotonic()
            fetch = [binary, "data", "fetch", "--json", "--data", data, "--venue", cutter.url, "--symbol", "BTCUSDT", "--interval", "1m"]
            fetched = subprocess.run([*fetch, "--since", "%dd" % days], capture_output=True, text=True)
            seconds = time.monotonic() - begun
            print(fetched.stdout.strip() or fetched.stderr.strip())
            subprocess.run([binary, "data", "export", "--json", "--data", data, "--out", folder], check=True, capture_output=True)
            with gzip.open(next(pathlib.Path(folder).glob("*.csv.gz")), "rt") as rows:
                times = [int(row.split(",")[0]) for row in rows if row[0].isdigit()]
            step = {60_000: 1, 60_000_000: 1_000, 60_000_000_000: 1_000_000}
            steps = {b - a for a, b in zip(times, times[1:])}
            whole = len(steps) == 1 and next(iter(steps)) in step
            print("exit %d, %d cuts, %d rows, %d distinct, steps %s, %.1f s" % (
                fetched.returncode, cutter.done, len(times), len(set(times)), sorted(steps)[:3], seconds))
            print("complete, in order, no duplicate" if whole and len(times) >= days * 1440 - 1 else "NOT whole")
        finally:
            exchange.terminate()
            exchange.wait()


main()
