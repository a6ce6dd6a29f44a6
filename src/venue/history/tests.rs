//! The sources against a scripted server over loopback: the venue, its archive and two other exchanges on one port.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use sha2::{Digest, Sha256};

use super::*;
use crate::venue::binance::monotonic_clock;

pub(crate) const MINUTE_MS: i64 = 60_000;
/// 2024-01-01, a Monday.
pub(crate) const START_MS: i64 = 1_704_067_200_000;

/// How long the server bans for.
pub(crate) const BAN_SECS: u64 = 3 * 86_400;

/// What the server has and how it behaves.
#[derive(Default)]
pub(crate) struct Script {
    /// Rows of `klines` by open time, as JSON.
    pub rows: BTreeMap<i64, String>,
    pub now_ms: i64,
    /// Which requests (counted from 1) are cut in the middle of the answer.
    pub cuts: BTreeSet<usize>,
    /// Paths that begin so are answered with this status.
    pub status: BTreeMap<&'static str, u16>,
    /// The archive, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What `OHLC` and `candles` answer.
    pub kraken: String,
    pub coinbase: BTreeMap<i64, String>,
    /// Path and query of every request.
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Server {
    script: Arc<Mutex<Script>>,
    pub url: String,
}

/// The kline of a minute as the venue writes it.
pub(crate) fn kline(open_ms: i64) -> String {
    let price = 100 + (open_ms / MINUTE_MS).rem_euclid(50);
    format!(
        "[{open_ms},\"{price}\",\"{}\",\"{}\",\"{price}.5\",\"2.5\",{},\"250\",7,\"1.25\",\"125\",\"0\"]",
        price + 1,
        price - 1,
        open_ms + 59_999
    )
}

/// The same as a line of the archive, in milliseconds or microseconds.
pub(crate) fn line(open_ms: i64, micros: bool) -> String {
    let price = 100 + (open_ms / MINUTE_MS).rem_euclid(50);
    let (open, close) = if micros { (open_ms * 1_000, open_ms * 1_000 + 59_999_999) } else { (open_ms, open_ms + 59_999) };
    format!("{open},{price},{},{},{price}.5,2.5,{close},250,7,1.25,125,0\n", price + 1, price - 1)
}

/// A zip of one table.
pub(crate) fn zipped(name: &str, text: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(text.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

impl Server {
    /// Serves `minutes` of 2024 from the 1st of January on.
    pub async fn start(minutes: impl IntoIterator<Item = i64>) -> Self {
        let rows = minutes.into_iter().map(|minute| START_MS + minute * MINUTE_MS).map(|open_ms| (open_ms, kline(open_ms))).collect();
        let script = Arc::new(Mutex::new(Script { rows, now_ms: START_MS + 400 * 1_440 * MINUTE_MS, ..Script::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { script, url }
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Puts a file with its true checksum into the archive.
    pub fn put_file(&self, path: &str, bytes: Vec<u8>) {
        let told = format!("{}  {}\n", hex::encode(Sha256::digest(&bytes)), path.rsplit('/').next().unwrap());
        let mut script = self.script();
        script.files.insert(format!("{path}.CHECKSUM"), told.into_bytes());
        script.files.insert(path.to_owned(), bytes);
    }

    pub fn client(&self) -> RestClient {
        RestClient::for_downloads(Endpoint::from_rest_url(&self.url).unwrap(), monotonic_clock(), None).unwrap()
    }

    pub fn sources(&self) -> Sources {
        let archive = Addresses { archive: Some(self.url.clone()), ..Addresses::default() };
        Sources::new(self.client(), &archive, monotonic_clock()).unwrap()
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let mut script = script.lock().unwrap();
    script.asked.push(uri.to_string());
    let query: BTreeMap<String, String> = uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let path = uri.path().to_owned();
    let refused = script.status.iter().find(|(front, _)| path.starts_with(**front)).map(|(_, status)| *status);
    let (status, body) = match refused {
        Some(status) => (status, b"<html>no</html>".to_vec()),
        None => content(&script, &path, &query),
    };
    let from: usize =
        headers.get("range").and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let cut = script.cuts.contains(&script.asked.len());
    let status = if from > 0 && status == 200 { 206 } else { status };
    let rest = body[from.min(body.len())..].to_vec();
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap()).header("content-length", rest.len());
    if status == 418 {
        response = response.header("retry-after", BAN_SECS);
    }
    if cut {
        let half = bytes::Bytes::from(rest[..rest.len() / 2].to_vec());
        let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
        return response.body(Body::from_stream(broken)).unwrap();
    }
    response.body(Body::from(rest)).unwrap()
}

fn content(script: &Script, path: &str, query: &BTreeMap<String, String>) -> (u16, Vec<u8>) {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    match path {
        "/api/v3/time" => (200, format!("{{\"serverTime\":{}}}", script.now_ms).into_bytes()),
        "/api/v3/klines" if query["symbol"] == "NOPEUSDT" => (400, br#"{"code":-1121,"msg":"Invalid symbol."}"#.to_vec()),
        "/api/v3/klines" => {
            let (start, end) = (number("startTime").unwrap_or(0), number("endTime").unwrap_or(i64::MAX));
            let rows = script.rows.range(start..=end.max(start)).take(number("limit").unwrap_or(500) as usize);
            let rows: Vec<&str> = rows.map(|(_, row)| row.as_str()).collect();
            (200, format!("[{}]", rows.join(",")).into_bytes())
        }
        "/0/public/OHLC" => (200, script.kraken.clone().into_bytes()),
        path if path.starts_with("/products/") => {
            let (start, end) = (number("start").unwrap_or(0), number("end").unwrap_or(i64::MAX));
            let rows: Vec<&str> = script.coinbase.range(start..=end).rev().map(|(_, row)| row.as_str()).collect();
            (200, format!("[{}]", rows.join(",")).into_bytes())
        }
        path => script.files.get(path).map_or((404, b"NoSuchKey".to_vec()), |file| (200, file.clone())),
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + minute * MINUTE_MS)
}

fn window(from: i64, until: i64) -> Window {
    Window { interval: Interval::MINUTE, from: at(from), until: at(until), now: at(400 * 1_440) }
}

fn btc() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn day_file(day: &str) -> String {
    format!("/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{day}.zip")
}

#[tokio::test]
async fn an_archive_with_a_wrong_checksum_is_refused() {
    let server = Server::start([]).await;
    let path = day_file("2024-01-01");
    server.put_file(&path, zipped("a.csv", &(0..1_440).map(|m| line(START_MS + m * MINUTE_MS, false)).collect::<String>()));
    let sources = server.sources();
    let good = sources.block(CandleSource::Archive, btc(), window(0, 1_440)).await.unwrap();
    assert_eq!((good.sifted.candles.len(), good.until), (1_440, at(1_440)));
    server.script().files.get_mut(&path).unwrap()[60] ^= 1;
    let fault = sources.block(CandleSource::Archive, btc(), window(0, 1_440)).await.unwrap_err();
    assert!(matches!(fault, SourceError::Checksum { .. }), "{fault}");
    server.script().files.remove(&format!("{path}.CHECKSUM"));
    let fault = sources.block(CandleSource::Archive, btc(), window(0, 1_440)).await.unwrap_err();
    assert!(fault.to_string().contains("it is not there"), "{fault}");
}

#[tokio::test]
async fn a_month_is_one_file_and_a_few_days_are_theirs() {
    let server = Server::start([]).await;
    // Microseconds from noon of the 3rd on, and a header, as files of different years have them.
    let month: String = (0..31 * 1_440).map(|m| line(START_MS + m * MINUTE_MS, m > 2 * 1_440 + 720)).collect();
    let header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n";
    server.put_file("/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip", zipped("m.csv", &format!("{header}{month}")));
    let sources = server.sources();
    let block = sources.block(CandleSource::Archive, btc(), window(100, 60 * 1_440)).await.unwrap();
    assert_eq!((block.until, block.sifted.candles.len(), block.sifted.bad.len()), (at(31 * 1_440), 31 * 1_440 - 100, 0));
    let next = sources.block(CandleSource::Archive, btc(), Window { from: block.until, ..window(0, 60 * 1_440) }).await.unwrap();
    assert!(!next.told && next.until == at(60 * 1_440), "an old month without a file is told of by nobody");
    let few = sources.block(CandleSource::Archive, btc(), window(0, 2 * 1_440)).await.unwrap();
    assert!(!few.told && few.until == at(1_440));
    assert!(server.script().asked.iter().any(|path| *path == day_file("2024-01-01")));
    let unfinished = Window { now: at(700), ..window(0, 1_440) };
    let before = server.script().asked.len();
    assert!(!sources.block(CandleSource::Archive, btc(), unfinished).await.unwrap().told);
    assert_eq!(server.script().asked.len(), before, "the file of a day that is not over is not asked for");
}

#[tokio::test]
async fn a_cut_file_goes_on_where_it_was_cut() {
    let server = Server::start([]).await;
    let path = day_file("2024-01-01");
    server.put_file(&path, zipped("a.csv", &(0..1_440).map(|m| line(START_MS + m * MINUTE_MS, true)).collect::<String>()));
    // The first is the checksum.
    server.script().cuts = BTreeSet::from([2, 3, 4]);
    let block = server.sources().block(CandleSource::Archive, btc(), window(0, 1_440)).await.unwrap();
    assert_eq!(block.sifted.candles.len(), 1_440);
    assert_eq!(server.script().asked.iter().filter(|asked| **asked == path).count(), 4);
}

#[tokio::test]
async fn bad_rows_of_a_page_are_named_and_the_forming_one_is_left() {
    let server = Server::start(0..10).await;
    {
        let mut script = server.script();
        let price = |minute: i64| 100 + (START_MS / MINUTE_MS + minute).rem_euclid(50);
        let mut spoil = |minute: i64, number: i64, with: &str| {
            let row = kline(START_MS + minute * MINUTE_MS).replace(&format!("\"{number}\""), with);
            script.rows.insert(START_MS + minute * MINUTE_MS, row);
        };
        spoil(3, price(3), "\"x\"");
        spoil(5, price(5) - 1, "\"200\"");
    }
    let sources = server.sources();
    let now = at(9) + crate::domain::Span::from_secs(30);
    let block = sources.block(CandleSource::Rest, btc(), Window { now, ..window(0, 100) }).await.unwrap();
    assert_eq!((block.until, block.sifted.candles.len()), (at(9), 7));
    let faults: Vec<String> = block.sifted.bad.iter().map(|bad| bad.fault.to_string()).collect();
    assert!(faults.len() == 2 && faults[0].contains("not readable") && faults[1].contains("not positive and ordered"), "{faults:?}");
}

#[tokio::test]
async fn kraken_tells_from_its_oldest_row_on() {
    let server = Server::start([]).await;
    let row = |minute: i64| format!("[{},\"10\",\"12\",\"9\",\"11\",\"10.5\",\"3.5\",4]", at(minute).millis() / 1_000);
    let rows: Vec<String> = (50..60).map(row).collect();
    server.script().kraken = format!("{{\"error\":[],\"result\":{{\"XBTUSDT\":[{}],\"last\":1}}}}", rows.join(","));
    let kraken = Addresses { kraken: Some(server.url.clone()), ..Addresses::default() };
    let sources = Sources::new(server.client(), &kraken, monotonic_clock()).unwrap();
    let now = at(59) + crate::domain::Span::from_secs(10);
    let block = sources.block(CandleSource::Kraken, btc(), Window { now, ..window(0, 59) }).await.unwrap();
    assert_eq!((block.from, block.until, block.sifted.candles.len()), (at(50), at(59), 9));
    assert!(server.script().asked.last().unwrap().contains("pair=XBTUSDT&interval=1"));
    server.script().kraken = r#"{"error":["EQuery:Unknown asset pair"]}"#.to_owned();
    let fault = sources.block(CandleSource::Kraken, btc(), window(0, 59)).await.unwrap_err();
    assert!(matches!(fault, SourceError::UnknownSymbol { .. }), "{fault}");
}

#[tokio::test]
async fn coinbase_is_read_by_its_own_order_of_columns() {
    let server = Server::start([]).await;
    let row = |minute: i64| (at(minute).millis() / 1_000, format!("[{},9.5,12,10,1.1e1,3.25]", at(minute).millis() / 1_000));
    server.script().coinbase = (0..400).filter(|m| *m != 7).map(row).collect();
    let coinbase = Addresses { coinbase: Some(server.url.clone()), ..Addresses::default() };
    let sources = Sources::new(server.client(), &coinbase, monotonic_clock()).unwrap();
    let block = sources.block(CandleSource::Coinbase, btc(), window(0, 400)).await.unwrap();
    assert_eq!((block.until, block.sifted.candles.len()), (at(300), 299));
    let first = block.sifted.candles[0];
    let prices = [first.open, first.high, first.low, first.close].map(|price| price.to_string());
    assert_eq!((first.open_time, prices, first.volume.to_string()), (at(0), ["10", "12", "9.5", "11"].map(str::to_owned), "3.25".into()));
}
