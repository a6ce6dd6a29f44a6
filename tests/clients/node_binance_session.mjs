// binance (npm): one order's life by REST, market streams, the WebSocket API and its user stream.
//
// The environment names the exchange: HURACAN_REST, HURACAN_WS, HURACAN_API_KEY, HURACAN_API_SECRET; the package is found as
// `require` finds it (NODE_PATH).

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { MainClient, WebsocketAPIClient, WebsocketClient, WS_KEY_MAP } = require('binance');
const { version } = require('binance/package.json');

const { HURACAN_REST: rest, HURACAN_WS: ws, HURACAN_API_KEY: api_key, HURACAN_API_SECRET: api_secret } = process.env;
const symbol = 'BTCUSDT';
const patience = 30_000;
const quiet = { trace() {}, info() {}, error: console.error };

let steps = 0;
function step(what, seen) {
  steps += 1;
  console.log(`${String(steps).padStart(3)} ${what}${seen === undefined ? '' : `: ${seen}`}`);
}

/** The first message of `source` that is wanted. */
function next(source, event, wanted) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event} that is ${wanted}`)), patience);
    const listen = (message) => {
      if (!wanted(message)) return;
      clearTimeout(late);
      source.off(event, listen);
      resolve(message);
    };
    source.on(event, listen);
  });
}

const near = (bid, share) => (Math.floor(Number(bid) * share * 100) / 100).toFixed(2);

/** Decimal text as a whole number of 1e-16. */
function exact(text) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(16, '0'));
}

const product = (a, b) => (exact(a) * exact(b)) / 10n ** 16n;

async function marketData(client) {
  const info = await client.getExchangeInfo({ symbols: [symbol, 'ETHUSDT'] });
  assert.deepEqual(info.symbols.map((s) => s.symbol).sort(), [symbol, 'ETHUSDT']);
  step('exchange info', `${info.symbols.length} symbols`);
  const book = await client.getOrderBook({ symbol, limit: 20 });
  assert.equal(book.bids.length, 20);
  assert.equal((await client.getKlines({ symbol, interval: '1m', limit: 5 })).length, 5);
  assert.equal((await client.getRecentTrades({ symbol, limit: 5 })).length, 5);
  assert.equal((await client.getAggregateTrades({ symbol, limit: 5 })).length, 5);
  assert.ok(Number((await client.get24hrChangeStatistics({ symbol })).lastPrice) > 0);
  step('depth, klines, trades, ticker', `${book.bids[0][0]} / ${book.asks[0][0]}`);
  return book.bids[0][0];
}

async function orderLife(client, bid) {
  const before = await client.getAccountInformation();
  const placed = await client.submitNewOrder({ symbol, side: 'BUY', type: 'LIMIT_MAKER', quantity: 0.001, price: near(bid, 0.98), newOrderRespType: 'RESULT' });
  assert.equal(placed.status, 'NEW');
  assert.equal((await client.getOpenOrders({ symbol })).length, 1);
  const replaced = await client.replaceOrder({
    symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.002, price: near(bid, 0.97), cancelReplaceMode: 'STOP_ON_FAILURE', cancelOrderId: placed.orderId,
  });
  const orderId = replaced.newOrderResponse.orderId;
  step('post-only order, replaced', `${placed.orderId} became ${orderId}`);
  assert.equal((await client.cancelOrder({ symbol, orderId })).status, 'CANCELED');
  step('canceled', orderId);
  const bought = await client.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.01, newOrderRespType: 'FULL' });
  assert.equal(bought.status, 'FILLED');
  const trades = await client.getAccountTradeList({ symbol });
  const after = await client.getAccountInformation();
  const held = (account, asset) => account.balances.filter((b) => b.asset === asset).reduce((sum, b) => sum + exact(b.free) + exact(b.locked), 0n);
  const got = trades.reduce((sum, x) => sum + exact(x.qty) - exact(x.commission), 0n);
  const paid = trades.reduce((sum, x) => sum + product(x.price, x.qty), 0n);
  assert.equal(held(after, 'BTC') - held(before, 'BTC'), got);
  assert.equal(held(before, 'USDT') - held(after, 'USDT'), paid);
  step('market buy; balance equals the trades, exactly', `${trades.length} trades`);
  await assert.rejects(client.cancelOrder({ symbol, orderId }), (refusal) => refusal.code === -2011 && refusal.message === 'Unknown order sent.');
  await assert.rejects(client.submitNewOrder({ symbol, side: 'BUY', type: 'LIMIT_MAKER', quantity: 0.001, price: near(bid, 1.02) }), { code: -2010 });
  step('refused, cancel of a canceled order and a post-only order that takes');
}

async function marketStreams() {
  const streams = new WebsocketClient({ wsUrl: ws, beautify: false }, quiet);
  streams.on('exception', (problem) => console.error('exception', problem));
  for (const [what, topic, wanted] of [
    ['trades', 'btcusdt@trade', (m) => m.e === 'trade'],
    ['depth', 'btcusdt@depth@100ms', (m) => m.e === 'depthUpdate'],
    ['klines', 'btcusdt@kline_1m', (m) => m.e === 'kline'],
    ['ticker', 'btcusdt@ticker', (m) => m.e === '24hrTicker'],
  ]) {
    const coming = next(streams, 'message', (m) => wanted(m.data ?? m));
    streams.subscribe(topic, WS_KEY_MAP.main);
    await coming;
    step(`stream of ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250)); // Five messages a second are allowed.
  }
  streams.closeAll(true);
}

async function userStream(bid) {
  const asked = new WebsocketAPIClient({ api_key, api_secret, wsUrl: ws, beautify: false, attachEventListeners: false }, quiet);
  const told = asked.getWSClient();
  told.on('exception', (problem) => console.error('exception', problem));
  assert.ok((await asked.getSpotServerTime()).result.serverTime);
  await asked.subscribeUserDataStream(WS_KEY_MAP.mainWSAPI);
  const report = (kind) => next(told, 'message', (m) => (m.event ?? m).e === 'executionReport' && (m.event ?? m).x === kind);
  const opened = report('NEW');
  const placed = await asked.submitNewSpotOrder({
    symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.001, price: near(bid, 0.98), newOrderRespType: 'RESULT', timestamp: Date.now(),
  });
  assert.equal((await opened).i ?? (await opened).event.i, placed.result.orderId);
  const ended = report('CANCELED');
  await asked.cancelSpotOrder({ symbol, orderId: placed.result.orderId, timestamp: Date.now() });
  await ended;
  step('user stream: placed and canceled over the WebSocket API', placed.result.orderId);
  await asked.disconnectAll();
}

console.log(`client binance (npm) ${version}`);
const client = new MainClient({ api_key, api_secret, baseUrl: rest, disableTimeSync: true });
const bid = await marketData(client);
await orderLife(client, bid);
await marketStreams();
await userStream(bid);
console.log(`ok ${steps} steps`);
process.exit(0);
