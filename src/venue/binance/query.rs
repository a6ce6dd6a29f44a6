//! Parameters of a call and their signature.
//!
//! Source: Binance request-security.md. REST: percent-encode, then sign, `signature` last. WebSocket API: sort by name, no encoding, sign.

use serde_json::{Map, Value};

use super::endpoint::Credentials;

/// Parameters in the order they were added.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// `a=1&b=2`, percent-encoded.
    pub fn encoded(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(name);
            out.push('=');
            percent_encode(value, &mut out);
        }
        out
    }

    /// The encoded form with its signature (percent-encoded too: base64 has `+`, `/` and `=`) as the last parameter.
    pub fn signed(&self, credentials: &Credentials) -> String {
        let mut text = self.encoded();
        let signature = credentials.sign(&text);
        text.push_str("&signature=");
        percent_encode(&signature, &mut text);
        text
    }

    /// WebSocket API parameters without a signature.
    pub fn for_websocket(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), json(name, value))).collect()
    }

    /// WebSocket API parameters with `signature`.
    pub fn signed_for_websocket(&self, credentials: &Credentials) -> Map<String, Value> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        let payload: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let signature = credentials.sign(&payload.join("&"));
        let named = sorted.into_iter().map(|(name, value)| (name.to_owned(), json(name, &value)));
        named.chain([("signature".to_owned(), Value::String(signature))]).collect()
    }
}

/// Whole numbers travel as JSON numbers, as the documents have them; their literal text is what is signed. Decimals stay text: exact.
fn json(name: &str, value: &str) -> Value {
    const WHOLE: [&str; 8] = ["timestamp", "recvWindow", "orderId", "cancelOrderId", "orderListId", "fromId", "limit", "trailingDelta"];
    match value.parse::<u64>() {
        Ok(number) if WHOLE.contains(&name) && number.to_string() == value => Value::from(number),
        _ => Value::String(value.to_owned()),
    }
}

/// Everything but RFC 3986 unreserved characters becomes `%XX`.
pub(super) fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const UNICODE: &str = "\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}";

    fn documented() -> Credentials {
        Credentials::new(KEY, "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
    }

    fn rest_order(symbol: &str) -> String {
        Query::new()
            .with("symbol", symbol)
            .with("side", "BUY")
            .with("type", "LIMIT")
            .with("timeInForce", "GTC")
            .with("quantity", 1)
            .with("price", "0.1")
            .with("recvWindow", 5000)
            .with("timestamp", 1_499_827_319_559_i64)
            .signed(&documented())
    }

    #[test]
    fn rest_signatures_match_the_documented_vectors() {
        let ascii = rest_order("LTCBTC");
        assert!(ascii.ends_with("&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"), "{ascii}");
        let unicode = rest_order(UNICODE);
        assert!(unicode.starts_with("symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY"), "{unicode}");
        assert!(unicode.ends_with("&signature=e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"), "{unicode}");
    }

    fn ws_signature(symbol: &str, side: &str, price: &str, qty: &str, window: &str) -> Value {
        let query = Query::new()
            .with("symbol", symbol)
            .with("side", side)
            .with("type", "LIMIT")
            .with("timeInForce", "GTC")
            .with("quantity", qty)
            .with("price", price)
            .with("recvWindow", window)
            .with("timestamp", "1645423376532")
            .with("apiKey", KEY);
        query.signed_for_websocket(&documented())["signature"].clone()
    }

    #[test]
    fn websocket_signatures_match_the_documented_vectors() {
        let ascii = ws_signature("BTCUSDT", "SELL", "52000.00", "0.01000000", "100");
        assert_eq!(ascii, "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24");
        let unicode = ws_signature(UNICODE, "BUY", "0.10000000", "1.00000000", "5000");
        assert_eq!(unicode, "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd");
    }

    #[test]
    fn a_signature_over_query_and_body_has_no_separator() {
        let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
        let body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let signature = documented().sign(&format!("{query}{body}"));
        assert_eq!(signature, "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77");
    }

    #[test]
    fn a_base64_signature_is_percent_encoded_on_the_wire() {
        let pem = crate::venue::binance::keys::tests::ed25519(crate::venue::binance::keys::tests::FIX_KEY);
        let query = Query::new()
            .with("symbol", "BTCUSDT")
            .with("side", "SELL")
            .with("type", "LIMIT")
            .with("timeInForce", "GTC")
            .with("quantity", 1)
            .with("price", "0.2")
            .with("timestamp", 1_668_481_559_918_i64)
            .with("recvWindow", 5000);
        let text = query.signed(&Credentials::recognise("key", &pem).unwrap());
        let wanted = "&signature=inDT086KVIP8vgUfw5sV3VTkescWztiAGlf4x8FLKHM4NInsn0c1kYVLoGMO8cyjfR6vmTku2YQE0gtfVVlfCw%3D%3D";
        assert!(text.ends_with(wanted), "{text}");
    }

    #[test]
    fn whole_numbers_are_numbers_on_the_websocket_and_decimals_stay_text() {
        let sent = Query::new().with("timestamp", 5).with("price", "1.50").with("quantity", 7).with("orderId", "007").for_websocket();
        assert_eq!(Value::Object(sent).to_string(), r#"{"orderId":"007","price":"1.50","quantity":"7","timestamp":5}"#);
    }
}
