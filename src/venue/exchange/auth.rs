//! Who asks: the account's key pair, request signatures over the bytes as received, and the rules about time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::params::Params;
use super::refusal::ApiError;
use crate::domain::{Qty, Span, Timestamp};

const KEY_LETTERS: usize = 64;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// How far a timestamp may run ahead of the server.
const AHEAD: Span = Span::from_millis(1_000);
/// 2017-01-01T00:00:00Z: no earlier timestamp is taken.
const EARLIEST: Timestamp = Timestamp::from_millis(1_483_228_800_000);

/// An API key and its HMAC secret, 64 letters and digits each.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct KeyPair {
    pub key: String,
    pub secret: String,
}

impl KeyPair {
    /// The pair that belongs to `seed`: the same at every start.
    pub fn from_seed(seed: u64) -> Self {
        Self { key: letters(seed, b"key"), secret: letters(seed, b"secret") }
    }

    /// A signed REST request: `X-MBX-APIKEY`, `timestamp`, `recvWindow` and the signature over query and body.
    pub fn check_rest(&self, header: Option<&str>, query: &str, body: &str, params: &Params, now: Timestamp) -> Result<(), ApiError> {
        self.check_key(header)?;
        check_time(params, now)?;
        let signature = params.required("signature")?;
        let payload = unsigned(query) + &unsigned(body);
        self.verify(payload.as_bytes(), signature)
    }

    /// A signed WebSocket API message: the parameters sorted by name, values by their literal text, without percent-encoding.
    pub fn check_message(&self, sent: &[(String, String)], params: &Params, now: Timestamp) -> Result<(), ApiError> {
        self.check_key(Some(params.required("apiKey")?))?;
        check_time(params, now)?;
        let signature = params.required("signature")?;
        let mut sorted: Vec<_> = sent.iter().filter(|(name, _)| name != "signature").collect();
        sorted.sort();
        let payload: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.verify(payload.join("&").as_bytes(), signature)
    }

    /// The key alone, as endpoints without signature but with key want it.
    fn check_key(&self, key: Option<&str>) -> Result<(), ApiError> {
        let key = key.ok_or(ApiError::KeyFormat)?;
        if key.len() != KEY_LETTERS || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ApiError::KeyFormat);
        }
        if key == self.key { Ok(()) } else { Err(ApiError::KeyUnknown) }
    }

    fn verify(&self, payload: &[u8], signature: &str) -> Result<(), ApiError> {
        let given = hex::decode(signature).map_err(|_| ApiError::Signature)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(payload);
        mac.verify_slice(&given).map_err(|_| ApiError::Signature)
    }
}

/// `timestamp < now + 1000 ms` and `now - timestamp <= recvWindow`; in whole milliseconds, as clients count.
fn check_time(params: &Params, now: Timestamp) -> Result<(), ApiError> {
    params.required("timestamp")?;
    let sent = params.time("timestamp")?.ok_or(ApiError::Missing("timestamp"))?;
    // `recvWindow` is milliseconds with up to three decimals; `Qty` holds 1e-8 of one.
    let window = params.decimal::<Qty>("recvWindow")?.unwrap_or(Qty::from_raw(5_000 * 100_000_000));
    if window > Qty::from_raw(60_000 * 100_000_000) {
        return Err(ApiError::WindowTooWide);
    }
    let window = Span::from_nanos(i64::try_from(window.raw() / 100).unwrap_or(i64::MAX));
    let now = Timestamp::from_millis(now.millis());
    if sent.since(now) >= AHEAD {
        return Err(ApiError::TooEarly);
    }
    if sent < EARLIEST || now.since(sent) > window {
        return Err(ApiError::TooLate);
    }
    Ok(())
}

/// The raw text without its `signature` parameter, every other byte as received.
fn unsigned(raw: &str) -> String {
    if raw.starts_with(['{', '[']) {
        return String::new();
    }
    raw.split('&').filter(|part| !part.starts_with("signature=")).collect::<Vec<_>>().join("&")
}

fn letters(seed: u64, purpose: &[u8]) -> String {
    let mut text = String::with_capacity(KEY_LETTERS);
    for block in 0_u8.. {
        let mut hash = Sha256::new();
        hash.update(b"huracan simulated exchange");
        hash.update(purpose);
        hash.update(seed.to_le_bytes());
        hash.update([block]);
        // 248 = 4 x 62: dropping the rest keeps every letter equally likely.
        let drawn = hash.finalize().into_iter().filter(|b| *b < 248).map(|b| char::from(ALPHABET[usize::from(b % 62)]));
        text.extend(drawn.take(KEY_LETTERS - text.len()));
        if text.len() == KEY_LETTERS {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented() -> KeyPair {
        KeyPair {
            key: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A".into(),
            secret: "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j".into(),
        }
    }

    fn rest(query: &str, body: &str, now: i64) -> Result<(), ApiError> {
        let pair = documented();
        let params = Params::parse(query, body)?;
        pair.check_rest(Some(&pair.key), query, body, &params, Timestamp::from_millis(now))
    }

    /// The documented REST vectors carry a timestamp of July 2017.
    const THEN: i64 = 1_499_827_319_560;

    #[test]
    fn the_documented_rest_vectors_verify() {
        let ascii = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(rest(&format!("{ascii}&signature={signature}"), "", THEN), Ok(()));
        assert_eq!(rest(&format!("signature={}&{ascii}", signature.to_uppercase()), "", THEN), Ok(()));
        assert_eq!(rest("", &format!("{ascii}&signature={signature}"), THEN), Ok(()));
        assert_eq!(rest(&format!("{ascii}&signature={signature}").replace("=0.1", "=0.2"), "", THEN), Err(ApiError::Signature));
        let unicode = "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let signature = "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3";
        assert_eq!(rest(&format!("{unicode}&signature={signature}"), "", THEN), Ok(()));
        let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
        let body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559&signature=0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77";
        assert_eq!(rest(query, body, THEN), Ok(()));
    }

    #[test]
    fn the_documented_websocket_vectors_verify() {
        let pair = documented();
        let check = |fields: &[(&str, &str)]| {
            let mut sent: Vec<(String, String)> = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            sent.push(("apiKey".into(), pair.key.clone()));
            let params = Params::from_pairs(sent.clone());
            pair.check_message(&sent, &params, Timestamp::from_millis(1_645_423_376_532))
        };
        let ascii = [
            ("symbol", "BTCUSDT"),
            ("side", "SELL"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "0.01000000"),
            ("price", "52000.00"),
            ("recvWindow", "100"),
            ("timestamp", "1645423376532"),
            ("signature", "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"),
        ];
        assert_eq!(check(&ascii), Ok(()));
        let unicode = [
            ("symbol", "\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}"),
            ("side", "BUY"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "1.00000000"),
            ("price", "0.10000000"),
            ("recvWindow", "5000"),
            ("timestamp", "1645423376532"),
            ("signature", "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd"),
        ];
        assert_eq!(check(&unicode), Ok(()));
        let mut forged = ascii;
        forged[4].1 = "0.01";
        assert_eq!(check(&forged), Err(ApiError::Signature));
    }

    #[test]
    fn timestamps_may_be_a_window_late_and_less_than_a_second_early() {
        let at = |timestamp: i64, window: &str| {
            let params = Params::parse(&format!("timestamp={timestamp}&recvWindow={window}"), "").unwrap();
            check_time(&params, Timestamp::from_millis(THEN))
        };
        assert_eq!(at(THEN, "5000"), Ok(()));
        assert_eq!(at(THEN + 999, "5000"), Ok(()));
        assert_eq!(at(THEN + 1000, "5000"), Err(ApiError::TooEarly));
        assert_eq!(at(THEN - 5000, "5000"), Ok(()));
        assert_eq!(at(THEN - 5001, "5000"), Err(ApiError::TooLate));
        assert_eq!(at(THEN - 1, "0.5"), Err(ApiError::TooLate));
        assert_eq!(at(THEN, "60001"), Err(ApiError::WindowTooWide));
        assert_eq!(at(0, "60000"), Err(ApiError::TooLate));
        let none = Params::default();
        assert_eq!(check_time(&none, Timestamp::from_millis(THEN)), Err(ApiError::Missing("timestamp")));
    }

    #[test]
    fn keys_follow_from_the_seed() {
        let pair = KeyPair::from_seed(7);
        assert!(pair == KeyPair::from_seed(7) && pair.key != KeyPair::from_seed(8).key && pair.key != pair.secret);
        assert!(pair.key.len() == 64 && pair.secret.len() == 64);
        assert_eq!(pair.check_key(None), Err(ApiError::KeyFormat));
        assert_eq!(pair.check_key(Some("short")), Err(ApiError::KeyFormat));
        assert_eq!(pair.check_key(Some(&KeyPair::from_seed(8).key)), Err(ApiError::KeyUnknown));
    }
}
