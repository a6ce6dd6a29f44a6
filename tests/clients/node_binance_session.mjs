// binance (npm): one order's life by REST, market streams, the WebSocket API and its user stream.

import assert from 'node:assert/strict';

import { KEY, REST, SECRET, WS, end, exact, first, held, load, near, pause, product, step } from './transcript.mjs';

const { MainClient, WebsocketAPIClient, WebsocketClient, WS_KEY_MAP } = load('binance');
const symbol = 'BTCUSDT';
const quiet = { trace() {}, info() {}, error: console.error };

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
  const placed = await client.submitNewOrder({
    symbol, side: 'BUY', type: 'LIMIT_MAKER', quantity: 0.001, price: near(bid, 0.98), newOrderRespType: 'RESULT',
  });
  assert.equal(placed.status, 'NEW');
  assert.equal((await client.getOpenOrders({ symbol })).length, 1);
  const replaced = await client.replaceOrder({
    symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.002, price: near(bid, 0.97),
    cancelReplaceMode: 'STOP_ON_FAILURE', cancelOrderId: placed.orderId,
  });
  const { orderId } = replaced.newOrderResponse;
  step('post-only order, replaced', `${placed.orderId} became ${orderId}`);
  assert.equal((await client.cancelOrder({ symbol, orderId })).status, 'CANCELED');
  step('canceled', orderId);
  const bought = await client.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.01, newOrderRespType: 'FULL' });
  assert.equal(bought.status, 'FILLED');
  const trades = await client.getAccountTradeList({ symbol });
  const after = await client.getAccountInformation();
  assert.equal(held(after, 'BTC') - held(before, 'BTC'), trades.reduce((sum, x) => sum + exact(x.qty) - exact(x.commission), 0n));
  assert.equal(held(before, 'USDT') - held(after, 'USDT'), trades.reduce((sum, x) => sum + product(x.price, x.qty), 0n));
  step('market buy; balance equals the trades, exactly', `${trades.length} trades`);
  await assert.rejects(client.cancelOrder({ symbol, orderId }), { code: -2011, message: 'Unknown order sent.' });
  await assert.rejects(client.submitNewOrder({ symbol, side: 'BUY', type: 'LIMIT_MAKER', quantity: 0.001, price: near(bid, 1.02) }), { code: -2010 });
  step('refused, cancel of a canceled order and a post-only order that takes');
}

/** What the client says from now on, to whom it is told. */
const messages = (client) => (tell) => client.on('message', tell);

async function marketStreams() {
  const streams = new WebsocketClient({ wsUrl: WS, beautify: false }, quiet);
  streams.on('exception', (problem) => console.error('exception', problem));
  for (const [topic, event] of [['trade', 'trade'], ['depth@100ms', 'depthUpdate'], ['kline_1m', 'kline'], ['ticker', '24hrTicker']]) {
    const coming = first(topic, messages(streams), (m) => (m.data ?? m).e === event);
    streams.subscribe(`btcusdt@${topic}`, WS_KEY_MAP.main);
    await coming;
    step(`stream of ${topic}`);
    await pause();
  }
  streams.closeAll(true);
}

async function userStream(bid) {
  const asked = new WebsocketAPIClient({ api_key: KEY, api_secret: SECRET, wsUrl: WS, beautify: false, attachEventListeners: false }, quiet);
  const told = asked.getWSClient();
  told.on('exception', (problem) => console.error('exception', problem));
  assert.ok((await asked.getSpotServerTime()).result.serverTime);
  await asked.subscribeUserDataStream(WS_KEY_MAP.mainWSAPI);
  const report = (kind) => first(kind, messages(told), (m) => (m.event ?? m).e === 'executionReport' && (m.event ?? m).x === kind);
  const opened = report('NEW');
  const placed = await asked.submitNewSpotOrder({
    symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.001, price: near(bid, 0.98), newOrderRespType: 'RESULT', timestamp: Date.now(),
  });
  const event = await opened;
  assert.equal((event.event ?? event).i, placed.result.orderId);
  const ended = report('CANCELED');
  await asked.cancelSpotOrder({ symbol, orderId: placed.result.orderId, timestamp: Date.now() });
  await ended;
  step('user stream: placed and canceled over the WebSocket API', placed.result.orderId);
  await asked.disconnectAll();
}

const client = new MainClient({ api_key: KEY, api_secret: SECRET, baseUrl: REST, disableTimeSync: true });
const bid = await marketData(client);
await orderLife(client, bid);
await marketStreams();
await userStream(bid);
end();
