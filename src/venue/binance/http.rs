//! One REST call: admitted by the limiter, signed, sent, read, and retried only where that is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::clock::{ClockSample, LocalClock, VenueClock};
use super::endpoint::{Credentials, Endpoint, is_loopback};
use super::error::{Call, ClientError};
use super::limiter::{Admission, Booking, Cost, Count, LimitKind, Limiter, Urgency};
use super::market_wire::TimeWire;
use super::query::Query;
use super::rules::RuleBook;
use super::signed::dated;
use super::transport::{Ask, Transport};
use crate::domain::Timestamp;

/// The venue gives up on a request after 10 s (-1007); we give up after it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection the other side may have dropped meanwhile must not carry an order.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const RECEIVE_WINDOW_MS: u32 = 5_000;
/// All symbols of `exchangeInfo` are 20 MB.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
const SHOWN_CHARS: usize = 120;
const LARGEST_DATA: usize = 64 * 1024;
const ATTEMPTS: u32 = 4;
/// From its decision to its second sending, an order may take this long.
pub(super) const PLACED_WITHIN: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After a 429 that does not say how long.
const SHORTEST_BAN: Duration = Duration::from_millis(500);
const UNTOLD_BAN: Duration = Duration::from_secs(60);
/// After a 403 of the firewall, which looks at minutes.
const FIREWALL_PAUSE: Duration = Duration::from_secs(120);
/// The shortest window of the order limit.
const UNTOLD_ORDER_PAUSE: Duration = Duration::from_secs(10);
const CLOCK_SAMPLES: u32 = 5;
/// A start that stands still for longer than this makes its user wonder.
const LONG_WAIT: Duration = Duration::from_secs(2);

/// How a call is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub signed: bool,
    pub cost: Cost,
    /// Asking twice does no harm.
    pub repeatable: bool,
}

impl Terms {
    pub const fn public(weight: u32) -> Self {
        Self { signed: false, cost: Cost { weight, orders: 0, urgency: Urgency::Read }, repeatable: true }
    }
    /// Market data: it waits longer than what is asked about the account.
    pub const fn download(weight: u32) -> Self {
        Self { signed: false, cost: Cost { weight, orders: 0, urgency: Urgency::Bulk }, repeatable: true }
    }
    pub const fn private(weight: u32) -> Self {
        Self { signed: true, ..Self::public(weight) }
    }
    /// A cancel: it may use the reserve, and asking twice does no harm.
    pub const fn cancel() -> Self {
        Self { signed: true, cost: Cost { weight: 1, orders: 0, urgency: Urgency::Protective }, repeatable: true }
    }
    /// Something that must never be done twice, and counts as `orders` new ones.
    pub const fn placement(orders: u32, opening: bool) -> Self {
        let urgency = if opening { Urgency::Opening } else { Urgency::Protective };
        Self { signed: true, cost: Cost { weight: 1, orders, urgency }, repeatable: false }
    }
}

pub(super) struct Http {
    client: Client,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    pub clock: VenueClock,
    pub limiter: Limiter,
    /// A read that must wait for longer is refused; `None`: it waits as long as the venue wants.
    longest_wait: Option<Duration>,
    /// The end of the last wait that was told, in the venue's milliseconds.
    told_wait: AtomicI64,
    pub rules: RuleBook,
}

/// Makes `ring` the process's cryptography; only the first call counts.
pub(super) fn install_tls() {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}

impl Http {
    /// `banned_until`: a ban that an earlier start was told, in the venue's time.
    pub fn new(
        endpoint: Endpoint,
        credentials: Option<Credentials>,
        local: LocalClock,
        banned_until: Option<Timestamp>,
        longest_wait: Option<Duration>,
    ) -> Result<Self, ClientError> {
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
        let clock = VenueClock::new(local);
        let limiter = Limiter::new(banned_until, clock.venue_now());
        Ok(Self { client, endpoint, credentials, clock, limiter, longest_wait, told_wait: AtomicI64::new(0), rules: RuleBook::default() })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn credentials(&self, call: Call) -> Result<&Credentials, ClientError> {
        self.credentials.as_ref().ok_or(ClientError::NoCredentials { call })
    }

    /// Sends a call and reads its answer.
    pub async fn call<T: DeserializeOwned>(&self, call: Call, query: Query, terms: Terms) -> Result<T, ClientError> {
        self.insist(call, terms, || self.once(call, &query, terms)).await
    }

    /// Asks again where that is safe: reads and cancels after trouble on the way, anything when it never left, and once with a clock
    /// measured anew.
    pub async fn insist<T, F>(&self, call: Call, terms: Terms, mut once: impl FnMut() -> F + Send) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>> + Send,
    {
        let begun = Instant::now();
        let mut resynced = false;
        let mut attempt = 0;
        loop {
            let error = match once().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // An order whose moment has passed is decided anew by its maker.
            let too_late = || !terms.repeatable && begun.elapsed() > PLACED_WITHIN;
            if error.is_clock() && !resynced {
                resynced = true;
                self.clock.distrust();
                // Without a measurement the first refusal stands: it proves that nothing was done.
                if self.measure_clock().await.is_err() || too_late() {
                    return Err(error);
                }
                continue;
            }
            attempt += 1;
            let limited = matches!(&error, ClientError::Venue { status: 418 | 429, .. } | ClientError::Body { status: 418 | 429, .. });
            let safe = if terms.repeatable { error.is_transient() || limited } else { matches!(error, ClientError::Connect { .. }) };
            if !safe || attempt >= ATTEMPTS || too_late() {
                return Err(error);
            }
            tracing::debug!(%call, attempt, %error, "asking again");
            if !limited {
                tokio::time::sleep(jittered(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
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

    async fn server_time(&self) -> Result<Timestamp, ClientError> {
        // Not through `call`: it measures the clock itself.
        // A cancel may wait for it, so that it uses the same reserve.
        let cost = Cost { weight: 1, orders: 0, urgency: Urgency::Protective };
        let answer: TimeWire = self.once(TIME, &Query::new(), Terms { cost, ..Terms::public(1) }).await?;
        Ok(answer.time())
    }

    async fn once<T: DeserializeOwned>(&self, call: Call, query: &Query, terms: Terms) -> Result<T, ClientError> {
        let booking = self.admitted(call, terms).await?;
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
        booking.answered(&counts(response.headers()), self.clock.venue_now());
        drop(booking);
        let status = response.status().as_u16();
        let retry_after = header_number(response.headers(), RETRY_AFTER.as_str()).map(Duration::from_secs);
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
            Ok(told) => told.error(call, status),
            Err(source) => unreadable(Some(source)),
        };
        Err(self.heard(error, status, retry_after))
    }

    /// Draws the consequences of a refusal for everything that is sent later.
    pub fn heard(&self, error: ClientError, status: u16, retry_after: Option<Duration>) -> ClientError {
        if matches!(status, 403 | 418 | 429) {
            self.hold_back(&error, status, retry_after);
        }
        match error {
            ClientError::Venue { call, code: -2015, .. } if self.limiter.echoes_ban() => ClientError::RefusedDuringBan { call },
            error => error,
        }
    }

    /// Waits for a ban's end and books the weight of a call outside REST: the venue counts both together.
    pub async fn turn(&self, weight: u32) {
        let cost = Cost { weight, orders: 0, urgency: Urgency::Read };
        loop {
            match self.limiter.admit(cost, self.clock.venue_now()) {
                Admission::Go(_) => return,
                Admission::Wait(pause) | Admission::Refused(pause) => self.wait(pause).await,
            }
        }
    }

    /// A wait that somebody at the screen would wonder about is told, once for all calls that share it.
    async fn wait(&self, pause: Duration) {
        let now = self.clock.venue_now().millis();
        let end = now + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
        if pause >= LONG_WAIT && self.told_wait.fetch_max(end, Ordering::Relaxed) < now {
            tracing::warn!(seconds = pause.as_secs(), "requests wait: the venue's limit for this window is nearly used");
        }
        tokio::time::sleep(pause).await;
    }

    pub async fn admitted(&self, call: Call, terms: Terms) -> Result<Booking<'_>, ClientError> {
        loop {
            match self.limiter.admit(terms.cost, self.clock.venue_now()) {
                Admission::Go(booking) => return Ok(booking),
                // An order that waited would arrive in another market, perhaps after it was given up: it is refused, which is certain.
                Admission::Wait(wait) if !terms.repeatable => return Err(ClientError::Limited { call, wait }),
                Admission::Wait(wait) if self.longest_wait.is_some_and(|longest| wait > longest) => {
                    return Err(ClientError::Limited { call, wait });
                }
                Admission::Wait(pause) => self.wait(pause).await,
                Admission::Refused(wait) => return Err(ClientError::Limited { call, wait }),
            }
        }
    }

    /// The parameters of a signed call but for its signature, dated now.
    pub fn dated(&self, query: &Query) -> Query {
        dated(query.clone(), self.clock.request_millis())
    }

    /// The timestamp and signature are made here, so that a retry is dated anew.
    fn request(&self, call: Call, query: &Query, terms: Terms) -> Result<reqwest::RequestBuilder, ClientError> {
        let url = format!("{}{}", self.endpoint.rest, call.path);
        let (text, key) = if terms.signed {
            let credentials = self.credentials(call)?;
            (self.dated(query).signed(credentials), Some(credentials.key()))
        } else {
            (query.encoded(), None)
        };
        let method = match call.method {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            _ => Method::GET,
        };
        let request = if method == Method::POST || method == Method::PUT {
            self.client.request(method, url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(text)
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

    /// Stops all calls for as long as the venue wants. An order limit (-1015) is not a ban: cancels must still pass.
    fn hold_back(&self, error: &ClientError, status: u16, retry_after: Option<Duration>) {
        let now = self.clock.venue_now();
        let told = match error {
            // A replacement (-2021, -2022) that meets a limit meets that of orders.
            ClientError::Venue { code: -1015 | -2021 | -2022, .. } => {
                return self.limiter.block_opening(retry_after.unwrap_or(UNTOLD_ORDER_PAUSE));
            }
            ClientError::Venue { message, .. } => banned_until(message),
            _ => None,
        };
        let left = told.map(|until| until.since(now).millis().max(0).unsigned_abs()).map(Duration::from_millis);
        let untold = if status == 403 { FIREWALL_PAUSE } else { UNTOLD_BAN };
        // An end that has passed already is our clock's mistake, and a pause of nothing is no pause.
        let left = left.filter(|left| !left.is_zero());
        let pause = retry_after.or(left).unwrap_or(untold).max(SHORTEST_BAN);
        tracing::warn!(status, seconds = pause.as_secs(), "the venue limits requests; holding back");
        self.limiter.block(pause, now);
    }
}

impl Transport for Http {
    async fn ask<T: DeserializeOwned + Send>(&self, ask: &Ask) -> Result<T, ClientError> {
        self.insist(ask.call, ask.terms, || self.once(ask.call, &ask.query, ask.terms)).await
    }
}

pub(super) const TIME: Call = Call { method: "GET", path: "/api/v3/time" };

/// `{"code":..,"msg":"..","data":..}`.
#[derive(Deserialize)]
pub(super) struct VenueErrorWire {
    code: i64,
    msg: String,
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}

impl VenueErrorWire {
    pub fn error(self, call: Call, status: u16) -> ClientError {
        let data = self.data.filter(|d| d.get().len() <= LARGEST_DATA).map(|d| d.get().into());
        ClientError::Venue { call, status, code: self.code, message: self.msg.chars().take(SHOWN_CHARS * 2).collect(), data }
    }
}

/// `x-mbx-used-weight-1m: 12`, `x-mbx-order-count-10s: 1`.
fn counts(headers: &HeaderMap) -> Vec<Count> {
    let count = |name: &str, value: &str| {
        let (kind, window) = match (name.strip_prefix("x-mbx-used-weight-"), name.strip_prefix("x-mbx-order-count-")) {
            (Some(window), _) => (LimitKind::RequestWeight, window),
            (_, Some(window)) => (LimitKind::Orders, window),
            _ => return None,
        };
        let (number, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        Some(Count { kind, window_secs: number.parse::<u32>().ok()?.checked_mul(unit)?, used: value.trim().parse().ok()? })
    };
    headers.iter().filter_map(|(name, value)| count(name.as_str(), value.to_str().ok()?)).collect()
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

/// Doubling pauses up to `longest`, each anywhere between none and all of its length (full jitter).
fn jittered(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let full = first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    full.mul_f64(rand::random_range(0.0..=1.0))
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
            let any: Vec<u128> = (0..200).map(|_| jittered(attempt, FIRST_PAUSE, LONGEST_PAUSE).as_millis()).collect();
            assert!(any.iter().all(|p| *p <= longest) && any.iter().any(|p| *p < longest / 4), "{attempt}");
        }
    }

    #[test]
    fn counts_are_read_from_their_headers_whatever_the_window() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-mbx-used-weight", "9"),
            ("x-mbx-used-weight-1m", "12"),
            ("x-mbx-order-count-10s", "3"),
            ("x-mbx-order-count-1d", " 70 "),
            ("x-mbx-order-count-1y", "1"),
            ("x-mbx-order-count-", "1"),
            ("x-mbx-used-weight-5m", "many"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let mut found: Vec<_> = counts(&headers).into_iter().map(|c| (c.kind, c.window_secs, c.used)).collect();
        found.sort_unstable();
        assert_eq!(found, [(LimitKind::RequestWeight, 60, 12), (LimitKind::Orders, 10, 3), (LimitKind::Orders, 86_400, 70)]);
    }

    #[test]
    fn the_end_of_a_ban_is_read_from_its_text() {
        let text = "Way too much request weight used; IP banned until 1659146400000. Please use WebSocket Streams";
        assert_eq!(banned_until(text), Some(Timestamp::from_millis(1_659_146_400_000)));
        assert_eq!(banned_until("Too much request weight used"), None);
    }
}
