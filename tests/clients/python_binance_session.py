"""python-binance: the synchronous client by REST, then streams, depth cache and orders by the asynchronous one."""

import asyncio
import time
from decimal import Decimal
from importlib.metadata import version

from binance import AsyncClient, BinanceSocketManager, Client, DepthCacheManager
from binance.exceptions import BinanceAPIException

from transcript import KEY, REST, SECRET, WS, WS_API, Transcript, after, grid, totals

SYMBOL = "BTCUSDT"
PATIENCE_S = 30

Client.API_URL = f"{REST}/api"
AsyncClient.API_URL = f"{REST}/api"
Client.MARGIN_API_URL = f"{REST}/sapi"  # Where it asks for fees.
BinanceSocketManager.STREAM_URL = f"{WS}/"


def near(client, share):
    """The best bid times `share`, on the grid."""
    return grid(Decimal(client.get_order_book(symbol=SYMBOL, limit=5)["bids"][0][0]) * Decimal(share), "0.01")


def market_data(t, client):
    client.ping()
    assert abs(client.get_server_time()["serverTime"] - time.time() * 1000) < 5000
    info = client.get_exchange_info()
    symbol = client.get_symbol_info(SYMBOL)
    kinds = {f["filterType"] for f in symbol["filters"]}
    assert {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "MAX_NUM_ORDERS"} <= kinds, kinds
    assert symbol["status"] == "TRADING" and {"LIMIT", "LIMIT_MAKER", "MARKET"} <= set(symbol["orderTypes"])
    t.step("exchange info", f"{len(info['symbols'])} symbols, filters {' '.join(sorted(kinds))}")

    minute = 60_000
    start = client.get_server_time()["serverTime"] // minute * minute - 1500 * minute
    bars = client.get_historical_klines(SYMBOL, Client.KLINE_INTERVAL_1MINUTE, start)
    assert len(bars) >= 1500 and [b[0] for b in bars] == [start + i * minute for i in range(len(bars))]
    assert all(len(b) == 12 and b[6] == b[0] + minute - 1 for b in bars)
    t.step("historical klines in pages", f"{len(bars)} minutes without a gap")
    assert len(client.get_klines(symbol=SYMBOL, interval="1h", limit=5)) == 5
    assert len(client.get_ui_klines(symbol=SYMBOL, interval="5m", limit=5)) == 5
    t.step("klines and uiKlines")

    book = client.get_order_book(symbol=SYMBOL, limit=1000)
    bids = [Decimal(p) for p, _ in book["bids"]]
    assert bids == sorted(bids, reverse=True) and bids[0] < Decimal(book["asks"][0][0])
    t.step("order book", f"{len(bids)} bids at update {book['lastUpdateId']}")
    trades = client.get_recent_trades(symbol=SYMBOL, limit=10)
    older = client.get_historical_trades(symbol=SYMBOL, fromId=trades[0]["id"], limit=10)
    assert older == trades or older[0] == trades[0]
    aggregated = list(client.aggregate_trade_iter(SYMBOL, start_str=trades[0]["time"] - 120_000))
    ids = [a["a"] for a in aggregated]
    assert ids == sorted(set(ids)) and {x["id"] for x in trades} <= set(ids)
    t.step("trades", f"{len(trades)} recent, {len(aggregated)} aggregated")
    ticker = client.get_ticker(symbol=SYMBOL)
    assert Decimal(ticker["lowPrice"]) <= Decimal(ticker["lastPrice"]) <= Decimal(ticker["highPrice"])
    assert len(client.get_all_tickers()) == len(info["symbols"]) == len(client.get_orderbook_tickers())
    assert client.get_symbol_ticker(symbol=SYMBOL)["symbol"] == SYMBOL
    assert Decimal(client.get_orderbook_ticker(symbol=SYMBOL)["bidPrice"]) > 0
    assert Decimal(client.get_avg_price(symbol=SYMBOL)["price"]) > 0
    assert client.get_ticker(symbols='["BTCUSDT","ETHUSDT"]')[1]["symbol"] == "ETHUSDT"
    t.step("tickers", f"last {ticker['lastPrice']}")


def orders(t, client):
    assert client.create_test_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001", price=near(client, "0.98")) == {}
    t.step("test order")
    maker = client.create_order(symbol=SYMBOL, side="BUY", type="LIMIT_MAKER", quantity="0.001", price=near(client, "0.98"))
    assert set(maker) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}, maker
    assert client.get_open_orders(symbol=SYMBOL)[0]["orderId"] == maker["orderId"]
    assert client.get_order(symbol=SYMBOL, origClientOrderId=maker["clientOrderId"])["status"] == "NEW"
    t.step("post-only order", f"{maker['orderId']} {maker['clientOrderId']}")

    replaced = client.cancel_replace_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.002", price=near(client, "0.97"),
                                           cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=maker["orderId"])
    assert replaced["cancelResult"] == replaced["newOrderResult"] == "SUCCESS", replaced
    assert replaced["cancelResponse"]["orderId"] == maker["orderId"] and replaced["newOrderResponse"]["status"] == "NEW"
    t.step("cancel and replace", f"{maker['orderId']} became {replaced['newOrderResponse']['orderId']}")
    canceled = client.cancel_order(symbol=SYMBOL, orderId=replaced["newOrderResponse"]["orderId"])
    assert canceled["status"] == "CANCELED" and canceled["origClientOrderId"] == replaced["newOrderResponse"]["clientOrderId"]
    t.step("cancel", canceled["orderId"])

    bought = client.order_market_buy(symbol=SYMBOL, quantity="0.01")
    assert bought["status"] == "FILLED" and sum(Decimal(f["qty"]) for f in bought["fills"]) == Decimal("0.01")
    spent = client.order_market_buy(symbol=SYMBOL, quoteOrderQty="100")
    assert spent["status"] == "FILLED" and 90 < Decimal(spent["cummulativeQuoteQty"]) <= 100
    t.step("market orders, by quantity and by money", f"{bought['cummulativeQuoteQty']} and {spent['cummulativeQuoteQty']} USDT")
    sold = client.order_limit_sell(symbol=SYMBOL, quantity="0.002", price=near(client, "0.98"))
    assert sold["status"] == "FILLED"
    t.step("limit sell that crosses", sold["cummulativeQuoteQty"])

    stop = client.create_order(symbol=SYMBOL, side="SELL", type="STOP_LOSS_LIMIT", timeInForce="GTC", quantity="0.001",
                               price=near(client, "0.89"), stopPrice=near(client, "0.9"))
    assert client.get_order(symbol=SYMBOL, orderId=stop["orderId"])["type"] == "STOP_LOSS_LIMIT"
    client.cancel_order(symbol=SYMBOL, orderId=stop["orderId"])
    t.step("stop order", stop["orderId"])

    listed = client.order_oco_sell(symbol=SYMBOL, quantity="0.001", aboveType="LIMIT_MAKER", abovePrice=near(client, "1.1"),
                                   belowType="STOP_LOSS_LIMIT", belowPrice=near(client, "0.89"), belowStopPrice=near(client, "0.9"),
                                   belowTimeInForce="GTC")
    assert [o["orderId"] for o in listed["orders"]] and {r["type"] for r in listed["orderReports"]} == {"LIMIT_MAKER", "STOP_LOSS_LIMIT"}
    assert [o["orderListId"] for o in client.get_open_oco_orders()] == [listed["orderListId"]]
    ended = client.v3_delete_order_list(symbol=SYMBOL, orderListId=listed["orderListId"])
    assert ended["listOrderStatus"] == "ALL_DONE" and client.get_open_orders(symbol=SYMBOL) == []
    t.step("one-cancels-other, placed, found, canceled", listed["orderListId"])


def refusals(t, client):
    raw = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": near(client, "0.98")}

    def place(**changed):
        return lambda: client.create_order(**{k: v for k, v in {**raw, **changed}.items() if v is not None})

    post_only = {"type": "LIMIT_MAKER", "timeInForce": None}
    for what, code, words, call in [
        ("notional", -1013, "Filter failure: NOTIONAL", place(quantity="0.00001")),
        ("lot size", -1013, "Filter failure: LOT_SIZE", place(quantity="0.001005")),
        ("price grid", -1013, "Filter failure: PRICE_FILTER", place(price="60000.005")),
        ("price band", -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", place(price="1000.00", quantity="0.01")),
        ("would match", -2010, "Order would immediately match and take.", place(price=near(client, "1.01"), **post_only)),
        ("no money", -2010, "Account has insufficient balance for requested action.", place(quantity="5")),
        ("no coins", -2010, "Account has insufficient balance for requested action.", place(side="SELL", quantity="5")),
        ("cancel of an unknown order", -2011, "Unknown order sent.", lambda: client.cancel_order(symbol=SYMBOL, orderId=999999999)),
        ("cancel all of nothing", -2011, "Unknown order sent.", lambda: client.cancel_all_open_orders(symbol=SYMBOL)),
        ("query of an unknown order", -2013, "Order does not exist.", lambda: client.get_order(symbol=SYMBOL, orderId=999999999)),
        ("unknown symbol", -1121, "Invalid symbol.", place(symbol="NOSUCH")),
        ("unknown kind", -1116, "Invalid orderType.", place(type="HOPE")),
        ("small float", -1100, "Illegal characters", place(quantity=0.00001)),
        ("wrong secret", -1022, "Signature for this request is not valid.", Client(KEY, "x" * 64).get_account),
        ("wrong key", -2015, "Invalid API-key", Client("x" * 64, SECRET).get_account),
    ]:
        t.refused(what, BinanceAPIException, code, words, call)


def account(t, client, start):
    everything = client.get_all_orders(symbol=SYMBOL)
    assert {"CANCELED", "FILLED"} <= {o["status"] for o in everything}
    trades = client.get_my_trades(symbol=SYMBOL)
    for order in everything:
        mine = [x for x in trades if x["orderId"] == order["orderId"]]
        assert sum((Decimal(x["qty"]) for x in mine), Decimal(0)) == Decimal(order["executedQty"])
        assert sum((Decimal(x["quoteQty"]) for x in mine), Decimal(0)) == Decimal(order["cummulativeQuoteQty"])
    assert client.get_my_trades(symbol=SYMBOL, fromId=trades[1]["id"])[0]["id"] == trades[1]["id"]
    t.step("all orders and my trades agree", f"{len(everything)} orders, {len(trades)} trades")
    fee = client.get_trade_fee(symbol=SYMBOL)[0]
    assert [row["symbol"] for row in client.get_trade_fee(symbol="ETHUSDT")] == ["ETHUSDT"]
    assert fee["symbol"] == SYMBOL and Decimal(fee["makerCommission"]) == Decimal(client.get_account()["commissionRates"]["maker"])
    t.step("fees", f"maker {fee['makerCommission']} taker {fee['takerCommission']}")
    limits = client.get_current_order_count()
    assert {row["interval"] for row in limits} == {"SECOND", "DAY"} and limits[-1]["count"] > 0, limits
    t.step("order count", [row["count"] for row in limits])
    now, expected = totals(client.get_account()), after(start, "BTC", "USDT", trades)
    assert now == expected, f"balance {now} but trades say {expected}"
    t.step("balance equals the trades, exactly", ", ".join(f"{a} {v.normalize():f}" for a, v in sorted(now.items())))


async def next_of(socket, wanted=lambda message: True):
    while True:
        message = await asyncio.wait_for(socket.recv(), PATIENCE_S)
        assert message.get("e") != "error", message
        if wanted(message):
            return message


async def market_streams(t, client):
    streams = BinanceSocketManager(client)
    for what, socket, wanted in [
        ("trades", streams.trade_socket(SYMBOL), lambda m: m["e"] == "trade" and m["s"] == SYMBOL),
        ("aggregated trades", streams.aggtrade_socket(SYMBOL), lambda m: m["e"] == "aggTrade"),
        ("klines", streams.kline_socket(SYMBOL, interval="1m"), lambda m: m["e"] == "kline" and m["k"]["i"] == "1m"),
        ("depth", streams.depth_socket(SYMBOL), lambda m: m["e"] == "depthUpdate"),
        ("top of the book", streams.depth_socket(SYMBOL, depth="5"), lambda m: len(m["bids"]) == 5),
        ("best bid and ask", streams.symbol_book_ticker_socket(SYMBOL), lambda m: Decimal(m["b"]) < Decimal(m["a"])),
        ("ticker", streams.symbol_ticker_socket(SYMBOL), lambda m: m["e"] == "24hrTicker"),
        ("small ticker", streams.symbol_miniticker_socket(SYMBOL), lambda m: m["e"] == "24hrMiniTicker"),
        ("several", streams.multiplex_socket(["btcusdt@trade", "ethusdt@trade"]), lambda m: m["stream"] == "ethusdt@trade"),
    ]:
        async with socket as listening:
            await next_of(listening, wanted)
        t.step(f"stream of {what}")
    async with DepthCacheManager(client, SYMBOL, bm=streams, ws_interval=100) as cached:
        for _ in range(10):
            cache = await asyncio.wait_for(cached.recv(), PATIENCE_S)
            assert cache.get_bids()[0][0] < cache.get_asks()[0][0]
    t.step("depth cache", f"{len(cache.get_bids())} bids after ten updates")


async def user_stream(t, client):
    streams = BinanceSocketManager(client)
    bid = (await client.get_order_book(symbol=SYMBOL, limit=5))["bids"][0][0]
    async with streams.user_socket() as told:
        placed = await client.create_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001", price=grid(Decimal(bid) * Decimal("0.98"), "0.01"))

        def about(order, kind):
            return lambda m: m["e"] == "executionReport" and m["i"] == order["orderId"] and m["x"] == kind

        report = await next_of(told, about(placed, "NEW"))
        assert report["c"] == placed["clientOrderId"] and report["X"] == "NEW" and report["t"] == -1
        moved = await next_of(told, lambda m: m["e"] == "outboundAccountPosition")
        held = next(row for row in moved["B"] if row["a"] == "USDT")
        assert Decimal(held["l"]) == Decimal(placed["price"]) * Decimal("0.001"), moved
        await client.cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
        report = await next_of(told, about(placed, "CANCELED"))
        assert report["C"] == placed["clientOrderId"] != report["c"]
        t.step("user stream: placed, money held, canceled", placed["orderId"])

        sold = await client.ws_create_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.001")
        report = await next_of(told, about(sold, "TRADE"))
        assert report["N"] == "USDT" and Decimal(report["n"]) > 0 and report["m"] is False, report
        moved = await next_of(told, lambda m: m["e"] == "outboundAccountPosition")
        account = await client.get_account()
        for row in moved["B"]:
            stored = next(b for b in account["balances"] if b["asset"] == row["a"])
            assert (row["f"], row["l"]) == (stored["free"], stored["locked"]), (row, stored)
        t.step("user stream: sold, balance as the account says", sold["orderId"])


async def requests(t, client):
    bid = (await client.ws_get_order_book(symbol=SYMBOL, limit=5))["bids"][0][0]
    assert (await client.ws_get_exchange_info(symbol=SYMBOL))["symbols"][0]["symbol"] == SYMBOL
    assert (await client.ws_get_time())["serverTime"] and len(await client.ws_get_klines(symbol=SYMBOL, interval="1m", limit=3)) == 3
    price = grid(Decimal(bid) * Decimal("0.98"), "0.01")
    placed = await client.ws_create_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001", price=price)
    assert (await client.ws_get_order(symbol=SYMBOL, orderId=placed["orderId"]))["status"] == "NEW"
    assert len(await client.ws_get_open_orders(symbol=SYMBOL)) == 1
    assert (await client.ws_cancel_order(symbol=SYMBOL, orderId=placed["orderId"]))["status"] == "CANCELED"
    assert len(await client.ws_get_my_trades(symbol=SYMBOL)) == len(await client.get_my_trades(symbol=SYMBOL))
    assert (await client.ws_get_account())["balances"] and await client.ws_get_all_orders(symbol=SYMBOL)
    t.step("an order's life over the WebSocket API", placed["orderId"])
    try:
        await client.ws_cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
        raise AssertionError("a canceled order is not canceled again")
    except BinanceAPIException as refusal:
        assert refusal.code == -2011, refusal
        t.step("refused, cancel of a canceled order", str(refusal))


async def asynchronous(t):
    client = await AsyncClient.create(KEY, SECRET)
    client.ws_api._url = WS_API
    try:
        await market_streams(t, client)
        await user_stream(t, client)
        await requests(t, client)
    finally:
        await client.close_connection()


def main():
    t = Transcript(f"python-binance {version('python-binance')}")
    client = Client(KEY, SECRET)
    start = totals(client.get_account())
    t.step("balance", start)
    market_data(t, client)
    orders(t, client)
    refusals(t, client)
    asyncio.run(asynchronous(t))
    account(t, client, start)
    t.end()


if __name__ == "__main__":
    main()
