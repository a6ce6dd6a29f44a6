//! Files of recorded trades: Binance's `trades` and `aggTrades` tables, plain, gzip or zip, read row by row and never held as a whole.
//!
//! Source: binance-public-data README. aggTrades: id, price, quantity, first id, last id, time, buyer is maker, best match; trades: id,
//! price, quantity, quote quantity, time, buyer is maker, best match; the last column is missing in some, a header is there in some.
//! Times are milliseconds or microseconds, told apart by their size.

use std::io::Read;
use std::path::Path;

use csv::StringRecord;

use crate::domain::{Price, PublicTrade, Qty, Timestamp, TradeId};
use crate::venue::ohlcv::{OhlcvError, parse_number, parse_time, with_input};

/// Bad rows that are named; more are only counted.
const NAMED: usize = 100;

/// What a file of trades was like; `rows = trades + skipped`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TradeFile {
    pub rows: u64,
    pub skipped: u64,
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    /// Line and reason of the first hundred that were skipped.
    pub bad: Vec<(u64, String)>,
}

/// True when the file is a table of trades.
///
/// # Errors
/// When it cannot be read.
pub fn is_trades(path: &Path) -> Result<bool, OhlcvError> {
    with_input(path, |input| {
        let mut table = table(input);
        let mut record = StringRecord::new();
        // The second row decides: the first may be a header.
        let mut found = false;
        for _ in 0..2 {
            found |= matches!(table.read_record(&mut record), Ok(true)) && Columns::of(&record).is_some();
        }
        Ok(found)
    })
}

/// Calls `each` for every trade in the order of the file.
///
/// # Errors
/// When the file cannot be opened or breaks off. Bad rows are no errors: they are counted.
pub fn read_trades(path: &Path, mut each: impl FnMut(Timestamp, PublicTrade)) -> Result<TradeFile, OhlcvError> {
    with_input(path, |input| {
        let mut table = table(input);
        let mut record = StringRecord::new();
        let mut told = TradeFile::default();
        let unreadable = |error: csv::Error| OhlcvError::Open { path: path.to_owned(), source: std::io::Error::other(error) };
        while table.read_record(&mut record).map_err(unreadable)? {
            let line = record.position().map_or(0, csv::Position::line);
            match Columns::of(&record).ok_or_else(|| "not a row of trades".to_owned()).and_then(|columns| columns.trade(&record)) {
                Ok((at, trade)) => {
                    told.rows += 1;
                    told.first_time.get_or_insert(at);
                    told.last_time = told.last_time.max(Some(at));
                    each(at, trade);
                }
                // The header.
                Err(_) if told.rows == 0 && line <= 1 && record.get(1).is_some_and(|text| parse_number(text).is_none()) => {}
                Err(reason) => {
                    told.rows += 1;
                    told.skipped += 1;
                    if told.bad.len() < NAMED {
                        told.bad.push((line, reason));
                    }
                }
            }
        }
        Ok(told)
    })
}

fn table(input: &mut dyn Read) -> csv::Reader<&mut dyn Read> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(input)
}

/// Where time and side stand.
#[derive(Debug, Clone, Copy)]
struct Columns {
    time: usize,
    buyer_is_maker: usize,
}

impl Columns {
    /// Told by where the truth values stand: no other table has any.
    fn of(record: &StringRecord) -> Option<Self> {
        let truth = |place: usize| record.get(place).is_some_and(|text| parse_truth(text).is_some());
        match record.len() {
            8 if truth(6) && truth(7) => Some(Self { time: 5, buyer_is_maker: 6 }),
            7 if truth(5) && truth(6) => Some(Self { time: 4, buyer_is_maker: 5 }),
            7 if truth(6) => Some(Self { time: 5, buyer_is_maker: 6 }),
            6 if truth(5) => Some(Self { time: 4, buyer_is_maker: 5 }),
            _ => None,
        }
    }

    fn trade(self, record: &StringRecord) -> Result<(Timestamp, PublicTrade), String> {
        let text = |place: usize| record.get(place).unwrap_or("");
        let number = |place: usize| parse_number(text(place)).map(|(raw, _)| raw).filter(|raw| *raw > 0);
        let bad = |what: &str, place: usize| format!("{what} '{}'", text(place).chars().take(40).collect::<String>());
        let price = number(1).and_then(|raw| i64::try_from(raw).ok()).ok_or_else(|| bad("price", 1))?;
        let qty = number(2).ok_or_else(|| bad("quantity", 2))?;
        let (at, _) = parse_time(text(self.time)).ok_or_else(|| bad("time", self.time))?;
        let buyer_is_maker = parse_truth(text(self.buyer_is_maker)).ok_or_else(|| bad("side", self.buyer_is_maker))?;
        let id = text(0).parse().map_err(|_| bad("id", 0))?;
        Ok((at, PublicTrade { id: TradeId(id), price: Price::from_raw(price), qty: Qty::from_raw(qty), buyer_is_maker }))
    }
}

fn parse_truth(text: &str) -> Option<bool> {
    match text {
        "True" | "true" | "TRUE" => Some(true),
        "False" | "false" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn read(text: &str) -> (Vec<(i64, PublicTrade)>, TradeFile) {
        let file = file(text);
        assert!(is_trades(file.path()).unwrap(), "{text}");
        let mut trades = Vec::new();
        let told = read_trades(file.path(), |at, trade| trades.push((at.millis(), trade))).unwrap();
        (trades, told)
    }

    #[test]
    fn both_tables_are_read_in_both_units() {
        let joined = "7,100.5,2,11,12,1735689599000,True,True\n8,101,1,13,13,1735689600000000,False,True\n";
        let (trades, told) = read(joined);
        assert_eq!((trades[0].0, trades[1].0, told.rows, told.skipped), (1_735_689_599_000, 1_735_689_600_000, 2, 0));
        assert_eq!((trades[0].1.id, trades[0].1.price.to_string(), trades[0].1.buyer_is_maker), (TradeId(7), "100.5".to_owned(), true));
        let single = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n7,100.5,2,201,1735689599000,true,True\n";
        assert_eq!(read(single).0, trades[..1]);
    }

    #[test]
    fn a_bad_row_costs_itself_only() {
        let (trades, told) =
            read("1,10,1,10,1735689599000,True,True\n2,-1,1,10,1735689599001,True,True\nx\n3,10,1,10,1735689599002,True,True\n");
        assert_eq!((trades.len(), told.rows, told.skipped), (2, 4, 2));
        assert_eq!(told.bad[0], (2, "price '-1'".to_owned()));
    }

    #[test]
    fn candles_are_no_trades() {
        let candles = file("1735689540000,100,110,90,105,12.5,1735689659999,1300.5,42,6.25,650.1,0\n");
        assert!(!is_trades(candles.path()).unwrap());
    }
}
