"""What a session did, one line a step, and where the exchange is.

The environment names the exchange: HURACAN_REST, HURACAN_WS, HURACAN_WS_API, HURACAN_API_KEY, HURACAN_API_SECRET,
as `huracan exchange --json` prints them.
"""

import os
from collections import defaultdict
from decimal import Decimal

REST = os.environ["HURACAN_REST"]
WS = os.environ["HURACAN_WS"]
WS_API = os.environ["HURACAN_WS_API"]
KEY = os.environ["HURACAN_API_KEY"]
SECRET = os.environ["HURACAN_API_SECRET"]


class Transcript:
    def __init__(self, client):
        self.steps = 0
        print(f"client {client}", flush=True)

    def step(self, what, seen=""):
        self.steps += 1
        print(f"{self.steps:3} {what}{': ' if seen != '' else ''}{seen}", flush=True)

    def refused(self, what, kind, code, words, call):
        """`call` must fail as the client's `kind` of error, with the exchange's code (unless the client drops it) and words in it."""
        try:
            answer = call()
        except kind as error:
            text = f"{getattr(error, 'code', '')} {error}"
            assert str(code or "") in text and words in text, f"{what}: {text} is not {code} {words}"
            self.step(f"refused, {what}", f"{type(error).__name__} {code or ''} {words}")
            return
        raise AssertionError(f"{what}: not refused but {answer}")

    def end(self):
        print(f"ok {self.steps} steps", flush=True)


def totals(account):
    """Free and locked together, of an answer of `account`."""
    sums = {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in account["balances"]}
    return {asset: total for asset, total in sums.items() if total}


def after(start, base, quote, trades):
    """What the balances must be after these answers of `myTrades`."""
    now = defaultdict(Decimal, start)
    for trade in trades:
        sign = 1 if trade["isBuyer"] else -1
        assert Decimal(trade["price"]) * Decimal(trade["qty"]) == Decimal(trade["quoteQty"]), trade
        now[base] += sign * Decimal(trade["qty"])
        now[quote] -= sign * Decimal(trade["quoteQty"])
        now[trade["commissionAsset"]] -= Decimal(trade["commission"])
    return {asset: total for asset, total in now.items() if total}


def grid(price, tick):
    """The price on the grid of ticks, as text without an exponent."""
    tick = Decimal(tick)
    return format((Decimal(str(price)) / tick).quantize(Decimal(1)) * tick, "f")
