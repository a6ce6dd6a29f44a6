"""binance-sdk-spot: every answer goes through its typed models, by REST, streams and WebSocket API."""

import asyncio
from decimal import Decimal
from importlib.metadata import version

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_common.errors import BadRequestError
from binance_sdk_spot.spot import Spot

from transcript import KEY, REST, SECRET, WS, WS_API, Transcript, grid

SYMBOL = "BTCUSDT"
PATIENCE_S = 30


def exchange():
    return Spot(
        config_rest_api=ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=REST),
        config_ws_api=ConfigurationWebSocketAPI(api_key=KEY, api_secret=SECRET, stream_url=WS_API),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS),
    )


def market_data(t, rest):
    info = rest.exchange_info(symbol=SYMBOL).data()
    assert info.symbols[0].symbol == SYMBOL and info.rate_limits
    t.step("exchange info", f"{len(info.symbols[0].filters)} filters, {len(info.rate_limits)} limits")
    book = rest.depth(SYMBOL, limit=20).data()
    assert len(book.bids) == 20 and rest.klines(SYMBOL, "1m", limit=5).data()
    assert len(rest.get_trades(SYMBOL, limit=3).data()) == len(rest.agg_trades(SYMBOL, limit=3).data()) == 3
    assert rest.ticker24hr(symbol=SYMBOL).data() and rest.avg_price(SYMBOL).data().price
    t.step("depth, klines, trades, tickers", f"{book.bids[0][0]} / {book.asks[0][0]}")
    return Decimal(book.bids[0][0])


def order_life(t, rest, bid):
    price = float(grid(bid * Decimal("0.98"), "0.01"))
    placed = rest.new_order(symbol=SYMBOL, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.001, price=price).data()
    assert placed.status == "NEW" and [o.order_id for o in rest.get_open_orders(symbol=SYMBOL).data()] == [placed.order_id]
    replaced = rest.order_cancel_replace(symbol=SYMBOL, side="BUY", type="LIMIT", cancel_replace_mode="STOP_ON_FAILURE", time_in_force="GTC",
                                         quantity=0.003, price=price, cancel_order_id=placed.order_id).data()
    assert replaced.new_order_result == "SUCCESS"
    new_id = replaced.new_order_response.order_id
    t.step("limit order, replaced", f"{placed.order_id} became {new_id}")
    smaller = rest.order_amend_keep_priority(symbol=SYMBOL, new_qty=0.002, order_id=new_id).data()
    assert smaller.amended_order.order_id == new_id and Decimal(smaller.amended_order.qty) == Decimal("0.002")
    t.step("amended, its place in the queue kept", smaller.amended_order.qty)
    assert rest.delete_order(symbol=SYMBOL, order_id=new_id).data().status == "CANCELED"
    assert rest.get_order(symbol=SYMBOL, order_id=new_id).data().status == "CANCELED"
    t.step("canceled", new_id)
    bought = rest.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01).data()
    trades = rest.my_trades(symbol=SYMBOL, order_id=bought.order_id).data()
    assert bought.status == "FILLED" and sum(Decimal(x.qty) for x in trades) == Decimal("0.01")
    listed = rest.order_list_oco(symbol=SYMBOL, side="SELL", quantity=0.001, above_type="LIMIT_MAKER", above_price=float(grid(bid * Decimal("1.1"), "0.01")),
                                 below_type="STOP_LOSS", below_stop_price=float(grid(bid * Decimal("0.9"), "0.01"))).data()
    assert len(listed.orders) == 2
    rest.delete_order_list(symbol=SYMBOL, order_list_id=listed.order_list_id)
    t.step("bought; one-cancels-other placed and canceled", listed.order_list_id)
    assert rest.account_commission(symbol=SYMBOL).data().standard_commission.taker and rest.all_orders(symbol=SYMBOL).data()
    assert {b.asset for b in rest.get_account(omit_zero_balances=True).data().balances} >= {"BTC", "USDT"}
    t.step("account, fees, all orders")
    try:
        rest.delete_order(symbol=SYMBOL, order_id=new_id)
        raise AssertionError("a canceled order is not canceled again")
    except BadRequestError as refusal:
        assert "Unknown order sent." in str(refusal), refusal
        t.step("refused, cancel of a canceled order", refusal)


async def first(register, wanted=lambda message: True):
    """The first message that is wanted, of those that `register`'s callback is given."""
    coming = asyncio.get_running_loop().create_future()
    register(lambda message: coming.done() or not wanted(message) or coming.set_result(message))
    return await asyncio.wait_for(coming, PATIENCE_S)


async def market_streams(t, streams):
    connection = await streams.create_connection()
    for what, opening in [
        ("trades", connection.trade), ("aggregated trades", connection.agg_trade), ("depth", connection.diff_book_depth),
        ("klines", lambda symbol: connection.kline(symbol=symbol, interval="1m")),
        ("top of the book", lambda symbol: connection.partial_book_depth(symbol=symbol, levels="5")),
        ("best bid and ask", connection.book_ticker), ("ticker", connection.ticker),
        ("small ticker", connection.mini_ticker), ("average price", connection.avg_price),
    ]:
        stream = await opening(symbol="btcusdt")
        message = await first(lambda callback: stream.on("message", callback))
        assert message is not None
        t.step(f"stream of {what}", type(message).__name__)
        await asyncio.sleep(0.25)  # Five messages a second are allowed.
    await connection.close_connection(close_session=True)


async def user_stream(t, websocket_api, bid):
    connection = await websocket_api.create_connection()
    assert (await connection.depth(symbol=SYMBOL, limit=5)).data().result.bids
    assert (await connection.account_status()).data().result.balances
    subscribed = await connection.user_data_stream_subscribe_signature()
    reports = asyncio.Queue()
    subscribed.stream.on("message", lambda message: reports.put_nowait(message.actual_instance))

    async def report(order_id, kind):
        while True:
            event = await asyncio.wait_for(reports.get(), PATIENCE_S)
            if type(event).__name__ == "ExecutionReport" and event.i == order_id and event.x == kind:
                return event

    placed = (await connection.order_place(symbol=SYMBOL, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.001, price=float(grid(bid * Decimal("0.98"), "0.01")))).data().result
    await report(placed.order_id, "NEW")
    await connection.order_cancel(symbol=SYMBOL, order_id=placed.order_id)
    await report(placed.order_id, "CANCELED")
    t.step("user stream: placed and canceled over the WebSocket API", placed.order_id)
    await connection.close_connection(close_session=True)


async def session():
    t = Transcript(f"binance-sdk-spot {version('binance-sdk-spot')}")
    client = exchange()
    bid = market_data(t, client.rest_api)
    order_life(t, client.rest_api, bid)
    await market_streams(t, client.websocket_streams)
    await user_stream(t, client.websocket_api, bid)
    t.end()


if __name__ == "__main__":
    asyncio.run(session())
