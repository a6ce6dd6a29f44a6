//! Paths outside `/api/v3` that clients ask at their start: no margin, no futures, no wallet here, and every fee as it is.

use serde_json::json;

use super::door::Door;
use super::params::Params;
use super::wire::json as text;
use crate::domain::Bps;

/// The body, or `None` for a path that does not exist.
pub(super) async fn answer(door: &Door, path: &str, params: &Params) -> Option<String> {
    match path {
        "/sapi/v1/system/status" => Some(text(&json!({"status": 0, "msg": "normal"}))),
        "/sapi/v1/capital/config/getall" | "/sapi/v1/margin/allPairs" | "/sapi/v1/margin/isolated/allPairs" => Some("[]".to_owned()),
        "/fapi/v1/exchangeInfo" | "/dapi/v1/exchangeInfo" => {
            Some(text(&json!({"timezone": "UTC", "serverTime": door.clock.now().millis(), "rateLimits": [], "symbols": []})))
        }
        "/sapi/v1/asset/tradeFee" => {
            let wanted = params.get("symbol").map(str::to_owned);
            let listed = move |name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
            door.floor.run(move |hall| fees(hall.exchange.instruments().filter(|i| listed(i.symbol.as_str())))).await.ok()
        }
        _ => None,
    }
}

fn fees<'a>(instruments: impl Iterator<Item = &'a crate::domain::Instrument>) -> String {
    let fraction = |rate: Bps| format!("{:.8}", rate.to_f64() / 10_000.0);
    let row = |instrument: &crate::domain::Instrument| {
        json!({
            "symbol": instrument.symbol.as_str(),
            "makerCommission": fraction(instrument.fees.maker),
            "takerCommission": fraction(instrument.fees.taker),
        })
    };
    text(&instruments.map(row).collect::<Vec<_>>())
}
