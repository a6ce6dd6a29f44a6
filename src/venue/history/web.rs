//! Plain downloads: a small answer into memory, a file to disk that goes on where a cut connection left it.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::RANGE;
use sha2::{Digest, Sha256};

use super::error::SourceError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A download that gives no byte for this long is cut and continued.
const SILENCE: Duration = Duration::from_secs(30);
/// A page of candles is a hundred kilobytes.
const MOST_IN_MEMORY: usize = 16 << 20;
/// Tries of one file; each goes on where the last one ended.
const TRIES: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const SHOWN_CHARS: usize = 120;

/// The client for everything that is not the venue's interface.
#[derive(Clone)]
pub(super) struct Web {
    client: reqwest::Client,
}

/// A file that goes away with this value.
#[derive(Debug)]
pub struct Downloaded {
    path: PathBuf,
}

impl Downloaded {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("huracan-{}-{}.part", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self { path: std::env::temp_dir().join(name) }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of its bytes in hex.
    pub(super) fn hash(&self) -> Result<String, SourceError> {
        let failed = |source| SourceError::Disk { path: self.path.clone(), source };
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(&self.path).map_err(failed)?, &mut Hashing(&mut hash)).map_err(failed)?;
        Ok(hex::encode(hash.finalize()))
    }
}

impl Drop for Downloaded {
    fn drop(&mut self) {
        // It may never have been begun.
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Web {
    /// For one address; what is on this box is asked past any proxy.
    pub fn new(base: &str) -> Result<Self, SourceError> {
        // Only the first call of the process counts.
        let _already_there = rustls::crypto::ring::default_provider().install_default();
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .user_agent(concat!("huracan/", env!("CARGO_PKG_VERSION")));
        if is_loopback_url(base) {
            builder = builder.no_proxy();
        }
        Ok(Self { client: builder.build().map_err(|source| SourceError::Transport { source })? })
    }

    /// The body of a 2xx answer; `None` for 404.
    pub async fn text(&self, url: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let broke = |source: reqwest::Error| SourceError::Connection { url: url.to_owned(), source: source.without_url() };
        let mut response = self.client.get(url).send().await.map_err(broke)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broke)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_IN_MEMORY {
                return Err(SourceError::Unreadable { url: url.to_owned(), detail: "longer than 16 MB".to_owned() });
            }
        }
        match status {
            200..300 => Ok(Some(body)),
            404 => Ok(None),
            _ => Err(refused(url, status, &body)),
        }
    }

    /// Downloads a file whole; `None` for 404.
    pub async fn file(&self, url: &str) -> Result<Option<Downloaded>, SourceError> {
        let kept = Downloaded::new();
        let failed = |source| SourceError::Disk { path: kept.path.clone(), source };
        let mut out = std::fs::File::create(&kept.path).map_err(failed)?;
        let mut have: u64 = 0;
        let mut trouble = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(FIRST_PAUSE * (1 << attempt.min(5))).await;
            }
            let request = if have > 0 { self.client.get(url).header(RANGE, format!("bytes={have}-")) } else { self.client.get(url) };
            let broke = |source: reqwest::Error| SourceError::Connection { url: url.to_owned(), source: source.without_url() };
            let mut response = match request.send().await {
                Ok(response) => response,
                Err(source) => {
                    trouble = Some(broke(source));
                    continue;
                }
            };
            match response.status().as_u16() {
                206 if have > 0 => {}
                200 => {
                    // From the start, asked for or not.
                    out.set_len(0).and_then(|()| out.rewind()).map_err(failed)?;
                    have = 0;
                }
                404 => return Ok(None),
                status @ (429 | 500..) => {
                    trouble = Some(refused(url, status, &[]));
                    continue;
                }
                status => return Err(refused(url, status, &[])),
            }
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => {
                        out.write_all(&chunk).map_err(failed)?;
                        have += chunk.len() as u64;
                    }
                    Ok(None) => return Ok(Some(kept)),
                    Err(source) => {
                        trouble = Some(broke(source));
                        break;
                    }
                }
            }
        }
        Err(trouble.unwrap_or_else(|| SourceError::Unreadable { url: url.to_owned(), detail: "no answer".to_owned() }))
    }
}

fn is_loopback_url(url: &str) -> bool {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(reqwest::Url::host_str).unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn refused(url: &str, status: u16, body: &[u8]) -> SourceError {
    let starts = String::from_utf8_lossy(&body[..body.len().min(SHOWN_CHARS * 4)]).chars().take(SHOWN_CHARS).collect();
    SourceError::Status { url: url.to_owned(), status, starts }
}
