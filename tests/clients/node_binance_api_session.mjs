// node-binance-api: one order's life by REST, and market streams. Its WebSocket API address can not be set, so there is no user stream.

import assert from 'node:assert/strict';

import { KEY, REST, SECRET, WS, end, first, load, near, step } from './transcript.mjs';

const Binance = load('node-binance-api');
const symbol = 'BTCUSDT';
const client = new (Binance.default ?? Binance)({
  APIKEY: KEY,
  APISECRET: SECRET,
  urls: { base: `${REST}/api/`, sapi: `${REST}/sapi/`, stream: `${WS}/ws/`, combineStream: `${WS}/stream?streams=` },
});

const info = await client.exchangeInfo();
assert.ok(info.symbols.some((s) => s.symbol === symbol));
const book = await client.depth(symbol);
const bid = book.bids[0].price;
assert.equal((await client.candlesticks(symbol, '1m', { limit: 5 })).length, 5);
step('exchange info, depth, candles', bid);

const placed = await client.order('LIMIT', 'BUY', symbol, 0.001, near(bid, 0.98));
assert.equal(placed.status, 'NEW');
assert.equal((await client.openOrders(symbol))[0].orderId, placed.orderId);
assert.equal((await client.cancel(symbol, placed.orderId)).status, 'CANCELED');
assert.equal((await client.orderStatus(symbol, placed.orderId)).status, 'CANCELED');
step('limit order, found and canceled', placed.orderId);
await assert.rejects(client.cancel(symbol, placed.orderId), /-2011/);
step('refused, cancel of a canceled order');
const bought = await client.marketBuy(symbol, 0.01);
assert.equal(bought.status, 'FILLED');
assert.ok(Number((await client.balance()).BTC.available) > 0.009);
step('market buy', bought.cummulativeQuoteQty);

await first('trades', (tell) => client.websockets.trades([symbol], tell), (m) => m.e === 'trade');
step('stream of trades');
await first('depth', (tell) => client.websockets.depth([symbol], tell), (m) => m.e === 'depthUpdate');
step('stream of depth');
await first('candles', (tell) => client.websockets.candlesticks([symbol], '1m', tell), (m) => m.e === 'kline');
step('stream of candles');
await first('prices of a day', (tell) => client.websockets.prevDay(symbol, (_, m) => tell(m)), (m) => m.symbol === symbol);
step('stream of prices of a day');
end();
