//! Answers and events with their times in microseconds. The exchange keeps what it shows in milliseconds, so the new places are zeros,
//! but for the last moment of a candle.

/// Fields that hold a time; a number of another length in one of them is something else (`t` is a trade's id, too).
const TIMES: [&str; 20] = [
    "serverTime",
    "time",
    "updateTime",
    "workingTime",
    "transactTime",
    "transactionTime",
    "openTime",
    "closeTime",
    "trailingTime",
    "authorizedSince",
    "connectedSince",
    "E",
    "T",
    "t",
    "O",
    "C",
    "W",
    "D",
    "w",
    "retryAfter",
];
/// Milliseconds since 2001 and until 2286 have so many digits.
const DIGITS: usize = 13;

/// The JSON text with its times times 1,000. Rows of arrays (candles) have theirs in the first and the seventh column.
pub(super) fn in_micros(text: &str) -> String {
    if text.starts_with("[[") {
        return rows(text);
    }
    let candle = text.contains("\"k\":{");
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    // Names are the strings before a colon; strings hold no escaped quotes here but in client ids, which have none.
    while let Some(at) = rest.find("\":") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        rest = after;
        let name = before[..at].rsplit('"').next().unwrap_or_default();
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits == DIGITS && (TIMES.contains(&name) || name == "u" && text.contains("outboundAccountPosition")) {
            out.push_str(&after[..digits]);
            let last_moment = candle && name == "T" && after[..digits].ends_with("999");
            out.push_str(if last_moment { "999" } else { "000" });
            rest = &after[digits..];
        }
    }
    out + rest
}

fn rows(text: &str) -> String {
    let mut column = 0;
    let cells = text.split(',').map(|cell| {
        column = if cell.starts_with('[') { 0 } else { column + 1 };
        match column {
            0 => format!("{cell}000"),
            6 => format!("{cell}999"),
            _ => cell.to_owned(),
        }
    });
    cells.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::in_micros;

    #[test]
    fn times_grow_and_ids_do_not() {
        assert_eq!(in_micros(r#"{"serverTime":1735689600123}"#), r#"{"serverTime":1735689600123000}"#);
        assert_eq!(in_micros(r#"{"id":1735689600123,"t":77,"T":1735689600123}"#), r#"{"id":1735689600123,"t":77,"T":1735689600123000}"#);
        let candle = r#"{"e":"kline","E":1735689600500,"k":{"t":1735689600000,"T":1735689659999,"c":"1.0"}}"#;
        assert_eq!(in_micros(candle), r#"{"e":"kline","E":1735689600500000,"k":{"t":1735689600000000,"T":1735689659999999,"c":"1.0"}}"#);
        let row = r#"[[1735689600000,"1","2","3","4","5",1735689659999,"6",7,"8","9","0"],[1735689660000,"1","2","3","4","5",1735689719999,"6",7,"8","9","0"]]"#;
        let wide = in_micros(row);
        assert!(
            wide.starts_with("[[1735689600000000,") && wide.contains(",1735689659999999,\"6\",7,") && wide.contains("[1735689660000000,")
        );
        assert_eq!(in_micros("[]"), "[]");
    }
}
