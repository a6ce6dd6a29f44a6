//! One REST call: admitted by the limiter, signed, sent, read, and retried only where that is safe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::clock::{ClockSample, LocalClock, VenueClock};
use super::endpoint::{Credentials, Endpoint, is_loopback};
use super::error::{Call, ClientError};
use super::limiter::{Admission, Limiter, Urgency};
use super::query::Query;
use crate::domain::Timestamp;
use crate::venue::market_frame::venue_time;

/// The venue gives up on a request after 10 s (-1007); we give up after it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection the other side may have dropped meanwhile must not carry an order.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const RECEIVE_WINDOW_MS: u32 = 5_000;
/// All symbols of `exchangeInfo` are 20 MB.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
const SHOWN_CHARS: usize = 120;
const ATTEMPTS: u32 = 4;
/// From its decision to its second sending, an order may take this long.
const PLACED_WITHIN: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After a 403 of the firewall, or a 429 that does not say how long.
const UNTOLD_BAN: Duration = Duration::from_secs(60);
/// The shortest window of the order limit.
const UNTOLD_ORDER_PAUSE: Duration = Duration::from_secs(10);
const CLOCK_SAMPLES: u32 = 5;

/// How a call is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub signed: bool,
    pub weight: u32,
    pub urgency: Urgency,
    /// Asking twice does no harm.
    pub repeatable: bool,
}

impl Terms {
    pub const fn public(weight: u32) -> Self {
        Self { signed: false, weight, urgency: Urgency::Read, repeatable: true }
    }
    pub const fn private(weight: u32) -> Self {
        Self { signed: true, weight, urgency: Urgency::Read, repeatable: true }
    }
}

pub(super) struct Http {
    client: Client,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    pub clock: VenueClock,
    pub limiter: Limiter,
}

/// Makes `ring` the process's cryptography; only the first call counts.
pub(super) fn install_tls() {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}

impl Http {
    pub fn new(endpoint: Endpoint, credentials: Option<Credentials>, local: LocalClock) -> Result<Self, ClientError> {
        install_tls();
        // The web's roots are in the binary: a copied box must not depend on the system's certificate files.
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none());
        let host = reqwest::Url::parse(&endpoint.rest).ok();
        if host.as_ref().and_then(|u| u.host_str()).is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|source| ClientError::Transport { source })?;
        Ok(Self { client, endpoint, credentials, clock: VenueClock::new(local), limiter: Limiter::new() })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a call and reads its answer.
    pub async fn call<T: DeserializeOwned>(&self, call: Call, query: Query, terms: Terms) -> Result<T, ClientError> {
        let begun = Instant::now();
        let mut resynced = false;
        let mut attempt = 0;
        loop {
            let error = match self.once(call, &query, terms).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.is_clock() && !resynced {
                resynced = true;
                // Without a measurement the first refusal stands: it proves that nothing was done.
                // Measured too slowly, an order's moment has passed: its maker decides again.
                let slow = |begun: Instant| !terms.repeatable && begun.elapsed() > PLACED_WITHIN;
                if self.measure_clock().await.is_err() || slow(begun) {
                    return Err(error);
                }
                continue;
            }
            attempt += 1;
            let limited = matches!(&error, ClientError::Venue { status: 418 | 429, .. } | ClientError::Body { status: 418 | 429, .. });
            if !terms.repeatable || attempt >= ATTEMPTS || !(error.is_transient() || limited) {
                return Err(error);
            }
            tracing::debug!(%call, attempt, %error, "asking again");
            if !limited {
                tokio::time::sleep(backoff(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
            }
        }
    }

    /// Several round trips; the quickest becomes the offset. One that fails is left out.
    pub async fn measure_clock(&self) -> Result<ClockSample, ClientError> {
        let mut best: Option<ClockSample> = None;
        let mut trouble = ClientError::Contradiction { call: TIME, what: "no clock sample" };
        for _ in 0..CLOCK_SAMPLES {
            let sent = self.clock.local_now();
            let venue = match self.server_time().await {
                Ok(venue) => venue,
                Err(error) => {
                    trouble = error;
                    continue;
                }
            };
            let sample = ClockSample::from_round_trip(sent, venue, self.clock.local_now());
            if best.is_none_or(|b| sample.round_trip < b.round_trip) {
                best = Some(sample);
                self.clock.adopt(sample);
            }
        }
        best.ok_or(trouble)
    }

    pub async fn server_time(&self) -> Result<Timestamp, ClientError> {
        #[derive(Deserialize)]
        struct ServerTime {
            #[serde(rename = "serverTime")]
            server_time: i64,
        }
        // Not through `call`: it measures the clock itself.
        let answer: ServerTime = self.once(TIME, &Query::new(), Terms::public(1)).await?;
        Ok(venue_time(answer.server_time))
    }

    async fn once<T: DeserializeOwned>(&self, call: Call, query: &Query, terms: Terms) -> Result<T, ClientError> {
        self.admitted(call, terms).await?;
        let request = self.request(call, query, terms)?;
        let sorted = |source: reqwest::Error| {
            let source = source.without_url();
            if source.is_connect() || source.is_builder() {
                ClientError::Connect { call, source }
            } else {
                ClientError::Broken { call, source }
            }
        };
        let response = request.send().await.map_err(sorted)?;
        self.read_limits(response.headers());
        let status = response.status().as_u16();
        let retry_after = header_number(response.headers(), RETRY_AFTER.as_str());
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let body = read_body(response).await.map_err(sorted)?;
        let unreadable = |source| ClientError::Body {
            call,
            status,
            content_type: content_type.chars().take(60).collect(),
            bytes: body.len(),
            starts: String::from_utf8_lossy(&body[..body.len().min(SHOWN_CHARS * 4)]).chars().take(SHOWN_CHARS).collect(),
            source,
        };
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|e| unreadable(Some(e)));
        }
        let error = match serde_json::from_slice::<VenueErrorWire>(&body) {
            Ok(told) => ClientError::Venue { call, status, code: told.code, message: told.msg.chars().take(SHOWN_CHARS * 2).collect() },
            Err(source) => unreadable(Some(source)),
        };
        if matches!(status, 403 | 418 | 429) {
            self.hold_back(&error, status, retry_after);
        }
        Err(error)
    }

    /// Waits for a ban's end and books the weight of a call outside REST: the venue counts both together.
    pub async fn turn(&self, weight: u32) {
        while let Admission::Wait(pause) = self.limiter.admit(weight, Urgency::Read, self.clock.venue_now()) {
            tokio::time::sleep(pause).await;
        }
    }

    async fn admitted(&self, call: Call, terms: Terms) -> Result<(), ClientError> {
        loop {
            match self.limiter.admit(terms.weight, terms.urgency, self.clock.venue_now()) {
                Admission::Go => return Ok(()),
                // An order that waited would arrive in another market, perhaps after it was given up: it is refused, which is certain.
                Admission::Wait(wait) if !terms.repeatable => return Err(ClientError::Limited { call, wait }),
                Admission::Wait(pause) => tokio::time::sleep(pause).await,
                Admission::Refused(wait) => return Err(ClientError::Limited { call, wait }),
            }
        }
    }

    /// The timestamp and signature are made here, so that a retry is dated anew.
    fn request(&self, call: Call, query: &Query, terms: Terms) -> Result<reqwest::RequestBuilder, ClientError> {
        let url = format!("{}{}", self.endpoint.rest, call.path);
        let (text, key) = if terms.signed {
            let credentials = self.credentials.as_ref().ok_or(ClientError::NoCredentials { call })?;
            let dated = query.clone().with("recvWindow", RECEIVE_WINDOW_MS).with("timestamp", self.clock.request_millis());
            (dated.signed(credentials), Some(credentials.key()))
        } else {
            (query.encoded(), None)
        };
        let method = match call.method {
            "POST" => Method::POST,
            "DELETE" => Method::DELETE,
            _ => Method::GET,
        };
        let request = if method == Method::POST {
            self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(text)
        } else if text.is_empty() {
            self.client.request(method, url)
        } else {
            self.client.request(method, format!("{url}?{text}"))
        };
        Ok(match key {
            Some(key) => request.header("X-MBX-APIKEY", key),
            None => request,
        })
    }

    fn read_limits(&self, headers: &HeaderMap) {
        if let Some(used) = header_number(headers, "x-mbx-used-weight-1m").and_then(|n| u32::try_from(n).ok()) {
            self.limiter.venue_counts(used, self.clock.venue_now());
        }
    }

    /// Stops all calls for as long as the venue wants. An order limit (-1015) is not a ban: cancels must still pass.
    fn hold_back(&self, error: &ClientError, status: u16, retry_after: Option<u64>) {
        let told = match error {
            ClientError::Venue { code: -1015, .. } => {
                return self.limiter.block_opening(retry_after.map_or(UNTOLD_ORDER_PAUSE, Duration::from_secs));
            }
            ClientError::Venue { message, .. } => banned_until(message),
            _ => None,
        };
        let left = told.map(|until| until.since(self.clock.venue_now()).millis().max(0).unsigned_abs()).map(Duration::from_millis);
        let pause = retry_after.map(Duration::from_secs).or(left).unwrap_or(UNTOLD_BAN);
        tracing::warn!(status, seconds = pause.as_secs(), "the venue limits requests; holding back");
        self.limiter.block(pause);
    }
}

pub(super) const TIME: Call = Call { method: "GET", path: "/api/v3/time" };

/// `{"code":..,"msg":".."}`.
#[derive(Deserialize)]
struct VenueErrorWire {
    code: i64,
    msg: String,
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY_BYTES {
            // What is left out makes the JSON incomplete, which is reported with the size.
            break;
        }
    }
    Ok(body)
}

fn header_number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// "... IP banned until 1659146400000 ..."
fn banned_until(message: &str) -> Option<Timestamp> {
    let number = message.split_once("until ")?.1.split(|c: char| !c.is_ascii_digit()).next()?;
    number.parse().ok().map(Timestamp::from_millis)
}

/// Doubling pauses up to `longest`, each between half and all of its length, so that many clients do not knock together.
pub(super) fn backoff(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let full = first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    full.mul_f64(rand::random_range(0.5..=1.0))
}

pub(super) type SharedHttp = Arc<Http>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit() {
        for (attempt, longest) in [(1, 200), (2, 400), (3, 800), (20, 5_000)] {
            let pause = backoff(attempt, FIRST_PAUSE, LONGEST_PAUSE).as_millis();
            assert!(pause >= longest / 2 && pause <= longest, "{attempt}: {pause}");
        }
    }

    #[test]
    fn the_end_of_a_ban_is_read_from_its_text() {
        let text = "Way too much request weight used; IP banned until 1659146400000. Please use WebSocket Streams";
        assert_eq!(banned_until(text), Some(Timestamp::from_millis(1_659_146_400_000)));
        assert_eq!(banned_until("Too much request weight used"), None);
    }
}
