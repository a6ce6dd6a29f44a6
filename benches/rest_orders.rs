//! Signed REST orders a second over loopback: eight kept-alive connections place resting post-only orders and cancel them again, each
//! request signed, without and with a state file.
//!
//! `cargo bench --bench rest_orders` prints one line for each. Seconds to measure: `REST_ORDERS_SECONDS`, 5 without.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use huracan::domain::{Span, Timestamp};
use huracan::venue::exchange::{DoorRules, ExchangeServer, Running, ServerConfig, StatePersistence};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 8;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("milliseconds fit")
}

fn sign(secret: &str, payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// One request over a kept connection; its status, and whether the answer said that the order limit was reached.
async fn send(stream: &mut TcpStream, running: &Running, method: &str, query: &str) -> u16 {
    let query = format!("{query}&timestamp={}", now_ms());
    let signature = sign(&running.api_secret, &query);
    let request = format!(
        "{method} /api/v3/order?{query}&signature={signature} HTTP/1.1\r\nHost: bench\r\nX-MBX-APIKEY: {}\r\nContent-Length: 0\r\n\r\n",
        running.api_key
    );
    stream.write_all(request.as_bytes()).await.expect("the exchange reads");
    let mut answer = Vec::with_capacity(2_048);
    loop {
        let mut piece = [0; 4_096];
        let read = stream.read(&mut piece).await.expect("the exchange answers");
        assert!(read > 0, "the exchange closed the connection");
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        let length: usize = length.and_then(|text| text.trim().parse().ok()).expect("answers have a length");
        if body.len() >= length {
            return head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("answers have a status");
        }
    }
}

/// Places and cancels until the time is over; requests done, and the slowest in microseconds.
async fn measure(running: Arc<Running>, long: Duration) -> (u64, u64) {
    let (done, slowest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let end = Instant::now() + long;
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (running, done, slowest) = (Arc::clone(&running), Arc::clone(&done), Arc::clone(&slowest));
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(running.addr).await.expect("the exchange listens");
                let mut number = 0_u64;
                while Instant::now() < end {
                    number += 1;
                    let id = format!("b{worker}-{number}");
                    let place = format!("symbol=ETHUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price=1000&newClientOrderId={id}");
                    let cancel = format!("symbol=ETHUSDT&origClientOrderId={id}");
                    for (method, query) in [("POST", place), ("DELETE", cancel)] {
                        let begun = Instant::now();
                        let status = send(&mut stream, &running, method, &query).await;
                        assert_eq!(status, 200, "{method} {query}");
                        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                        slowest.fetch_max(micros, Ordering::Relaxed);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("the worker ends");
    }
    (done.load(Ordering::Relaxed), slowest.load(Ordering::Relaxed))
}

async fn run(name: &str, state: StatePersistence, long: Duration) {
    let origin = Timestamp::from_millis(now_ms()) - Span::from_secs(2 * 86_400);
    let doors = DoorRules { orders_per_10_seconds: u32::MAX, orders_per_day: u32::MAX, ..DoorRules::default() };
    let config = ServerConfig { state, doors, ..ServerConfig::synthetic(7, origin) };
    let running = Arc::new(ExchangeServer::start(config).await.expect("the exchange starts"));
    let (done, slowest) = measure(Arc::clone(&running), long).await;
    let rate = done as f64 / long.as_secs_f64();
    let line = format!("{name}: {rate:.0} signed requests/s over {CONNECTIONS} connections, slowest {:.1} ms\n", slowest as f64 / 1_000.0);
    std::io::stdout().write_all(line.as_bytes()).expect("standard output takes a line");
    if let Ok(running) = Arc::try_unwrap(running) {
        running.stop().await;
    }
}

fn main() {
    let seconds = std::env::var("REST_ORDERS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let long = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().expect("a folder for the state");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        run("nothing kept", StatePersistence::Volatile, long).await;
        run("with --state", StatePersistence::File(folder.path().join("exchange.state")), long).await;
    });
}
