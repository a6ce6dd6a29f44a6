//! Who asks: the account's keys, request signatures over the bytes as received, and the rules about time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
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
/// What stands before the key in `SubjectPublicKeyInfo` (RFC 8410): algorithm and the bit string's head.
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// `rsaEncryption` with its NULL (RFC 3279).
const RSA_ALGORITHM: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Every key of the account: the HMAC pair and public keys that were registered.
#[derive(Clone)]
pub(super) struct Keys {
    pub pair: KeyPair,
    pub public: Vec<PublicKey>,
}

/// An API key and its HMAC secret, 64 letters and digits each.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct KeyPair {
    pub key: String,
    pub secret: String,
}

impl KeyPair {
    /// The pair that belongs to `seed`: the same at every start.
    pub fn from_seed(seed: u64) -> Self {
        let seed = seed.to_le_bytes();
        Self { key: letters(&seed, b"key"), secret: letters(&seed, b"secret") }
    }
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// PKCS#1 v1.5 with SHA-256, 2048 to 4096 bits.
    Rsa,
    Ed25519,
}

/// A registered public key and the API key that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What `X-MBX-APIKEY` names; it follows from the public key.
    pub api_key: String,
    scheme: Scheme,
    /// As `ring` takes it: 32 bytes, or the DER of `RSAPublicKey`.
    bytes: Vec<u8>,
}

/// Why a text is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no PEM block BEGIN PUBLIC KEY; write one with: openssl pkey -in KEY.pem -pubout")]
    NoBlock,
    #[error("the block is not base64")]
    Base64,
    #[error("the key is neither Ed25519 nor RSA of 2048 to 4096 bits")]
    Kind,
}

impl PublicKey {
    /// Reads the first `PUBLIC KEY` block (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// When there is none, or its key is of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let inner = text.split_once("-----BEGIN PUBLIC KEY-----").and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"));
        let (inner, _) = inner.ok_or(KeyError::NoBlock)?;
        let packed: String = inner.split_whitespace().collect();
        let der = STANDARD.decode(packed).map_err(|_| KeyError::Base64)?;
        let (scheme, bytes) = match der.strip_prefix(&ED25519_HEAD) {
            Some(key) if key.len() == 32 => (Scheme::Ed25519, key.to_vec()),
            _ => (Scheme::Rsa, rsa_key(&der).filter(|key| (260..=530).contains(&key.len())).ok_or(KeyError::Kind)?.to_vec()),
        };
        Ok(Self { api_key: letters(&der, b"public"), scheme, bytes })
    }

    fn verify(&self, payload: &[u8], signature: &str) -> Result<(), ApiError> {
        let given = STANDARD.decode(signature).map_err(|_| ApiError::Signature)?;
        let checked = match self.scheme {
            Scheme::Rsa => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.bytes).verify(payload, &given),
            Scheme::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.bytes).verify(payload, &given),
        };
        checked.map_err(|_| ApiError::Signature)
    }
}

/// The `RSAPublicKey` inside a `SubjectPublicKeyInfo`.
fn rsa_key(der: &[u8]) -> Option<&[u8]> {
    let (0x30, info, []) = element(der)? else { return None };
    let (0x03, bits, []) = element(info.strip_prefix(&RSA_ALGORITHM)?)? else { return None };
    bits.strip_prefix(&[0])
}

/// The first DER element: its tag, its content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

impl Keys {
    /// A signed REST request: `X-MBX-APIKEY`, `timestamp`, `recvWindow` and the signature over query and body as received.
    pub fn check_rest(&self, header: Option<&str>, query: &[u8], body: &[u8], params: &Params, now: Timestamp) -> Result<(), ApiError> {
        let key = self.find(header)?;
        check_time(params, now)?;
        let signature = params.required("signature")?;
        let mut payload = unsigned(query);
        payload.extend(unsigned(body));
        key.verify(&payload, signature)
    }

    /// A signed WebSocket API message: the parameters sorted by name, values by their literal text, without percent-encoding.
    /// Gives the API key that signed.
    pub fn check_message(&self, sent: &[(String, String)], params: &Params, now: Timestamp) -> Result<String, ApiError> {
        let name = params.required("apiKey")?;
        let key = self.find(Some(name))?;
        check_time(params, now)?;
        let signature = params.required("signature")?;
        let mut sorted: Vec<_> = sent.iter().filter(|(name, _)| name != "signature").collect();
        sorted.sort();
        let payload: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        key.verify(payload.join("&").as_bytes(), signature)?;
        Ok(name.to_owned())
    }

    /// Whether a key may log a session on: Ed25519 only.
    pub fn may_log_on(&self, api_key: &str) -> bool {
        self.public.iter().any(|key| key.api_key == api_key && key.scheme == Scheme::Ed25519)
    }

    /// The key by its name, as endpoints without signature but with key want it.
    fn find(&self, name: Option<&str>) -> Result<Key<'_>, ApiError> {
        let name = name.ok_or(ApiError::KeyFormat)?;
        if name.len() != KEY_LETTERS || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ApiError::KeyFormat);
        }
        if name == self.pair.key {
            return Ok(Key::Secret(&self.pair.secret));
        }
        self.public.iter().find(|key| key.api_key == name).map(Key::Public).ok_or(ApiError::KeyUnknown)
    }
}

enum Key<'a> {
    Secret(&'a str),
    Public(&'a PublicKey),
}

impl Key<'_> {
    fn verify(&self, payload: &[u8], signature: &str) -> Result<(), ApiError> {
        match self {
            Self::Public(key) => key.verify(payload, signature),
            Self::Secret(secret) => {
                let given = hex::decode(signature).map_err(|_| ApiError::Signature)?;
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
                mac.update(payload);
                mac.verify_slice(&given).map_err(|_| ApiError::Signature)
            }
        }
    }
}

/// `timestamp < now + 1000 ms` and `now - timestamp <= recvWindow`; in whole milliseconds, as clients count.
pub(super) fn check_time(params: &Params, now: Timestamp) -> Result<(), ApiError> {
    params.required("timestamp")?;
    let sent = params.time("timestamp")?.ok_or(ApiError::Missing("timestamp"))?;
    // `recvWindow` is milliseconds with up to three decimals; `Qty` holds 1e-8 of one.
    let window = params.decimal::<Qty>("recvWindow")?.unwrap_or(Qty::from_raw(5_000 * 100_000_000));
    if window.raw() % 100_000 != 0 {
        return Err(ApiError::Missing("recvWindow"));
    }
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

/// The raw text without its `signature` parameter, every other byte as received. A JSON body is no part of it.
fn unsigned(raw: &[u8]) -> Vec<u8> {
    if raw.starts_with(b"{") || raw.starts_with(b"[") {
        return Vec::new();
    }
    raw.split(|byte| *byte == b'&').filter(|part| !part.starts_with(b"signature=")).collect::<Vec<_>>().join(&b'&')
}

fn letters(of: &[u8], purpose: &[u8]) -> String {
    let mut text = String::with_capacity(KEY_LETTERS);
    for block in 0_u8.. {
        let mut hash = Sha256::new();
        hash.update(b"huracan simulated exchange");
        hash.update(purpose);
        hash.update(of);
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

    fn documented() -> Keys {
        let pair = KeyPair {
            key: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A".into(),
            secret: "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j".into(),
        };
        Keys { pair, public: Vec::new() }
    }

    fn pem(base64: &str) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    }

    /// The documented Ed25519 key.
    fn ed25519() -> PublicKey {
        PublicKey::from_pem(&pem("MCowBQYDK2VwAyEAGUIKv9dSpWXBViXp2m6vAIb8QMFJYBgyFEQsFJlqgA0=")).unwrap()
    }

    #[test]
    fn the_documented_ed25519_vectors_verify() {
        let key = ed25519();
        let payload = ["A", "EXAMPLE", "SPOT", "1", "20240627-11:17:25.223"].join("\u{1}");
        let signature = "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==";
        assert_eq!(key.verify(payload.as_bytes(), signature), Ok(()));
        assert_eq!(key.verify(b"A", signature), Err(ApiError::Signature));

        let private = STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIPQmzwVKJETqVd7L9E/DFbkvrOigy1tLL+9QF0mSn6dV").unwrap();
        let pair = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private).unwrap();
        let public = [&ED25519_HEAD, ring::signature::KeyPair::public_key(&pair).as_ref()].concat();
        let key = PublicKey::from_pem(&pem(&STANDARD.encode(public))).unwrap();
        let payload = b"price=50000&quantity=1&side=BUY&symbol=BTCUSDT&timestamp=1631234567890&type=LIMIT";
        let signature = "a4Pm3p02D2HXtNfo3DBaVCe9Ov7kledewgYtGjekotFmZ5wXa3mC5AtLB7CpAphyNjeyovIuDP+9fyjYmsojCw==";
        assert_eq!(key.verify(payload, signature), Ok(()));
    }

    #[test]
    fn an_ed25519_rest_request_verifies_over_its_encoded_bytes() {
        let keys = Keys { public: vec![ed25519()], ..documented() };
        let plain = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000";
        let unicode = plain.replace("BTCUSDT", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96");
        for (payload, signature) in [
            (plain, "inDT086KVIP8vgUfw5sV3VTkescWztiAGlf4x8FLKHM4NInsn0c1kYVLoGMO8cyjfR6vmTku2YQE0gtfVVlfCw=="),
            (&unicode, "vECjNXSlVOz1DskXXQ866KhikKY8cxajBXKAU0COlYYemqEr45TXiRS/jNB3LyHHh48pu7z2S6pTFhmhWNRBBw=="),
        ] {
            let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            let query = format!("{payload}&signature={signature}");
            let params = Params::parse(&query, "").unwrap();
            let now = Timestamp::from_millis(1_668_481_559_918);
            let key = keys.public[0].api_key.clone();
            assert_eq!(keys.check_rest(Some(&key), query.as_bytes(), b"", &params, now), Ok(()), "{query}");
            assert_eq!(keys.check_rest(Some(&keys.pair.key), query.as_bytes(), b"", &params, now), Err(ApiError::Signature));
        }
        assert!(keys.may_log_on(&keys.public[0].api_key) && !keys.may_log_on(&keys.pair.key));
    }

    #[test]
    fn an_rsa_key_verifies_what_its_owner_signed() {
        // Made once with: openssl genrsa 2048; openssl dgst -sha256 -sign.
        let key = PublicKey::from_pem(include_str!("../../../tests/data/rsa-2048-public.pem")).unwrap();
        assert_eq!(key.scheme, Scheme::Rsa);
        let payload = b"symbol=BTCUSDT&side=SELL&timestamp=1668481559918&recvWindow=5000";
        let signature = include_str!("../../../tests/data/rsa-2048-signature.txt").trim();
        assert_eq!(key.verify(payload, signature), Ok(()));
        assert_eq!(key.verify(b"symbol=ETHUSDT", signature), Err(ApiError::Signature));
        assert_eq!(PublicKey::from_pem("nothing"), Err(KeyError::NoBlock));
        assert_eq!(PublicKey::from_pem(&pem("!")), Err(KeyError::Base64));
        assert_eq!(PublicKey::from_pem(&pem("MAA=")), Err(KeyError::Kind));
    }

    fn rest(query: &str, body: &str, now: i64) -> Result<(), ApiError> {
        let pair = documented();
        let params = Params::parse(query, body)?;
        pair.check_rest(Some(&pair.pair.key), query.as_bytes(), body.as_bytes(), &params, Timestamp::from_millis(now))
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
            sent.push(("apiKey".into(), pair.pair.key.clone()));
            let params = Params::from_pairs(sent.clone());
            pair.check_message(&sent, &params, Timestamp::from_millis(1_645_423_376_532)).map(|_| ())
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
        assert_eq!(at(THEN - 1, "1.125"), Ok(()), "three decimals");
        assert_eq!(at(THEN - 1, "1.1255").unwrap_err().code(), -1102, "four");
        assert_eq!(at(THEN * 1_000 - 4_999_999, "5000"), Ok(()), "microseconds");
        assert_eq!(at(THEN * 1_000 - 5_001_000, "5000"), Err(ApiError::TooLate));
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
        let keys = Keys { pair, public: Vec::new() };
        assert_eq!(keys.find(None).err(), Some(ApiError::KeyFormat));
        assert_eq!(keys.find(Some("short")).err(), Some(ApiError::KeyFormat));
        assert_eq!(keys.find(Some(&KeyPair::from_seed(8).key)).err(), Some(ApiError::KeyUnknown));
    }
}
