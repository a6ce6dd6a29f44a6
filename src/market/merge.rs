//! Several recorded streams as one, in the order of arrival.

use crate::domain::MarketUpdate;

/// Merges streams by local time. Ties, and times that run backwards within a stream, keep the order of the streams and of their lines.
/// An error comes out right after the update it followed in its stream.
pub fn merge_by_local_time<I, E>(streams: impl IntoIterator<Item = I>) -> Merged<I::IntoIter, E>
where
    I: IntoIterator<Item = Result<MarketUpdate, E>>,
{
    let streams = streams.into_iter().map(|stream| {
        let mut rest = stream.into_iter();
        (rest.next(), rest)
    });
    Merged { streams: streams.collect() }
}

/// The iterator of `merge_by_local_time`: each stream's next item, and the rest of the stream.
#[derive(Debug)]
pub struct Merged<I, E> {
    streams: Vec<(Option<Result<MarketUpdate, E>>, I)>,
}

impl<E, I: Iterator<Item = Result<MarketUpdate, E>>> Iterator for Merged<I, E> {
    type Item = Result<MarketUpdate, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let time = |head: &Result<MarketUpdate, E>| head.as_ref().map_or(i64::MIN, |update| update.local_time.nanos());
        let heads = self.streams.iter().enumerate().filter_map(|(at, (head, _))| head.as_ref().map(|head| (time(head), at)));
        let (_, first) = heads.min()?;
        let (head, rest) = &mut self.streams[first];
        std::mem::replace(head, rest.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MarketData, Timestamp};

    fn update(symbol: &str, local: i64) -> Result<MarketUpdate, &'static str> {
        let data = MarketData::Interrupted;
        Ok(MarketUpdate { symbol: symbol.parse().unwrap(), exchange_time: None, local_time: Timestamp::from_nanos(local), data })
    }

    fn shown(items: impl Iterator<Item = Result<MarketUpdate, &'static str>>) -> Vec<String> {
        items.map(|item| item.map_or_else(str::to_owned, |u| format!("{}{}", u.symbol, u.local_time.nanos()))).collect()
    }

    #[test]
    fn streams_merge_by_arrival_and_ties_keep_the_order_of_the_streams() {
        let a = vec![update("A", 1), update("A", 3), update("A", 3), update("A", 9)];
        let b = vec![update("B", 2), update("B", 3), update("B", 4)];
        assert_eq!(shown(merge_by_local_time([a, b])), ["A1", "B2", "A3", "A3", "B3", "B4", "A9"]);
    }

    #[test]
    fn an_error_stays_behind_the_update_it_followed() {
        let a = vec![update("A", 1), update("A", 8)];
        let b = vec![update("B", 2), Err("torn"), update("B", 3)];
        assert_eq!(shown(merge_by_local_time([a, b])), ["A1", "B2", "torn", "B3", "A8"]);
    }

    #[test]
    fn no_streams_give_nothing() {
        assert!(shown(merge_by_local_time(Vec::<Vec<_>>::new())).is_empty());
    }
}
