"""binance-connector: one order's life by REST, market streams, and the user stream by its WebSocket API client."""

import json
import queue
import time
from decimal import Decimal
from importlib.metadata import version

from binance.error import ClientError
from binance.lib.utils import get_uuid, websocket_api_signature
from binance.spot import Spot
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

from transcript import KEY, REST, SECRET, WS, WS_API, Transcript, after, grid, totals

SYMBOL = "BTCUSDT"
PATIENCE_S = 30


def heard():
    """A queue, and the callback that fills it with what a socket says."""
    said = queue.Queue()
    return said, lambda _, message: said.put(json.loads(message))


def next_of(said, wanted):
    until = time.monotonic() + PATIENCE_S
    while True:
        message = said.get(timeout=max(until - time.monotonic(), 0.01))
        if wanted(message):
            return message


def market_data(t, client):
    client.ping()
    assert abs(client.time()["serverTime"] - time.time() * 1000) < 5000
    info = client.exchange_info(symbols=["BTCUSDT", "ETHUSDT"])
    assert {s["symbol"] for s in info["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    t.step("ping, time, exchange info", f"{len(info['symbols'])} symbols")
    assert len(client.klines(SYMBOL, "1m", limit=5)) == len(client.ui_klines(SYMBOL, "1m", limit=5)) == 5
    book = client.depth(SYMBOL, limit=20)
    assert len(book["bids"]) == 20 and Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0])
    assert len(client.trades(SYMBOL, limit=3)) == len(client.agg_trades(SYMBOL, limit=3)) == 3
    assert len(client.historical_trades(SYMBOL, limit=3)) == 3
    t.step("klines, depth, trades", f"{book['bids'][0][0]} / {book['asks'][0][0]}")
    day = client.ticker_24hr(symbols=["BTCUSDT", "ETHUSDT"])
    assert [row["symbol"] for row in day] == ["BTCUSDT", "ETHUSDT"] and client.ticker_24hr(SYMBOL, type="MINI")["volume"]
    assert Decimal(client.rolling_window_ticker(SYMBOL, windowSize="1h")["lastPrice"]) > 0
    assert Decimal(client.trading_day_ticker(SYMBOL)["lastPrice"]) > 0
    assert Decimal(client.ticker_price(SYMBOL)["price"]) > 0 and Decimal(client.avg_price(SYMBOL)["price"]) > 0
    assert Decimal(client.book_ticker(SYMBOL)["askPrice"]) > 0
    t.step("tickers", day[0]["lastPrice"])


def orders(t, client):
    start = totals(client.account())
    bid = Decimal(client.depth(SYMBOL, limit=5)["bids"][0][0])
    client.new_order_test(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.001)
    placed = client.new_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.001, price=grid(bid * Decimal("0.98"), "0.01"))
    assert placed["status"] == "NEW" and client.get_open_orders(SYMBOL)[0]["orderId"] == placed["orderId"]
    assert client.get_order(SYMBOL, orderId=placed["orderId"])["status"] == "NEW"
    t.step("limit order", placed["orderId"])
    replaced = client.cancel_and_replace(SYMBOL, "BUY", "LIMIT", "STOP_ON_FAILURE", cancelOrderId=placed["orderId"], timeInForce="GTC",
                                         quantity=0.002, price=grid(bid * Decimal("0.97"), "0.01"))
    assert replaced["newOrderResult"] == "SUCCESS"
    ended = client.cancel_order(SYMBOL, orderId=replaced["newOrderResponse"]["orderId"])
    assert ended["status"] == "CANCELED"
    t.step("replaced and canceled", ended["orderId"])
    bought = client.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01)
    assert bought["status"] == "FILLED" and bought["fills"]
    listed = client.new_oco_order(SYMBOL, "SELL", 0.001, aboveType="LIMIT_MAKER", abovePrice=grid(bid * Decimal("1.1"), "0.01"),
                                  belowType="STOP_LOSS", belowStopPrice=grid(bid * Decimal("0.9"), "0.01"))
    assert client.cancel_oco_order(SYMBOL, orderListId=listed["orderListId"])["listOrderStatus"] == "ALL_DONE"
    t.step("one-cancels-other, placed and canceled", listed["orderListId"])
    try:
        client.cancel_order(SYMBOL, orderId=placed["orderId"])
        raise AssertionError("a canceled order is not canceled again")
    except ClientError as refusal:
        assert (refusal.status_code, refusal.error_code) == (400, -2011), refusal
        t.step("refused, cancel of a canceled order", refusal.error_message)
    assert len(client.get_orders(SYMBOL)) >= 4 and client.query_commission_rates(SYMBOL)["standardCommission"]["taker"]
    now, expected = totals(client.account()), after(start, "BTC", "USDT", client.my_trades(SYMBOL))
    assert now == expected, f"balance {now} but trades say {expected}"
    t.step("balance equals the trades, exactly", ", ".join(f"{a} {v.normalize():f}" for a, v in sorted(now.items())))
    try:
        client.new_listen_key()
        raise AssertionError("listen keys are retired")
    except ClientError as refusal:
        assert refusal.status_code == 410, refusal
        t.step("listen keys are gone", refusal.status_code)


def market_streams(t):
    said, callback = heard()
    streams = SpotWebsocketStreamClient(stream_url=WS, on_message=callback)
    for what, ask, wanted in [
        ("trades", lambda: streams.trade("btcusdt"), lambda m: m.get("e") == "trade"),
        ("depth", lambda: streams.diff_book_depth("btcusdt", speed=100), lambda m: m.get("e") == "depthUpdate"),
        ("top of the book", lambda: streams.partial_book_depth("btcusdt", level=5, speed=100), lambda m: len(m.get("bids", [])) == 5),
        ("klines", lambda: streams.kline("btcusdt", "1m"), lambda m: m.get("e") == "kline"),
        ("ticker", lambda: streams.ticker("btcusdt"), lambda m: m.get("e") == "24hrTicker"),
        ("best bid and ask", lambda: streams.book_ticker("btcusdt"), lambda m: "e" not in m and "B" in m),
        ("rolling window", lambda: streams.rolling_window_ticker("btcusdt", "1h"), lambda m: m.get("e") == "1hTicker"),
    ]:
        ask()
        next_of(said, wanted)
        t.step(f"stream of {what}")
        time.sleep(0.25)  # Five messages a second are allowed.
    streams.list_subscribe()
    listed = next_of(said, lambda m: isinstance(m.get("result"), list))
    assert "btcusdt@kline_1m" in listed["result"], listed
    streams.stop()


def user_stream(t, client):
    said, callback = heard()
    asked = SpotWebsocketAPIClient(stream_url=WS_API, api_key=KEY, api_secret=SECRET, on_message=callback)
    signed = websocket_api_signature(KEY, SECRET, {})
    asked.send({"id": get_uuid(), "method": "userDataStream.subscribe.signature", "params": signed})
    answer = next_of(said, lambda m: "status" in m)
    assert answer["status"] == 200 and "subscriptionId" in answer["result"], answer
    price = grid(Decimal(client.depth(SYMBOL, limit=5)["bids"][0][0]) * Decimal("0.98"), "0.01")
    asked.new_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.001, price=price, newOrderRespType="RESULT")
    messages = [next_of(said, lambda m: "status" in m or m.get("event", {}).get("e") == "executionReport") for _ in range(2)]
    reply = next(m for m in messages if "status" in m)
    event = next(m for m in messages if "event" in m)["event"]
    assert reply["status"] == 200 and event["i"] == reply["result"]["orderId"] and event["X"] == "NEW", messages
    asked.cancel_order(symbol=SYMBOL, orderId=event["i"])
    next_of(said, lambda m: m.get("event", {}).get("x") == "CANCELED" and m["event"]["i"] == event["i"])
    t.step("user stream: placed and canceled over the WebSocket API", event["i"])
    asked.stop()


def main():
    t = Transcript(f"binance-connector {version('binance-connector')}")
    client = Spot(api_key=KEY, api_secret=SECRET, base_url=REST)
    market_data(t, client)
    orders(t, client)
    market_streams(t)
    user_stream(t, client)
    t.end()


if __name__ == "__main__":
    main()
