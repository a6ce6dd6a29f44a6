//! The public endpoints: time, book, trades, candles, tickers.

use serde_json::json;

use super::endpoint::Endpoint;
use super::exchange_info::exchange_info;
use super::grid::Grid;
use super::hall::Hall;
use super::params::Params;
use super::placement::{known, symbol};
use super::refusal::ApiError;
use super::tape::{Tape, Traded};
use super::ticker::{AVERAGE_MINUTES, Extent, average_price, day_row, row_since, window};
use super::wire::json as text;
use super::wire_market::{AggTrade, BookTickerRow, DepthSnapshot, TradeRow};
use crate::domain::{Interval, Level, Price, Qty, Symbol, Timestamp};

const SYMBOLS: &str = "^\\[(\"[\\w\\-._&&[^a-z]]{1,50}\"(,\"[\\w\\-._&&[^a-z]]{1,50}\"){0,}){0,1}\\]$";
/// Symbols that the tickers of a chosen window take at once.
const MOST_SYMBOLS: usize = 100;

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
        Endpoint::HistoricalTrades => historical_trades(hall, params),
        Endpoint::AggTrades => agg_trades(hall, params),
        Endpoint::Klines => klines(hall, params),
        Endpoint::AvgPrice => {
            let symbol = symbol(params, &hall.symbols)?;
            let price = average_price(&mut hall.market, symbol);
            Ok(text(&json!({"mins": AVERAGE_MINUTES, "price": format!("{price:.8}"), "closeTime": hall.market.until.millis()})))
        }
        Endpoint::TickerPrice => per_symbol(hall, params, |hall, symbol| {
            let price = hall.market.tape(symbol).and_then(Tape::last_price).unwrap_or(Price::ZERO);
            Ok(text(&json!({"symbol": symbol.as_str(), "price": format!("{price:.8}")})))
        }),
        Endpoint::BookTicker => per_symbol(hall, params, |hall, symbol| {
            let nothing = Level { price: Price::ZERO, qty: Qty::ZERO };
            let best = tape(hall, symbol)?.best().unwrap_or((0, nothing, nothing));
            Ok(text(&BookTickerRow::of(&symbol, best)))
        }),
        Endpoint::Ticker24h => {
            let extent = Extent::parse(params)?;
            per_symbol(hall, params, |hall, symbol| day_row(hall, symbol, extent))
        }
        Endpoint::TradingDay => {
            let (extent, day) = (Extent::parse(params)?, Grid::parse("1d", params.text("timeZone")?)?);
            let from = day.open_of(hall.market.until);
            chosen(params)?;
            per_symbol(hall, params, |hall, symbol| row_since(hall, symbol, from, extent))
        }
        Endpoint::RollingTicker => {
            let extent = Extent::parse(params)?;
            let from = (hall.market.until - window(params)?).floor_to(Interval::MINUTE);
            chosen(params)?;
            per_symbol(hall, params, |hall, symbol| row_since(hall, symbol, from, extent))
        }
        _ => Err(ApiError::KeyFormat),
    }
}

/// Endpoints that never answer for all symbols at once.
fn chosen(params: &Params) -> Result<(), ApiError> {
    match params.text("symbols")? {
        None => params.required("symbol").map(|_| ()),
        Some(list) if list.split(',').count() > MOST_SYMBOLS => Err(ApiError::BadData("symbols")),
        Some(_) => Ok(()),
    }
}

fn tape(hall: &Hall, symbol: Symbol) -> Result<&Tape, ApiError> {
    hall.market.tape(symbol).ok_or(ApiError::Symbol)
}

/// The symbols of `symbol=A` or `symbols=["A","B"]`; `None` when neither is sent.
pub(super) fn wanted(params: &Params, symbols: &[Symbol]) -> Result<Option<Vec<Symbol>>, ApiError> {
    if params.get("symbol").is_some() {
        if params.get("symbols").is_some() {
            return Err(ApiError::Combination);
        }
        return Ok(Some(vec![symbol(params, symbols)?]));
    }
    let Some(list) = params.text("symbols")? else { return Ok(None) };
    let names: Vec<String> = serde_json::from_str(list).map_err(|_| ApiError::Illegal { name: "symbols", range: SYMBOLS })?;
    let found: Vec<Symbol> = names.iter().map(|name| known(name, symbols)).collect::<Result<_, _>>()?;
    let mut once = found.clone();
    once.sort_unstable();
    once.dedup();
    if once.len() < found.len() {
        return Err(ApiError::Rejected { code: -1151, message: "Symbol is present multiple times in the list.".to_owned() });
    }
    Ok(Some(found))
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

/// The newest `limit`, or the oldest from `fromId`; as far back as the tape goes.
fn historical_trades(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let limit = params.limit(500, 1_000)?;
    let tape = tape(hall, symbol(params, &hall.symbols)?)?;
    let rows: Vec<TradeRow> = match params.integer("fromId")? {
        None => tape.trades(limit).map(TradeRow::of).collect(),
        Some(id) => tape.trades(usize::MAX).filter(|traded| traded.trade.id.0 >= id).take(limit).map(TradeRow::of).collect(),
    };
    Ok(text(&rows))
}

fn agg_trades(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let tape = tape(hall, symbol(params, &hall.symbols)?)?;
    let limit = params.limit(500, 1_000)?;
    let (from_id, start, end) = (params.integer("fromId")?, params.time("startTime")?, params.time("endTime")?);
    if from_id.is_some() && (start.is_some() || end.is_some()) {
        return Err(ApiError::Combination);
    }
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
/// Times beyond the market's are clamped to it.
fn klines(hall: &mut Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let grid = Grid::parse(params.required("interval")?, params.text("timeZone")?)?;
    let limit = params.limit(500, 1_000)?;
    let end = params.time("endTime")?.map_or(hall.market.until, |end| end.min(hall.market.until));
    let newest = grid.open_of(end);
    let oldest = grid.open_of(hall.market.first_time(symbol));
    let (first, last) = match params.time("startTime")?.map(|start| start.max(oldest)) {
        Some(start) => {
            let floor = grid.open_of(start);
            let first = if floor < start { grid.next(floor) } else { floor };
            (first, stepped(first, limit, |open| grid.next(open)).min(newest))
        }
        None => (stepped(newest, limit, |open| grid.previous(open)).max(oldest), newest),
    };
    let bars = if first <= last { hall.market.grid_bars(symbol, grid, first, last) } else { Vec::new() };
    Ok(text(&bars.iter().map(|bar| bar.row(grid.close_ms(bar.open_time))).collect::<Vec<_>>()))
}

/// `limit - 1` steps from `open`.
fn stepped(open: Timestamp, limit: usize, step: impl Fn(Timestamp) -> Timestamp) -> Timestamp {
    (1..limit).fold(open, |open, _| step(open))
}
