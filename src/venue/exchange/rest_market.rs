//! The public endpoints: time, book, trades, candles, tickers.

use serde_json::json;

use super::bar::Bar;
use super::endpoint::Endpoint;
use super::exchange_info::exchange_info;
use super::hall::Hall;
use super::interval::kline_interval;
use super::params::Params;
use super::placement::{known, symbol};
use super::refusal::ApiError;
use super::tape::{Tape, Traded};
use super::wire::{Fixed, json as text};
use super::wire_market::{AggTrade, BookTickerRow, DepthSnapshot, TradeRow};
use crate::domain::{Interval, Money, Price, Qty, Span, Symbol, Timestamp};

pub(super) fn answer(hall: &mut Hall, endpoint: Endpoint, params: &Params) -> Result<String, ApiError> {
    match endpoint {
        Endpoint::Ping => Ok("{}".to_owned()),
        Endpoint::Time => Ok(text(&json!({"serverTime": hall.now().millis()}))),
        Endpoint::ExchangeInfo => exchange_info(hall, params),
        Endpoint::Depth => {
            let levels = params.limit(100, 5_000)?;
            Ok(text(&DepthSnapshot::of(&tape(hall, symbol(params, &hall.symbols)?)?.book.top(levels))))
        }
        Endpoint::Trades => {
            let limit = params.limit(500, 1_000)?;
            let tape = tape(hall, symbol(params, &hall.symbols)?)?;
            Ok(text(&tape.trades(limit).map(TradeRow::of).collect::<Vec<_>>()))
        }
        Endpoint::AggTrades => agg_trades(hall, params),
        Endpoint::Klines => klines(hall, params),
        Endpoint::AvgPrice => average_price(hall, params),
        Endpoint::TickerPrice => per_symbol(hall, params, |hall, symbol| {
            let price = hall.market.tape(symbol).and_then(Tape::last_price).unwrap_or(Price::ZERO);
            Ok(text(&json!({"symbol": symbol.as_str(), "price": format!("{price:.8}")})))
        }),
        Endpoint::BookTicker => per_symbol(hall, params, |hall, symbol| {
            let nothing = crate::domain::Level { price: Price::ZERO, qty: Qty::ZERO };
            let best = tape(hall, symbol)?.best().unwrap_or((0, nothing, nothing));
            Ok(text(&BookTickerRow::of(&symbol, best)))
        }),
        Endpoint::Ticker24h => per_symbol(hall, params, day_ticker),
        _ => Err(ApiError::KeyFormat),
    }
}

fn tape(hall: &Hall, symbol: Symbol) -> Result<&Tape, ApiError> {
    hall.market.tape(symbol).ok_or(ApiError::Symbol)
}

/// The symbols of `symbol=A` or `symbols=["A","B"]`; `None` when neither is sent.
pub(super) fn wanted(params: &Params, symbols: &[Symbol]) -> Result<Option<Vec<Symbol>>, ApiError> {
    if params.get("symbol").is_some() {
        return Ok(Some(vec![symbol(params, symbols)?]));
    }
    let Some(list) = params.text("symbols")? else { return Ok(None) };
    let names: Vec<String> = serde_json::from_str(list).map_err(|_| ApiError::Illegal { name: "symbols", range: "[\"A\",\"B\"]" })?;
    names.iter().map(|name| known(name, symbols)).collect::<Result<_, _>>().map(Some)
}

/// One object for `symbol`, else an array.
fn per_symbol(hall: &mut Hall, params: &Params, row: impl Fn(&mut Hall, Symbol) -> Result<String, ApiError>) -> Result<String, ApiError> {
    let wanted = wanted(params, &hall.symbols)?;
    if let (Some(symbols), true) = (&wanted, params.get("symbol").is_some()) {
        return row(hall, symbols[0]);
    }
    let symbols = wanted.unwrap_or_else(|| hall.symbols.clone());
    let rows: Result<Vec<String>, ApiError> = symbols.into_iter().map(|symbol| row(hall, symbol)).collect();
    Ok(format!("[{}]", rows?.join(",")))
}

fn agg_trades(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let tape = tape(hall, symbol(params, &hall.symbols)?)?;
    let limit = params.limit(500, 1_000)?;
    let (from_id, start, end) = (params.integer("fromId")?, params.time("startTime")?, params.time("endTime")?);
    let matching = |traded: &&Traded| {
        from_id.is_none_or(|id| traded.trade.id.0 >= id)
            && start.is_none_or(|start| traded.at.millis() >= start.millis())
            && end.is_none_or(|end| traded.at.millis() <= end.millis())
    };
    let found: Vec<&Traded> = tape.trades(usize::MAX).filter(matching).collect();
    let skipped = if from_id.is_some() || start.is_some() { 0 } else { found.len().saturating_sub(limit) };
    Ok(text(&found.into_iter().skip(skipped).take(limit).map(AggTrade::of).collect::<Vec<_>>()))
}

/// No start: the newest `limit` rows up to the end; a start: the oldest from there. The forming candle is the last row of an open end.
fn klines(hall: &mut Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let interval = kline_interval(params.required("interval")?).ok_or(ApiError::Interval)?;
    let limit = params.limit(500, 1_000)?;
    let end = params.time("endTime")?.map_or(hall.market.until, |end| end.min(hall.market.until));
    let last = end.floor_to(interval);
    let oldest = hall.market.first_time(symbol).floor_to(interval);
    let reach = interval.span().times(i64::try_from(limit).unwrap_or(i64::MAX) - 1);
    let (first, last) = match params.time("startTime")? {
        Some(start) => {
            let floor = start.floor_to(interval);
            let first = if floor < start { floor + interval.span() } else { floor }.max(oldest);
            (first, last.min(first + reach))
        }
        None => ((last - reach).max(oldest), last),
    };
    let bars = if first <= last { hall.market.bars(symbol, interval, first, last) } else { Vec::new() };
    Ok(text(&bars.iter().map(|bar| bar.row(interval)).collect::<Vec<_>>()))
}

/// The minutes of the last `span`, the forming one included.
fn minutes(hall: &mut Hall, symbol: Symbol, span: Span) -> Vec<Bar> {
    let last = hall.market.until.floor_to(Interval::MINUTE);
    let first = (hall.market.until - span).floor_to(Interval::MINUTE).max(hall.market.first_time(symbol).floor_to(Interval::MINUTE));
    hall.market.bars(symbol, Interval::MINUTE, first, last)
}

fn sum(bars: &[Bar]) -> Option<Bar> {
    let (first, rest) = bars.split_first()?;
    let mut sum = *first;
    rest.iter().for_each(|bar| sum.extend(bar));
    Some(sum)
}

/// Volume-weighted over the last five minutes; the last price when nothing traded.
fn average_price(hall: &mut Hall, params: &Params) -> Result<String, ApiError> {
    const MINUTES: i64 = 5;
    let symbol = symbol(params, &hall.symbols)?;
    let whole = sum(&minutes(hall, symbol, Span::from_secs(60 * MINUTES)));
    let price = whole.map_or(Price::ZERO, |bar| weighted(bar.quote_volume, bar.volume, bar.close));
    Ok(text(&json!({"mins": MINUTES, "price": format!("{price:.8}"), "closeTime": hall.market.until.millis()})))
}

fn weighted(quote: Money, volume: Qty, otherwise: Price) -> Price {
    if !volume.is_positive() {
        return otherwise;
    }
    // Money counts 1e-16 and Qty 1e-8: their ratio counts 1e-8, as prices do.
    i64::try_from(quote.raw() / volume.raw()).map_or(otherwise, Price::from_raw)
}

fn day_ticker(hall: &mut Hall, symbol: Symbol) -> Result<String, ApiError> {
    let day = Span::from_secs(86_400);
    let whole = sum(&minutes(hall, symbol, day));
    let tape = tape(hall, symbol)?;
    let close_time = hall.market.until;
    let whole = whole.unwrap_or_else(|| Bar::flat(close_time - day, tape.last_price().unwrap_or(Price::ZERO)));
    let last = tape.last_price().unwrap_or(whole.close);
    let nothing = crate::domain::Level { price: Price::ZERO, qty: Qty::ZERO };
    let (_, bid, ask) = tape.best().unwrap_or((0, nothing, nothing));
    let fixed = |price: Price| text(&Fixed(price)).trim_matches('"').to_owned();
    let percent = if whole.open.is_positive() { (last.to_f64() / whole.open.to_f64() - 1.0) * 100.0 } else { 0.0 };
    Ok(text(&json!({
        "symbol": symbol.as_str(),
        "priceChange": fixed(last - whole.open),
        "priceChangePercent": format!("{percent:.3}"),
        "weightedAvgPrice": fixed(weighted(whole.quote_volume, whole.volume, last)),
        "prevClosePrice": fixed(whole.open),
        "lastPrice": fixed(last),
        "lastQty": format!("{:.8}", tape.trades(1).next().map_or(Qty::ZERO, |traded| traded.trade.qty)),
        "bidPrice": fixed(bid.price),
        "bidQty": format!("{:.8}", bid.qty),
        "askPrice": fixed(ask.price),
        "askQty": format!("{:.8}", ask.qty),
        "openPrice": fixed(whole.open),
        "highPrice": fixed(whole.high),
        "lowPrice": fixed(whole.low),
        "volume": format!("{:.8}", whole.volume),
        "quoteVolume": format!("{:.8}", whole.quote_volume),
        "openTime": Timestamp::millis(close_time - day),
        "closeTime": close_time.millis(),
        "firstId": -1,
        "lastId": tape.trades(1).next().map_or(-1, |traded| i64::try_from(traded.trade.id.0).unwrap_or(i64::MAX)),
        "count": whole.trades,
    })))
}
