// @binance/connector: one order's life by REST, market streams, the WebSocket API and its user stream.

import assert from 'node:assert/strict';

import { KEY, REST, SECRET, WS, WS_API, end, first, load, near, step } from './transcript.mjs';

const { Spot, WebsocketAPI, WebsocketStream } = load('@binance/connector');
const symbol = 'BTCUSDT';

async function orderLife(client) {
  assert.equal((await client.exchangeInfo({ symbol })).data.symbols[0].symbol, symbol);
  assert.equal((await client.klines(symbol, '1m', { limit: 5 })).data.length, 5);
  const bid = (await client.depth(symbol, { limit: 5 })).data.bids[0][0];
  step('exchange info, klines, depth', bid);
  const { orderId } = (await client.newOrder(symbol, 'BUY', 'LIMIT', { timeInForce: 'GTC', quantity: 0.001, price: near(bid, 0.98) })).data;
  assert.equal((await client.openOrders({ symbol })).data[0].orderId, orderId);
  assert.equal((await client.cancelOrder(symbol, { orderId })).data.status, 'CANCELED');
  assert.equal((await client.getOrder(symbol, { orderId })).data.status, 'CANCELED');
  step('limit order, found and canceled', orderId);
  await assert.rejects(client.cancelOrder(symbol, { orderId }), (refusal) => refusal.response.data.code === -2011);
  step('refused, cancel of a canceled order');
  return bid;
}

async function marketStreams() {
  for (const [what, open] of [
    ['trades', (s) => s.trade('btcusdt')], ['depth', (s) => s.diffBookDepth('btcusdt', '100ms')],
    ['klines', (s) => s.kline('btcusdt', '1m')], ['ticker', (s) => s.ticker('btcusdt')],
  ]) {
    let stream;
    await first(what, (tell) => {
      stream = new WebsocketStream({ wsURL: WS, callbacks: { message: tell }, logger: { log() {}, info() {}, warn() {}, debug() {}, error: console.error } });
      open(stream);
    });
    stream.disconnect();
    step(`stream of ${what}`);
  }
}

async function userStream(bid) {
  let tell = () => {};
  const hear = (what, wanted) => first(what, (told) => { tell = (text) => told(JSON.parse(text)); }, wanted);
  const opened = {};
  const open = first('the connection', (told) => { opened.open = told; });
  const asked = new WebsocketAPI(KEY, SECRET, {
    wsURL: WS_API,
    callbacks: { open: (client) => opened.open(client), message: (text) => tell(text) },
    logger: { log() {}, info() {}, warn() {}, debug() {}, error: console.error },
  });
  await open;
  const answer = hear('the subscription', (m) => m.status !== undefined);
  asked.sendSignatureMessage('userDataStream.subscribe.signature');
  assert.equal((await answer).status, 200);
  const placed = hear('NEW', (m) => m.event?.x === 'NEW');
  asked.newOrder(symbol, 'BUY', 'LIMIT', { timeInForce: 'GTC', quantity: 0.001, price: Number(near(bid, 0.98)) });
  const { i: orderId } = (await placed).event;
  const ended = hear('CANCELED', (m) => m.event?.x === 'CANCELED' && m.event.i === orderId);
  asked.cancelOrder(symbol, { orderId });
  await ended;
  step('user stream: placed and canceled over the WebSocket API', orderId);
  asked.disconnect();
}

const bid = await orderLife(new Spot(KEY, SECRET, { baseURL: REST }));
await marketStreams();
await userStream(bid);
end();
