//! The streams of a market by name, and the messages that subscribe them.

use serde_json::json;

use super::query::percent_encode;
use crate::domain::{MarketData, Symbol};

/// Names in one message, and in the address: both stay small.
const NAMES_AT_ONCE: usize = 90;

/// Which stream of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Depth,
    Trade,
    Quote,
}

pub(super) const KINDS: [Kind; 3] = [Kind::Depth, Kind::Trade, Kind::Quote];

/// One stream of one market.
pub(super) type Topic = (Symbol, Kind);

impl Kind {
    pub const fn of(data: &MarketData) -> Option<Self> {
        match data {
            MarketData::Depth(_) => Some(Self::Depth),
            MarketData::Trade(_) => Some(Self::Trade),
            MarketData::Quote(_) => Some(Self::Quote),
            MarketData::Snapshot(_) | MarketData::Candle { .. } | MarketData::Interrupted => None,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Depth => "depth@100ms",
            Self::Trade => "trade",
            Self::Quote => "bookTicker",
        }
    }
}

/// The stream's name as the venue writes it.
pub(super) fn name((symbol, kind): Topic) -> String {
    format!("{}@{}", symbol.as_str().to_lowercase(), kind.suffix())
}

fn all_of(symbols: &[Symbol]) -> impl Iterator<Item = Topic> {
    symbols.iter().flat_map(|symbol| KINDS.map(|kind| (*symbol, kind)))
}

/// The address of a combined stream with the first names; `remaining` subscribes the others.
pub(super) fn address(base: &str, symbols: &[Symbol]) -> String {
    let encoded = all_of(symbols).take(NAMES_AT_ONCE).map(|(symbol, kind)| {
        let mut name = String::new();
        percent_encode(&symbol.as_str().to_lowercase(), &mut name);
        format!("{name}@{}", kind.suffix())
    });
    format!("{base}/stream?streams={}", encoded.collect::<Vec<_>>().join("/"))
}

/// The messages that subscribe what the address does not name.
pub(super) fn remaining(symbols: &[Symbol]) -> Vec<String> {
    let rest: Vec<Topic> = all_of(symbols).skip(NAMES_AT_ONCE).collect();
    messages("SUBSCRIBE", &rest)
}

/// The messages that end streams and begin them anew.
pub(super) fn again(topics: &[Topic]) -> Vec<String> {
    let mut all = messages("UNSUBSCRIBE", topics);
    all.extend(messages("SUBSCRIBE", topics));
    all
}

fn messages(method: &str, topics: &[Topic]) -> Vec<String> {
    let message = |(number, names): (usize, &[Topic])| {
        let params: Vec<String> = names.iter().map(|topic| name(*topic)).collect();
        json!({ "method": method, "params": params, "id": number + 1 }).to_string()
    };
    topics.chunks(NAMES_AT_ONCE).enumerate().map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(count: usize) -> Vec<Symbol> {
        (0..count).map(|n| format!("COIN{n}USDT").parse().unwrap()).collect()
    }

    #[test]
    fn few_markets_are_named_in_the_address() {
        let symbols = symbols(2);
        assert!(
            address("ws://x", &symbols)
                .starts_with("ws://x/stream?streams=coin0usdt@depth@100ms/coin0usdt@trade/coin0usdt@bookTicker/coin1")
        );
        assert!(remaining(&symbols).is_empty());
    }

    #[test]
    fn a_full_connection_is_subscribed_with_few_messages() {
        let symbols = symbols(341);
        let address = address("ws://x", &symbols);
        let rest = remaining(&symbols);
        let named = address.matches("coin").count() + rest.iter().map(|text| text.matches("coin").count()).sum::<usize>();
        assert_eq!((named, rest.len()), (1_023, 11));
        assert!(address.len() < 4_000);
        assert!(rest[0].contains(r#""method":"SUBSCRIBE""#) && rest[0].contains(r#""id":1"#));
    }

    #[test]
    fn a_stream_is_ended_before_it_begins_anew() {
        let again = again(&[(symbols(1)[0], Kind::Depth)]);
        assert!(again[0].contains(r#""UNSUBSCRIBE""#) && again[1].contains(r#""SUBSCRIBE""#) && again[1].contains("coin0usdt@depth@100ms"));
    }
}
