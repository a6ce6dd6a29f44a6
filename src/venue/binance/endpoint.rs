//! Where a venue answers, and with which key we sign.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::keys::{KeyError, Signer};

/// The three doors of one venue. URLs without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub rest: String,
    /// `/stream?streams=` is appended.
    pub streams: String,
    pub ws_api: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("'{0}' is not a venue address; write it like http://127.0.0.1:9000 or https://api.binance.com")]
    Malformed(String),
    #[error("'{0}' would send the key unencrypted over the network; use https")]
    Unencrypted(String),
}

impl Endpoint {
    /// The documented hosts of Binance spot.
    #[must_use]
    pub fn binance() -> Self {
        Self {
            rest: "https://api.binance.com".into(),
            streams: "wss://stream.binance.com:9443".into(),
            ws_api: "wss://ws-api.binance.com:443/ws-api/v3".into(),
        }
    }

    /// A venue by its REST address. Binance's hosts (live, testnet, demo) get their documented streams; any other venue serves
    /// everything on one port. Unencrypted addresses must be loopback.
    ///
    /// # Errors
    /// When the address is malformed or would send credentials in the clear.
    pub fn from_rest_url(url: &str) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed(url.to_owned());
        let parsed = reqwest::Url::parse(url).map_err(|_| malformed())?;
        let host = parsed.host_str().ok_or_else(malformed)?;
        let scheme = match parsed.scheme() {
            "https" => "wss",
            "http" if is_loopback(host) => "ws",
            "http" => return Err(EndpointError::Unencrypted(url.to_owned())),
            _ => return Err(malformed()),
        };
        if !matches!(parsed.path(), "/" | "/api" | "/api/") || parsed.query().is_some() || !parsed.username().is_empty() {
            return Err(malformed());
        }
        let authority = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let (streams, ws_api) = match host {
            "api.binance.com" => return Ok(Self::binance()),
            "testnet.binance.vision" => ("stream.testnet.binance.vision", "ws-api.testnet.binance.vision"),
            "demo-api.binance.com" => ("demo-stream.binance.com", "demo-ws-api.binance.com"),
            "data-api.binance.vision" => ("data-stream.binance.vision", "ws-api.binance.com"),
            _ => (authority.as_str(), authority.as_str()),
        };
        Ok(Self {
            rest: format!("{}://{authority}", parsed.scheme()),
            streams: format!("{scheme}://{streams}"),
            ws_api: format!("{scheme}://{ws_api}/ws-api/v3"),
        })
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An API key and what signs for it. Never shown, logged or serialised.
#[derive(Clone)]
pub struct Credentials {
    key: String,
    signer: Arc<Signer>,
}

impl Credentials {
    /// A key with its HMAC secret. Blanks around the texts (a newline of a key file) are removed.
    #[must_use]
    pub fn new(key: &str, secret: &str) -> Self {
        Self { key: key.trim().to_owned(), signer: Arc::new(Signer::Hmac(secret.trim().to_owned())) }
    }

    /// A key with whatever its secret is: the text of a PEM private key (RSA or Ed25519), or an HMAC secret.
    ///
    /// # Errors
    /// When a PEM text holds no key that can sign; the error holds nothing of the text.
    pub fn recognise(key: &str, secret: &str) -> Result<Self, KeyError> {
        Ok(Self { key: key.trim().to_owned(), signer: Arc::new(Signer::recognise(secret)?) })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The signature of `payload`, before percent-encoding.
    pub(super) fn sign(&self, payload: &str) -> String {
        self.signer.sign(payload.as_bytes())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_venue_serves_everything_on_one_port() {
        let endpoint = Endpoint::from_rest_url("http://127.0.0.1:9000/").unwrap();
        assert_eq!(endpoint.rest, "http://127.0.0.1:9000");
        assert_eq!(endpoint.streams, "ws://127.0.0.1:9000");
        assert_eq!(endpoint.ws_api, "ws://127.0.0.1:9000/ws-api/v3");
        assert_eq!(Endpoint::from_rest_url("https://api.binance.com").unwrap(), Endpoint::binance());
        assert!(Endpoint::from_rest_url("https://testnet.binance.vision").unwrap().ws_api.starts_with("wss://ws-api.testnet"));
    }

    #[test]
    fn keys_never_travel_unencrypted_and_nonsense_is_refused() {
        assert!(matches!(Endpoint::from_rest_url("http://api.binance.com"), Err(EndpointError::Unencrypted(_))));
        for bad in ["", "127.0.0.1:9000", "ftp://x", "https://x/path", "https://user:pw@x"] {
            assert!(matches!(Endpoint::from_rest_url(bad), Err(EndpointError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn credentials_are_hidden() {
        assert_eq!(format!("{:?}", Credentials::new("my-key", "my-secret\n")), "Credentials(hidden)");
        let pem = crate::venue::binance::keys::tests::RSA_PEM;
        assert_eq!(format!("{:?}", Credentials::recognise("my-key", pem).unwrap()), "Credentials(hidden)");
        let damaged = Credentials::recognise("my-key", &pem[..300]).unwrap_err();
        assert!(!format!("{damaged} {damaged:?}").contains(&pem[40..60]));
    }
}
