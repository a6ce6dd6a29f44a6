//! An instrument from candles alone, for markets whose rules are not at hand: the grains are what the data shows.

use crate::domain::{Asset, Candle, FeeRates, Instrument, Money, Price, Qty, Symbol};

/// Longest first, so that `BTCFDUSD` is not cut at `USD`.
const QUOTES: [&str; 22] = [
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "PAX", "DAI", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "BTC", "ETH", "BNB",
    "XRP", "TRX", "SOL", "DOGE",
];
/// Fewer prices than this may all lie on a coarser grid by chance.
const ENOUGH_CANDLES: usize = 100;

/// Tick and step as the coarsest 1, 2 or 5 times 10^k (step: 10^k) that divides every price and volume; assets split by known quote names.
/// Bounds that candles cannot show are "no bound". The notes say what was assumed, one sentence each.
#[must_use]
pub fn infer_instrument(symbol: Symbol, candles: &[Candle], fees: FeeRates) -> (Instrument, Vec<String>) {
    let mut notes = Vec::new();
    let (base, quote) = split(symbol, &mut notes);
    let price_grain = candles.iter().flat_map(|c| [c.open, c.high, c.low, c.close]).fold(0, |g, p| gcd(g, i128::from(p.raw())));
    let volume_grain =
        candles.iter().map(|c| c.volume).chain(candles.iter().filter_map(|c| c.taker_buy_volume)).fold(0, |g, q| gcd(g, q.raw()));
    let tick = Price::from_raw(round_grain(price_grain, &[5, 2, 1]).and_then(|g| i64::try_from(g).ok()).unwrap_or(1));
    let step = Qty::from_raw(round_grain(volume_grain, &[1]).unwrap_or(1));
    notes.push(format!("tick {tick} and step {step} are inferred from {} candles", candles.len()));
    if candles.len() < ENOUGH_CANDLES {
        notes.push("few candles: the real grid may be finer".to_owned());
    }
    if volume_grain == 0 {
        notes.push("the data has no volumes: the step is the finest possible".to_owned());
    }
    notes.push("minimum notional and quantity bounds are unknown: none are applied".to_owned());
    let instrument = Instrument {
        symbol,
        base,
        quote,
        trading: true,
        tick,
        step,
        min_qty: step,
        max_qty: Qty::ZERO,
        min_notional: Money::ZERO,
        max_notional: Money::ZERO,
        fees,
    };
    (instrument, notes)
}

/// Base and quote by the quote's name at the end.
pub(super) fn split(symbol: Symbol, notes: &mut Vec<String>) -> (Asset, Asset) {
    let text = symbol.as_str();
    let parsed = |base: &str, quote: &str| Some((base.parse().ok()?, quote.parse().ok()?));
    let known = QUOTES.iter().find_map(|quote| parsed(text.strip_suffix(quote)?.trim_end_matches(['-', '/', '_']), quote));
    if let Some(names) = known {
        return names;
    }
    let base = text.strip_suffix("PERP").map_or(text, |b| b.trim_end_matches(['-', '/', '_']));
    notes.push(format!("the quote asset of {symbol} is not in its name: USD is assumed"));
    parsed(base, "USD").unwrap_or((symbol, symbol))
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The largest `lead times 10^k` that divides `grain`; `None` for zero.
fn round_grain(grain: i128, leads: &[i128]) -> Option<i128> {
    if grain == 0 {
        return None;
    }
    let mut power = 1;
    while grain % (power * 10) == 0 {
        power *= 10;
    }
    leads.iter().map(|lead| lead * power).filter(|g| grain % g == 0).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bps, Timestamp};

    const FEES: FeeRates = FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) };

    fn candle(open: &str, close: &str, volume: &str) -> Candle {
        let (open, close): (Price, Price) = (open.parse().unwrap(), close.parse().unwrap());
        let (high, low) = (open.max(close), open.min(close));
        let open_time = Timestamp::EPOCH;
        Candle { open_time, open, high, low, close, volume: volume.parse().unwrap(), taker_buy_volume: None, trades: 0 }
    }

    #[test]
    fn grains_are_what_the_data_shows() {
        let (btc, notes) = infer_instrument("BTCUSDT".parse().unwrap(), &[candle("61837.5", "61838", "0.003")], FEES);
        assert_eq!((btc.tick.to_string(), btc.step.to_string()), ("0.5".to_owned(), "0.001".to_owned()));
        assert_eq!((btc.base.as_str(), btc.quote.as_str(), btc.fees), ("BTC", "USDT", FEES));
        assert!(notes.iter().any(|n| n.contains("few candles")));
        let (ada, _) = infer_instrument("ADABTC".parse().unwrap(), &[candle("0.00005330", "0.00005291", "431401.97869504")], FEES);
        assert_eq!((ada.tick.raw(), ada.step.raw(), ada.quote.as_str()), (1, 1, "BTC"));
    }

    #[test]
    fn names_are_split_at_the_longest_known_quote() {
        for (name, base, quote) in
            [("BTCFDUSD", "BTC", "FDUSD"), ("ETH-USD", "ETH", "USD"), ("BTCPERP", "BTC", "USD"), ("XYZ", "XYZ", "USD")]
        {
            let (instrument, notes) = infer_instrument(name.parse().unwrap(), &[], FEES);
            assert_eq!((instrument.base.as_str(), instrument.quote.as_str()), (base, quote), "{name}");
            assert_eq!(notes.iter().any(|n| n.contains("assumed")), !name.contains("USD"), "{name}");
        }
    }
}
