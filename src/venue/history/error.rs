//! Why a source did not give candles, and whether another one should be asked.

use std::path::PathBuf;

use crate::domain::{Interval, Symbol};
use crate::venue::binance::ClientError;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{place} has no market {symbol}")]
    UnknownSymbol { place: String, symbol: Symbol },
    #[error("{place} has no candles of {interval}")]
    UnknownInterval { place: String, interval: Interval },
    #[error("{place} cannot be asked")]
    Venue { place: String, source: Box<ClientError> },
    #[error("{url}: no connection, or it broke; check the network")]
    Connection { url: String, source: reqwest::Error },
    #[error("{url}: the answer was {status}: {starts}")]
    Status { url: String, status: u16, starts: String },
    #[error("{url}: unreadable answer: {detail}")]
    Unreadable { url: String, detail: String },
    #[error("{url}: its bytes hash to {found}, its CHECKSUM says {told}; nothing of it is kept")]
    Checksum { url: String, told: String, found: String },
    #[error("cannot keep the download {}; check the disk", .path.display())]
    Disk { path: PathBuf, source: std::io::Error },
    #[error("no secure transport")]
    Transport { source: reqwest::Error },
}

impl SourceError {
    /// True when the same question may be answered by another source. A market or an interval that the venue itself does not know is
    /// not sought elsewhere: it is most likely a slip of the pen.
    #[must_use]
    pub fn leads_on(&self) -> bool {
        match self {
            Self::Venue { source, .. } => match **source {
                ClientError::Venue { status, code, .. } => status >= 500 || matches!(status, 403 | 418 | 429 | 451) || code > -1100,
                _ => true,
            },
            Self::Disk { .. } => false,
            _ => true,
        }
    }

    /// True when the same source may answer if asked again soon.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Venue { source, .. } => source.is_transient(),
            Self::Connection { .. } | Self::Unreadable { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// What the person at the box can do.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        const NAME: &str = "check the name; the files of a delisted market may still be there: --source archive";
        const INTERVAL: &str = "choose another --interval, such as 1m";
        const NETWORK: &str = "the address refuses this network; try --source archive, or set history.mirror to one that answers";
        const HELD_BACK: &str = "run the same command again when that time is over, or take the files: --source archive";
        const AGAIN: &str = "run the same command again: it goes on from there";
        match self {
            Self::UnknownSymbol { .. } => NAME,
            Self::UnknownInterval { .. } => INTERVAL,
            Self::Status { status: 451 | 403, .. } => NETWORK,
            Self::Venue { source, .. } => match **source {
                ClientError::Venue { code: -1121, .. } => NAME,
                ClientError::Venue { code: -1120, .. } => INTERVAL,
                ClientError::Limited { .. } => HELD_BACK,
                ClientError::Venue { status: 451 | 403, .. } | ClientError::Body { status: 451 | 403, .. } => NETWORK,
                _ => AGAIN,
            },
            Self::Checksum { .. } => "run it again: the venue may be replacing the file; if it stays, --source rest",
            Self::Disk { .. } => "free the disk; the same command goes on from there",
            _ => AGAIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::binance::Call;

    const CALL: Call = Call { method: "GET", path: "/api/v3/klines" };

    fn venue(status: u16, code: i64) -> SourceError {
        let source = ClientError::Venue { call: CALL, status, code, message: String::new(), data: None };
        SourceError::Venue { place: "x".into(), source: Box::new(source) }
    }

    fn body(status: u16) -> SourceError {
        let source = ClientError::Body { call: CALL, status, content_type: String::new(), bytes: 0, starts: String::new(), source: None };
        SourceError::Venue { place: "x".into(), source: Box::new(source) }
    }

    #[test]
    fn trouble_leads_on_and_a_wrong_name_does_not() {
        for error in [body(403), body(451), body(502), body(200), venue(503, -1008), venue(400, -1007), venue(429, -1003)] {
            assert!(error.leads_on(), "{error}");
        }
        for error in [venue(400, -1121), venue(400, -1120), venue(400, -1102)] {
            assert!(!error.leads_on() && !error.may_pass(), "{error}");
        }
        assert!(venue(400, -1121).next_step().contains("archive"));
    }

    #[test]
    fn a_file_that_is_not_what_it_claims_is_not_asked_for_again() {
        let error = SourceError::Checksum { url: "u".into(), told: "a".into(), found: "b".into() };
        assert!(error.leads_on() && !error.may_pass());
    }
}
