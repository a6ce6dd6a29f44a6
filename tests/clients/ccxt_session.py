"""ccxt: markets, candles, book, every kind of order, every refusal, and a balance that equals the trades."""

import re
import time
from decimal import Decimal

import ccxt

from transcript import KEY, REST, SECRET, Transcript, after, grid, totals

SYMBOL = "BTC/USDT"
SPOT_ONLY = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}


def exchange(options=None, key=KEY, secret=SECRET):
    client = ccxt.binance({"apiKey": key, "secret": secret, "options": options or {}})
    urls = client.urls["api"]
    for name, url in urls.items():
        if isinstance(url, str):
            urls[name] = re.sub(r"^https://[^/]+", REST, url)
    return client


def market_data(t, client):
    markets = client.load_markets()
    market = markets[SYMBOL]
    assert market["spot"] and market["active"] and market["precision"]["price"] == 0.01, market
    assert market["limits"]["cost"]["min"] == 5, market["limits"]
    t.step("load markets", f"{len(markets)} markets, {SYMBOL} tick {market['precision']['price']} step {market['precision']['amount']}")

    assert abs(client.fetch_time() - time.time() * 1000) < 5000
    assert client.fetch_status()["status"] == "ok"
    t.step("time and status")

    minute = 60_000
    since = (client.fetch_time() // minute - 2500) * minute
    bars, start = [], since
    while True:
        page = client.fetch_ohlcv(SYMBOL, "1m", since=start, limit=1000)
        bars += page
        if len(page) < 1000:
            break
        start = page[-1][0] + minute
    assert len(bars) >= 2500 and [b[0] for b in bars] == list(range(since, since + len(bars) * minute, minute))
    assert all(low <= min(o, c) <= max(o, c) <= high and volume >= 0 for _, o, high, low, c, volume in bars)
    once = client.fetch_ohlcv(SYMBOL, "1m", since=since + 1500 * minute, limit=10)
    assert once == bars[1500:1510], "two answers about finished minutes differ"
    t.step("candles in pages", f"{len(bars)} minutes without a gap")
    for interval in ("1s", "5m", "1h", "1d", "1w", "1M"):
        assert client.fetch_ohlcv(SYMBOL, interval, limit=3), interval
    t.step("candles of other lengths", "1s 5m 1h 1d 1w 1M")

    book = client.fetch_order_book(SYMBOL, limit=50)
    bids, asks = book["bids"], book["asks"]
    assert len(bids) == len(asks) == 50 and bids[0][0] < asks[0][0] and book["nonce"] > 0
    assert bids == sorted(bids, reverse=True) and asks == sorted(asks)
    t.step("order book", f"{bids[0][0]} / {asks[0][0]}")

    trades = client.fetch_trades(SYMBOL, limit=20)
    assert len(trades) == 20 and [int(x["id"]) for x in trades] == sorted(int(x["id"]) for x in trades)
    again = client.fetch_trades(SYMBOL, since=trades[0]["timestamp"], limit=5)
    assert int(again[0]["id"]) <= int(trades[0]["id"]) and len(again) == 5
    t.step("trades", f"newest {trades[-1]['side']} {trades[-1]['amount']} at {trades[-1]['price']}")

    ticker = client.fetch_ticker(SYMBOL)
    assert ticker["low"] <= ticker["last"] <= ticker["high"] and ticker["bid"] < ticker["ask"]
    assert set(client.fetch_tickers([SYMBOL, "ETH/USDT"])) == {SYMBOL, "ETH/USDT"}
    assert client.fetch_bids_asks([SYMBOL])[SYMBOL]["bid"] > 0
    assert client.fetch_last_prices([SYMBOL])[SYMBOL]["price"] > 0
    t.step("tickers", f"last {ticker['last']}")


def orders(t, client):
    bid = client.fetch_order_book(SYMBOL)["bids"][0][0]

    order = client.create_order(SYMBOL, "limit", "buy", 0.001, bid * 0.98, {"postOnly": True})
    assert order["status"] == "open" and order["filled"] == 0 and order["postOnly"], order
    t.step("post-only order", f"{order['id']} {order['clientOrderId']} at {order['price']}")
    held = client.fetch_balance()["USDT"]["used"]
    assert abs(held - order["price"] * 0.001) < 1e-9, held
    t.step("its money is held", held)

    opened = client.fetch_open_orders(SYMBOL)
    assert [o["id"] for o in opened] == [order["id"]] and client.fetch_order(order["id"], SYMBOL)["price"] == order["price"]
    t.step("open orders and order")

    edited = client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.002, bid * 0.97)
    assert edited["id"] != order["id"] and edited["amount"] == 0.002 and edited["status"] == "open", edited
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    t.step("edit by cancel and replace", f"{order['id']} became {edited['id']}")

    canceled = client.cancel_order(edited["id"], SYMBOL)
    assert canceled["status"] == "canceled" and client.fetch_open_orders(SYMBOL) == []
    t.step("cancel", edited["id"])

    bought = client.create_order(SYMBOL, "market", "buy", 0.01)
    assert bought["status"] == "closed" and bought["filled"] == 0.01 and bought["trades"] and bought["fee"]["currency"] == "BTC", bought
    t.step("market buy", f"{bought['filled']} at {bought['average']}, fee {bought['fee']['cost']}")
    spent = client.create_market_buy_order_with_cost(SYMBOL, 250)
    assert spent["status"] == "closed" and 240 < spent["cost"] <= 250, spent
    t.step("market buy for 250 USDT", f"{spent['filled']} for {spent['cost']}")
    crossing = client.create_order(SYMBOL, "limit", "sell", 0.002, bid * 0.97, {"timeInForce": "IOC"})
    assert crossing["status"] == "closed" and crossing["average"] > crossing["price"], crossing
    t.step("limit sell that crosses", f"asked {crossing['price']}, got {crossing['average']}")

    stop = client.create_order(SYMBOL, "limit", "sell", 0.001, bid * 0.89, {"stopLossPrice": bid * 0.9})
    assert stop["status"] == "open" and stop["type"] == "limit" and abs(stop["triggerPrice"] - bid * 0.9) < 0.02, stop
    t.step("stop-loss order", f"{stop['id']} triggers at {stop['triggerPrice']}")
    profit = client.create_order(SYMBOL, "limit", "sell", 0.001, bid * 1.1, {"takeProfitPrice": bid * 1.1})
    assert profit["status"] == "open" and profit["triggerPrice"], profit
    t.step("take-profit order", profit["id"])
    canceled = client.cancel_all_orders(SYMBOL)
    assert sorted(o["id"] for o in canceled) == sorted([stop["id"], profit["id"]])
    t.step("cancel all", len(canceled))


def order_list(t, client):
    """Around the price, so near that the market decides within seconds which leg is done."""
    market = client.market(SYMBOL)["id"]
    client.create_order(SYMBOL, "market", "buy", 0.001)
    book = client.fetch_order_book(SYMBOL, limit=5)
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    made = client.private_post_orderlist_oco({
        "symbol": market, "side": "SELL", "quantity": "0.001", "newOrderRespType": "RESULT",
        "aboveType": "LIMIT_MAKER", "abovePrice": grid(ask + 15, "0.01"),
        "belowType": "STOP_LOSS", "belowStopPrice": grid(bid - 15, "0.01"),
    })
    assert made["contingencyType"] == "OCO" and len(made["orders"]) == 2 and made["listOrderStatus"] == "EXECUTING", made
    t.step("one-cancels-other", f"list {made['orderListId']}, orders {[o['orderId'] for o in made['orders']]}")
    found = {}
    for _ in range(480):
        found = {o["id"]: o["status"] for o in client.fetch_orders(SYMBOL) if o["info"]["orderListId"] == made["orderListId"]}
        if "open" not in found.values():
            break
        time.sleep(0.25)
    assert sorted(found.values()) in (["closed", "expired"], ["canceled", "closed"]), found
    listed = client.private_get_orderlist({"orderListId": made["orderListId"]})
    assert listed["listOrderStatus"] == "ALL_DONE", listed
    t.step("one leg filled, the other ended", sorted(found.values()))


def refusals(t, client):
    """Where ccxt knows an error by its words it keeps the words only."""
    bid = client.fetch_order_book(SYMBOL)["bids"][0][0]
    raw = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": grid(bid * 0.98, "0.01")}

    def place(**changed):
        return lambda: client.private_post_order({**raw, **changed})

    def order(*what):
        return lambda: client.create_order(SYMBOL, *what)

    t.refused("notional", ccxt.BadRequest, -1013, "Filter failure: NOTIONAL", order("limit", "buy", 0.00001, bid * 0.98))
    t.refused("lot size", ccxt.InvalidOrder, -1013, "Filter failure: LOT_SIZE", place(quantity="0.001005"))
    t.refused("largest lot", ccxt.InvalidOrder, -1013, "Filter failure: LOT_SIZE", order("limit", "buy", 9001, bid * 0.98))
    t.refused("price grid", ccxt.InvalidOrder, -1013, "Filter failure: PRICE_FILTER", place(price="60000.005"))
    t.refused("price band", ccxt.InvalidOrder, None, "Filter failure: PERCENT_PRICE_BY_SIDE", place(price="1000.00", quantity="0.01"))
    t.refused("would match", ccxt.OrderImmediatelyFillable, None, "Order would immediately match and take.",
              lambda: client.create_order(SYMBOL, "limit", "buy", 0.001, bid * 1.01, {"postOnly": True}))
    t.refused("no money", ccxt.InsufficientFunds, None, "Account has insufficient balance", order("limit", "buy", 5, bid * 0.98))
    t.refused("no coins", ccxt.InsufficientFunds, None, "Account has insufficient balance", order("market", "sell", 5))
    t.refused("stop on the wrong side", ccxt.OrderImmediatelyFillable, None, "Order would trigger immediately.",
              place(side="SELL", type="STOP_LOSS_LIMIT", price=grid(bid, "0.01"), stopPrice=grid(bid * 1.05, "0.01")))
    t.refused("cancel of an unknown order", ccxt.OrderNotFound, -2011, "Unknown order sent.", lambda: client.cancel_order("999999999", SYMBOL))
    t.refused("query of an unknown order", ccxt.OrderNotFound, -2013, "Order does not exist.", lambda: client.fetch_order("999999999", SYMBOL))
    t.refused("replace of an unknown order", ccxt.ExchangeError, -2022, "Unknown order sent.",
              lambda: client.edit_order("999999999", SYMBOL, "limit", "buy", 0.001, bid * 0.98))
    t.refused("unknown symbol", ccxt.BadSymbol, -1121, "Invalid symbol.", place(symbol="NOSUCH"))
    t.refused("too precise", ccxt.BadRequest, -1111, "", place(quantity="0.0010000001"))
    t.refused("scientific notation", ccxt.BadRequest, -1100, "Illegal characters", place(quantity="1e-3"))
    t.refused("no price", ccxt.BadRequest, -1102, "price", lambda: client.private_post_order({k: v for k, v in raw.items() if k != "price"}))
    t.refused("old timestamp", ccxt.InvalidNonce, -1021, "recvWindow", lambda: late(client, raw))
    t.refused("wrong secret", ccxt.AuthenticationError, -1022, "Signature", exchange(SPOT_ONLY, secret="x" * 64).fetch_balance)
    t.refused("wrong key", ccxt.AuthenticationError, -2015, "Invalid API-key", exchange(SPOT_ONLY, key="x" * 64).fetch_balance)
    twice = place(newClientOrderId="the-same")
    twice()
    t.refused("client id in use", ccxt.InvalidOrder, -2010, "Duplicate order sent.", twice)
    client.cancel_all_orders(SYMBOL)


def late(client, raw):
    behind = exchange({**SPOT_ONLY, "timeDifference": 70_000})
    return behind.private_post_order(raw)


def account(t, client, start):
    everything = client.fetch_orders(SYMBOL)
    assert {"canceled", "closed"} <= {o["status"] for o in everything}
    assert len(client.fetch_closed_orders(SYMBOL)) > 3
    t.step("all orders", len(everything))

    trades = client.fetch_my_trades(SYMBOL)
    for order in everything:
        filled = sum((Decimal(x["info"]["qty"]) for x in trades if x["order"] == order["id"]), Decimal(0))
        assert filled == Decimal(order["info"]["executedQty"]), order
    first = client.fetch_my_trades(SYMBOL, limit=2)
    rest = client.private_get_mytrades({"symbol": "BTCUSDT", "fromId": trades[0]["id"], "limit": 2})
    assert len(first) == 2 and str(rest[0]["id"]) == trades[0]["id"]
    of_one = client.fetch_order_trades(trades[0]["order"], SYMBOL)
    assert {x["order"] for x in of_one} == {trades[0]["order"]}
    t.step("my trades", len(trades))

    fee = client.fetch_trading_fee(SYMBOL)
    rates = client.private_get_account_commission({"symbol": "BTCUSDT"})["standardCommission"]
    assert fee["maker"] == float(rates["maker"]) and fee["taker"] == float(rates["taker"]), (fee, rates)
    assert all(abs(x["fee"]["cost"] - (x["amount"] if x["side"] == "buy" else x["cost"]) * fee[x["takerOrMaker"]]) < 1e-7 for x in trades)
    t.step("fees", f"maker {fee['maker']} taker {fee['taker']}")

    balance = client.fetch_balance()
    assert balance["USDT"]["free"] + balance["USDT"]["used"] == balance["USDT"]["total"]
    now = totals(balance["info"])
    expected = after(start, "BTC", "USDT", [x["info"] for x in trades])
    assert now == expected, f"balance {now} but trades say {expected}"
    t.step("balance equals the trades, exactly", ", ".join(f"{a} {v.normalize():f}" for a, v in sorted(now.items())))


def main():
    t = Transcript(f"ccxt {ccxt.__version__}")
    client = exchange(SPOT_ONLY)
    start = totals(client.fetch_balance()["info"])
    assert start and all(isinstance(v, Decimal) for v in start.values())
    t.step("balance", start)
    market_data(t, client)
    orders(t, client)
    order_list(t, client)
    refusals(t, client)
    account(t, client, start)
    plain = exchange()
    assert SYMBOL in plain.load_markets()
    t.step("load markets with every option as it is", f"{len(plain.markets)} markets, {len(plain.currencies)} currencies")
    t.end()


if __name__ == "__main__":
    main()
