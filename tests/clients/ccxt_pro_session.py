"""ccxt.pro: market streams, the user stream, and orders over the WebSocket API."""

import asyncio
import re

import ccxt.pro

from transcript import KEY, REST, SECRET, WS, WS_API, Transcript, after, totals

SYMBOL = "BTC/USDT"
PATIENCE_S = 30


def exchange():
    spot_only = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
    client = ccxt.pro.binance({"apiKey": KEY, "secret": SECRET, "newUpdates": True, "options": spot_only})
    urls = client.urls["api"]
    for name, url in urls.items():
        if isinstance(url, str):
            urls[name] = re.sub(r"^https://[^/]+", REST, url)
    urls["ws"]["spot"] = f"{WS}/ws"
    urls["ws"]["ws-api"]["spot"] = WS_API
    return client


async def soon(coming):
    return await asyncio.wait_for(coming, PATIENCE_S)


async def streams(t, client):
    nonces = []
    for _ in range(5):
        book = await soon(client.watch_order_book(SYMBOL))
        assert book["bids"][0][0] < book["asks"][0][0]
        nonces.append(book["nonce"])
    assert nonces == sorted(nonces) and nonces[0] < nonces[-1]
    t.step("watch order book", f"updates {nonces[0]} to {nonces[-1]}, {len(book['bids'])} bids")

    trades = []
    while len(trades) < 5:
        trades += await soon(client.watch_trades(SYMBOL))
    ids = [int(x["id"]) for x in trades]
    assert ids == sorted(set(ids)) and all(x["amount"] > 0 for x in trades)
    t.step("watch trades", f"{len(trades)} in their order")

    bars = await soon(client.watch_ohlcv(SYMBOL, "1m"))
    stored = await client.fetch_ohlcv(SYMBOL, "1m", since=bars[-1][0], limit=1)
    assert bars[-1][0] == stored[0][0] and bars[-1][1] == stored[0][1]
    t.step("watch candles", bars[-1])
    ticker = await soon(client.watch_ticker(SYMBOL))
    assert ticker["last"] > 0 and ticker["baseVolume"] > 0
    t.step("watch ticker", ticker["last"])
    both = await soon(client.watch_tickers([SYMBOL, "ETH/USDT"]))
    assert set(both) <= {SYMBOL, "ETH/USDT"} and both
    best = (await soon(client.watch_bids_asks([SYMBOL])))[SYMBOL]
    assert best["bid"] < best["ask"]
    t.step("watch best bid and ask", f"{best['bid']} / {best['ask']}")
    several = await soon(client.watch_trades_for_symbols([SYMBOL, "ETH/USDT", "SOL/USDT"]))
    assert several
    await soon(client.un_watch_trades_for_symbols([SYMBOL, "ETH/USDT", "SOL/USDT"]))
    await soon(client.un_watch_order_book(SYMBOL))
    t.step("stop watching trades and book")


async def requests(t, client):
    assert len(await soon(client.fetch_ohlcv_ws(SYMBOL, "1m", limit=10))) == 10
    assert len(await soon(client.fetch_trades_ws(SYMBOL, limit=10))) == 10
    # ccxt reads no spot balances out of this answer; it hands the answer on.
    assert totals((await soon(client.fetch_balance_ws()))["info"])["USDT"] > 0
    t.step("candles, trades, balance over the WebSocket API")


async def until(watch, wanted):
    """Waits for the first update that is `wanted`; updates come in bunches."""
    while True:
        updates = await soon(watch())
        for update in updates if isinstance(updates, list) else [updates]:
            if wanted(update):
                return update


async def order_life(t, client):
    bid = (await client.fetch_order_book(SYMBOL))["bids"][0][0]
    orders = []

    async def listen():
        while True:
            orders.extend({"id": o["id"], "status": o["status"], "filled": o["filled"]} for o in await client.watch_orders(SYMBOL))

    async def told(order_id, status):
        for _ in range(PATIENCE_S * 20):
            if any(o["id"] == order_id and o["status"] == status for o in orders):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"no word that {order_id} is {status}: {orders}")

    listening = asyncio.ensure_future(listen())
    await asyncio.sleep(1)  # The subscription is confirmed before the first order leaves.
    placed = await soon(client.create_order_ws(SYMBOL, "limit", "buy", 0.001, bid * 0.98, {"postOnly": True}))
    await told(placed["id"], "open")
    t.step("place over the WebSocket API, heard on the user stream", placed["id"])
    assert [o["id"] for o in await soon(client.fetch_open_orders_ws(SYMBOL))] == [placed["id"]]
    assert (await soon(client.fetch_order_ws(placed["id"], SYMBOL)))["status"] == "open"
    t.step("open orders and order over the WebSocket API")

    edited = await soon(client.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.002, bid * 0.97))
    await told(placed["id"], "canceled")
    await told(edited["id"], "open")
    t.step("edit over the WebSocket API", f"{placed['id']} became {edited['id']}")
    await soon(client.cancel_order_ws(edited["id"], SYMBOL))
    await told(edited["id"], "canceled")
    t.step("cancel over the WebSocket API", edited["id"])

    one = await client.create_order(SYMBOL, "limit", "buy", 0.001, bid * 0.95)
    await told(one["id"], "open")
    await soon(client.cancel_all_orders_ws(SYMBOL))
    await told(one["id"], "canceled")
    t.step("an order by REST is heard too, cancel all ends it", one["id"])

    try:
        await soon(client.create_order_ws(SYMBOL, "limit", "buy", 0.001, bid * 1.02, {"postOnly": True}))
        raise AssertionError("a post-only order that takes is refused")
    except ccxt.OrderImmediatelyFillable as refusal:
        t.step("refused, would match", str(refusal)[:120])
    try:
        await soon(client.cancel_order_ws("999999999", SYMBOL))
        raise AssertionError("an unknown order is not canceled")
    except ccxt.OrderNotFound as refusal:
        t.step("refused, cancel of an unknown order", str(refusal)[:120])

    watching = asyncio.ensure_future(client.watch_my_trades(SYMBOL))
    moving = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0.2)
    bought = await soon(client.create_order_ws(SYMBOL, "market", "buy", 0.01))
    await told(bought["id"], "closed")
    fills = await soon(watching)
    assert fills and all(x["order"] == bought["id"] and x["fee"]["currency"] == "BTC" for x in fills), fills
    balance = await soon(moving)
    stored = await client.fetch_balance()
    if balance["BTC"]["total"] != stored["BTC"]["total"]:
        balance = await until(client.watch_balance, lambda b: b["BTC"]["total"] == stored["BTC"]["total"])
    assert balance["USDT"]["free"] == stored["USDT"]["free"], (balance["USDT"], stored["USDT"])
    t.step("market buy: fills and balance on the user stream", f"{len(fills)} fills, BTC {balance['BTC']['total']}")
    listening.cancel()


async def account(t, client, start):
    trades = await soon(client.fetch_my_trades_ws(SYMBOL))
    assert [x["id"] for x in trades] == [x["id"] for x in await client.fetch_my_trades(SYMBOL)]
    assert await soon(client.fetch_orders_ws(SYMBOL)) and await soon(client.fetch_closed_orders_ws(SYMBOL))
    now = totals((await client.fetch_balance())["info"])
    expected = after(start, "BTC", "USDT", [x["info"] for x in trades])
    assert now == expected, f"balance {now} but trades say {expected}"
    t.step("balance equals the trades, exactly", ", ".join(f"{a} {v.normalize():f}" for a, v in sorted(now.items())))


async def session():
    t = Transcript(f"ccxt.pro {ccxt.pro.__version__}")
    client = exchange()
    try:
        await client.load_markets()
        start = totals((await client.fetch_balance())["info"])
        t.step("load markets and balance", f"{len(client.markets)} markets, {start}")
        await streams(t, client)
        await requests(t, client)
        await order_life(t, client)
        await account(t, client, start)
    finally:
        await client.close()
    t.end()


if __name__ == "__main__":
    asyncio.run(session())
