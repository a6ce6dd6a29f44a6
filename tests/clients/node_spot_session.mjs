// @binance/spot: one order's life by REST, market streams, the WebSocket API and its user stream.

import assert from 'node:assert/strict';

import { KEY, REST, SECRET, WS, WS_API, end, first, load, near, pause, step } from './transcript.mjs';

const { Spot } = load('@binance/spot');
const symbol = 'BTCUSDT';

async function orderLife(rest) {
  const info = await (await rest.exchangeInfo({ symbol })).data();
  assert.equal(info.symbols[0].symbol, symbol);
  const book = await (await rest.depth({ symbol, limit: 5 })).data();
  assert.equal((await (await rest.klines({ symbol, interval: '1m', limit: 5 })).data()).length, 5);
  step('exchange info, depth, klines', book.bids[0][0]);
  const placed = await (await rest.newOrder({
    symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.001, price: Number(near(book.bids[0][0], 0.98)),
  })).data();
  assert.equal(placed.status, 'NEW');
  assert.equal((await (await rest.getOpenOrders({ symbol })).data())[0].orderId, placed.orderId);
  assert.equal((await (await rest.deleteOrder({ symbol, orderId: placed.orderId })).data()).status, 'CANCELED');
  step('limit order, found and canceled', placed.orderId);
  await assert.rejects(rest.deleteOrder({ symbol, orderId: placed.orderId }), /Unknown order sent/);
  step('refused, cancel of a canceled order');
  return book.bids[0][0];
}

async function marketStreams(streams) {
  const connection = await streams.connect();
  for (const [what, open] of [
    ['trades', () => connection.trade({ symbol: 'btcusdt' })], ['depth', () => connection.diffBookDepth({ symbol: 'btcusdt' })],
    ['klines', () => connection.kline({ symbol: 'btcusdt', interval: '1m' })], ['ticker', () => connection.ticker({ symbol: 'btcusdt' })],
  ]) {
    const stream = open();
    await first(what, (tell) => stream.on('message', tell));
    step(`stream of ${what}`);
    await pause();
  }
  await connection.disconnect();
}

async function userStream(websocketAPI, bid) {
  const connection = await websocketAPI.connect();
  const { stream } = await connection.userDataStreamSubscribeSignature();
  const report = (kind) => first(kind, (tell) => stream.on('message', tell), (m) => m.e === 'executionReport' && m.x === kind);
  const opened = report('NEW');
  const placed = (await connection.orderPlace({
    symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.001, price: Number(near(bid, 0.98)),
  })).data;
  const orderId = Number(placed.orderId);
  assert.equal(Number((await opened).i), orderId);
  const ended = report('CANCELED');
  await connection.orderCancel({ symbol, orderId });
  await ended;
  step('user stream: placed and canceled over the WebSocket API', orderId);
  await connection.disconnect();
}

const client = new Spot({
  configurationRestAPI: { apiKey: KEY, apiSecret: SECRET, basePath: REST },
  configurationWebsocketAPI: { apiKey: KEY, apiSecret: SECRET, wsURL: WS_API },
  configurationWebsocketStreams: { wsURL: WS },
});
const bid = await orderLife(client.restAPI);
await marketStreams(client.websocketStreams);
await userStream(client.websocketAPI, bid);
end();
