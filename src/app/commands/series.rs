//! Which of the stored candle series a command works on.

use crate::app::Context;
use crate::app::failure::{Failure, Outcome};
use crate::app::training::instrument_of;
use crate::domain::{Candle, Interval, Symbol, Timestamp};
use crate::learning::SymbolSeries;
use crate::store::{CandleSeries, Store};

/// The named symbols (all without a name) at `interval`; without one at `bar` if there is such a series, else at the only interval there is.
pub fn choose(stored: &[CandleSeries], symbols: &[Symbol], interval: Option<Interval>, bar: Interval) -> Outcome<Vec<CandleSeries>> {
    if stored.is_empty() {
        return Err(Failure::failed("no candles are stored yet; huracan data import or data fetch brings some"));
    }
    for symbol in symbols {
        if !stored.iter().any(|s| s.symbol == *symbol) {
            return Err(Failure::failed(format!("no candles of {symbol} are stored ({}); import or fetch them", names(stored))));
        }
    }
    let wanted: Vec<&CandleSeries> = stored.iter().filter(|s| symbols.is_empty() || symbols.contains(&s.symbol)).collect();
    let interval = match interval {
        Some(interval) => interval,
        None if wanted.iter().any(|s| s.interval == bar) => bar,
        None if wanted.iter().all(|s| s.interval == wanted[0].interval) => wanted[0].interval,
        None => return Err(Failure::usage(format!("candles of several intervals are stored ({}); choose with --interval", names(stored)))),
    };
    let chosen: Vec<CandleSeries> = wanted.into_iter().filter(|s| s.interval == interval).copied().collect();
    let lacking: Vec<String> =
        symbols.iter().filter(|symbol| !chosen.iter().any(|s| s.symbol == **symbol)).map(Symbol::to_string).collect();
    if chosen.is_empty() || !lacking.is_empty() {
        return Err(Failure::failed(format!("no candles of {interval} are stored for {} ({})", lacking.join(", "), names(stored))));
    }
    Ok(chosen)
}

fn names(stored: &[CandleSeries]) -> String {
    stored.iter().map(|s| format!("{} {}", s.symbol, s.interval)).collect::<Vec<_>>().join(", ")
}

/// The candles of the series in `[from, until)` with the markets' rules. What the rules assume is added to `assumptions`.
pub fn load(
    context: &Context,
    store: &Store,
    chosen: &[CandleSeries],
    (from, until): (Timestamp, Timestamp),
    assumptions: &mut Vec<String>,
) -> Outcome<Vec<SymbolSeries>> {
    let mut loaded = Vec::new();
    for series in chosen {
        let candles: Vec<Candle> = store.candles(series.symbol, series.interval, from, until)?;
        let known = instrument_of(store, series.symbol, series.interval, context.config.fees())?;
        assumptions.extend(known.notes.iter().map(|note| format!("{}: {note}", series.symbol)));
        loaded.push(SymbolSeries { symbol: series.symbol, instrument: known.instrument, interval: series.interval, candles });
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(list: &[(&str, &str)]) -> Vec<CandleSeries> {
        let one = |(symbol, interval): &(&str, &str)| CandleSeries {
            symbol: symbol.parse().unwrap(),
            interval: interval.parse().unwrap(),
            count: 1,
            first: Timestamp::EPOCH,
            last: Timestamp::EPOCH,
            bytes: 1,
        };
        list.iter().map(one).collect()
    }

    fn chosen(list: &[(&str, &str)], symbols: &[&str], interval: Option<&str>) -> Result<Vec<String>, String> {
        let symbols: Vec<Symbol> = symbols.iter().map(|s| s.parse().unwrap()).collect();
        let interval = interval.map(|i| i.parse().unwrap());
        let series = choose(&stored(list), &symbols, interval, Interval::MINUTE).map_err(|failure| failure.to_string())?;
        Ok(series.iter().map(|s| format!("{} {}", s.symbol, s.interval)).collect())
    }

    #[test]
    fn the_configured_bar_wins_and_the_only_interval_will_do() {
        let mixed = [("A", "1m"), ("B", "1m"), ("B", "5m")];
        assert_eq!(chosen(&mixed, &[], None).unwrap(), ["A 1m", "B 1m"]);
        assert_eq!(chosen(&mixed, &["B"], Some("5m")).unwrap(), ["B 5m"]);
        assert_eq!(chosen(&[("C", "5m"), ("D", "5m")], &[], None).unwrap(), ["C 5m", "D 5m"]);
    }

    #[test]
    fn what_cannot_be_chosen_is_said() {
        assert!(chosen(&[("A", "5m"), ("A", "1h")], &[], None).unwrap_err().contains("--interval"));
        assert!(chosen(&[("A", "5m")], &["B"], None).unwrap_err().contains("no candles of B"));
        assert!(chosen(&[("A", "5m"), ("B", "1m")], &["A", "B"], Some("1m")).unwrap_err().contains("for A"));
        assert!(chosen(&[], &[], None).unwrap_err().contains("import"));
    }
}
