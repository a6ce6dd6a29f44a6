//! Answers and messages spoilt in known ways.

use super::faults::Form;

const PAGE: &str = "<html>\n<head><title>403 Forbidden</title></head>\n<body>\n<center><h1>403 Forbidden</h1></center>\n</body>\n</html>\n";
const HUGE_BYTES: usize = 100_000;
/// Fields that hold one of a fixed set of words.
const WORDS: [&str; 12] = ["status", "X", "x", "type", "o", "side", "S", "timeInForce", "f", "contingencyType", "e", "rateLimitType"];
const UNHEARD_OF: &str = "UNHEARD_OF";

/// The text in its spoilt form.
pub(super) fn garble(form: Form, text: &str) -> String {
    match form {
        Form::ForbiddenPage => PAGE.to_owned(),
        Form::Huge => format!("{{\"code\":-1000,\"msg\":\"{}\"}}", "x".repeat(HUGE_BYTES)),
        Form::Empty => String::new(),
        Form::Null => "null".to_owned(),
        Form::Truncated => text.chars().take(text.chars().count() / 2).collect(),
        Form::UnknownWord => unknown_word(text),
        Form::Scientific => scientific(text),
    }
}

/// The first value of a field of `WORDS` replaced.
fn unknown_word(text: &str) -> String {
    let places = WORDS.iter().filter_map(|name| {
        let label = format!("\"{name}\":\"");
        let start = text.find(&label)? + label.len();
        Some((start, start + text[start..].find('"')?))
    });
    match places.min() {
        Some((start, end)) => format!("{}{UNHEARD_OF}{}", &text[..start], &text[end..]),
        None => text.to_owned(),
    }
}

/// Every quoted decimal in scientific notation.
fn scientific(text: &str) -> String {
    let parts = text.split('"').map(|part| {
        let decimal = part.contains('.') && part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match part.parse::<f64>() {
            Ok(number) if decimal => format!("{number:E}"),
            _ => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_spoils_in_its_way() {
        let text = r#"{"symbol":"BTCUSDT","price":"0.00150000","status":"NEW","id":7}"#;
        assert_eq!(garble(Form::Scientific, text), r#"{"symbol":"BTCUSDT","price":"1.5E-3","status":"NEW","id":7}"#);
        assert_eq!(garble(Form::UnknownWord, text), text.replace("NEW", "UNHEARD_OF"));
        assert_eq!(garble(Form::UnknownWord, "[1]"), "[1]");
        assert!(serde_json::from_str::<serde_json::Value>(&garble(Form::Truncated, text)).is_err());
        assert_eq!((garble(Form::Empty, text), garble(Form::Null, text)), (String::new(), "null".to_owned()));
        assert!(garble(Form::ForbiddenPage, text).starts_with("<html>") && garble(Form::Huge, text).len() > 100_000);
    }
}
