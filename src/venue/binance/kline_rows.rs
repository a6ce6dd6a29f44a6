//! Candles row by row, for downloads that name what they leave out.

use serde_json::value::RawValue;

use super::error::{Call, ClientError};
use super::http::Terms;
use super::market_wire::KlineWire;
use super::query::Query;
use super::rest::RestClient;
use crate::domain::{Interval, Symbol, Timestamp};
use crate::venue::history::{ReadRow, Row};

const KLINES: Call = Call { method: "GET", path: "/api/v3/klines" };
/// Rows of one page, the most the venue gives.
pub const KLINE_PAGE: usize = 1_000;
const SHOWN_CHARS: usize = 80;

impl RestClient {
    /// The oldest rows with `start <= open time < until`, at most `limit` (1,000), as the venue gives them: the forming candle is among
    /// them, and a row that cannot be read is one error of its own.
    pub async fn kline_rows(
        &self,
        symbol: Symbol,
        interval: Interval,
        start: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<ReadRow>, ClientError> {
        let last = (until < Timestamp::MAX).then(|| Timestamp::from_nanos(until.nanos().saturating_sub(1)).millis());
        let query = Query::new()
            .with("symbol", symbol)
            .with("interval", interval)
            .with("startTime", start.millis())
            .with_some("endTime", last)
            .with("limit", limit.min(KLINE_PAGE));
        let rows: Vec<Box<RawValue>> = self.http().call(KLINES, query, Terms::download(2)).await?;
        Ok(rows.iter().map(|raw| read(raw)).collect())
    }

    /// The address that is asked.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.http().endpoint().rest
    }
}

fn read(raw: &RawValue) -> ReadRow {
    let named = |error: serde_json::Error| format!("{}: {error}", raw.get().chars().take(SHOWN_CHARS).collect::<String>());
    let wire: KlineWire = serde_json::from_str(raw.get()).map_err(named)?;
    Ok(Row { candle: wire.candle(), close_time: wire.close_time() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_that_cannot_be_read_costs_itself_only() {
        let text = r#"[[60000,"1","2","0.5","1.5","10",119999,"15",3,"4","6","0"],[120000,"x"],
            [180000,"1","2","0.5","1.5","10",239999,"15",3,"4","6","0"]]"#;
        let rows: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
        let rows: Vec<ReadRow> = rows.iter().map(|raw| read(raw)).collect();
        assert_eq!(rows[0].as_ref().unwrap().close_time, Timestamp::from_millis(119_999));
        assert!(rows[1].as_ref().unwrap_err().starts_with("[120000,"));
        assert_eq!(rows[2].as_ref().unwrap().candle.trades, 3);
    }
}
