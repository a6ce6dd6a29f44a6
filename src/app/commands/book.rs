//! `huracan book`: the order book of recorded captures, rebuilt line by line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::progress;
use crate::app::Context;
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::domain::{Level, Price, Qty, Symbol};
use crate::market::{OrderBook, merge_by_local_time};
use crate::venue::capture::CaptureReader;

/// Levels a side in the answer, and in the text for people.
const LEVELS: usize = 100;
const SHOWN_LEVELS: usize = 10;
/// Unreadable lines that are shown; all are counted.
const SHOWN_FAULTS: usize = 5;

/// One market at the end of the captures.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct FinalBook {
    symbol: Symbol,
    diffs_applied: u64,
    diffs_dropped: u64,
    gaps: u64,
    last_update_id: u64,
    /// False when a gap was never healed: there are no levels then.
    valid: bool,
    best_bid: Option<Price>,
    best_ask: Option<Price>,
    bids: Vec<(Price, Qty)>,
    asks: Vec<(Price, Qty)>,
}

#[derive(Debug, Serialize)]
struct Answer {
    lines: u64,
    unreadable: u64,
    /// The book itself when there is one market.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    book: Option<FinalBook>,
    /// The books when there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    books: Vec<FinalBook>,
}

/// Merges the captures by local time, so that a market's book continues from one file to the next.
pub fn book(context: &Context, captures: &[PathBuf]) -> Outcome {
    if captures.is_empty() {
        return Err(Failure::usage("name at least one capture: huracan book CAPTURE..."));
    }
    let mut readers = captures.iter().map(CaptureReader::open).collect::<Result<Vec<_>, _>>()?;
    let mut books: BTreeMap<Symbol, OrderBook> = BTreeMap::new();
    let bar = progress::bar(context.out, 0).with_message("messages");
    let mut faults = 0;
    for item in merge_by_local_time(readers.iter_mut()) {
        bar.inc(1);
        match item {
            Ok(update) => {
                books.entry(update.symbol).or_default().apply(&update);
            }
            Err(fault) => {
                faults += 1;
                if faults <= SHOWN_FAULTS {
                    bar.suspend(|| context.out.remark(&format!("{:#}", anyhow::Error::from(fault))));
                }
            }
        }
    }
    bar.finish_and_clear();
    let sum = |count: fn(&CaptureReader) -> u64| readers.iter().map(count).sum();
    let mut finals: Vec<FinalBook> = books.iter().map(|(symbol, book)| final_book(*symbol, book)).collect();
    let book = if finals.len() == 1 { finals.pop() } else { None };
    let answer = Answer { lines: sum(|r| r.counters().lines), unreadable: sum(|r| r.counters().unreadable), book, books: finals };
    context.out.answer(&answer, || text(&answer))
}

fn final_book(symbol: Symbol, book: &OrderBook) -> FinalBook {
    let counts = book.counts();
    let levels = |side: Vec<Level>| side.into_iter().map(|level| (level.price, level.qty)).collect::<Vec<_>>();
    let (bids, asks) = (levels(book.bids(LEVELS)), levels(book.asks(LEVELS)));
    FinalBook {
        symbol,
        diffs_applied: counts.diffs_applied,
        diffs_dropped: counts.diffs_dropped,
        gaps: counts.gaps,
        last_update_id: book.last_update_id(),
        valid: book.is_valid(),
        best_bid: bids.first().map(|(price, _)| *price),
        best_ask: asks.first().map(|(price, _)| *price),
        bids,
        asks,
    }
}

fn text(answer: &Answer) -> String {
    let mut text = format!("{} lines, {} unreadable", answer.lines, answer.unreadable);
    let books: Vec<&FinalBook> = answer.book.iter().chain(&answer.books).collect();
    if books.is_empty() {
        text.push_str("; no market data in them");
    }
    for book in books {
        text.push_str(&format!(
            "\n\n{}: {} diffs applied, {} dropped, {} gaps, last update {}\n",
            book.symbol, book.diffs_applied, book.diffs_dropped, book.gaps, book.last_update_id
        ));
        text.push_str(&ladder(book));
    }
    text
}

/// Asks from far to near above bids from near to far, as a trader reads it.
fn ladder(book: &FinalBook) -> String {
    if !book.valid {
        return "no valid book at the end: updates are missing and no snapshot followed".to_owned();
    }
    let mut rows = vec![vec![String::new(), "price".to_owned(), "quantity".to_owned()]];
    let row = |name: &str, (price, qty): &(Price, Qty)| vec![name.to_owned(), price.to_string(), qty.to_string()];
    rows.extend(book.asks.iter().take(SHOWN_LEVELS).rev().map(|level| row("ask", level)));
    rows.extend(book.bids.iter().take(SHOWN_LEVELS).map(|level| row("bid", level)));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BookSnapshot, MarketData, MarketUpdate, Timestamp};

    fn level(price: &str, qty: &str) -> Level {
        Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
    }

    fn shown() -> FinalBook {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let data = MarketData::Snapshot(BookSnapshot {
            last_update_id: 7,
            bids: vec![level("99.5", "1"), level("99", "2")],
            asks: vec![level("100", "3")],
        });
        let mut book = OrderBook::new();
        book.apply(&MarketUpdate { symbol, exchange_time: None, local_time: Timestamp::EPOCH, data });
        final_book(symbol, &book)
    }

    #[test]
    fn one_market_is_told_at_the_top_level() {
        let answer = Answer { lines: 1, unreadable: 0, book: Some(shown()), books: Vec::new() };
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!((json["best_bid"].as_str(), json["last_update_id"].as_u64()), (Some("99.5"), Some(7)));
        assert_eq!(json["bids"][1], serde_json::json!(["99", "2"]));
        assert!(json.get("books").is_none());
    }

    #[test]
    fn the_ladder_reads_from_far_asks_down_to_far_bids() {
        let text = ladder(&shown());
        let prices: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(prices, ["100", "99.5", "99"]);
        assert!(ladder(&FinalBook { valid: false, ..shown() }).contains("no valid book"));
    }
}
