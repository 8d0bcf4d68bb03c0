//! Owns how a context is typed: base64 without anything a shell would look at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvorum_client::Bytes;

/// As `get` shows it.
pub(crate) fn encode(context: &[u8]) -> Option<String> {
    (!context.is_empty()).then(|| URL_SAFE_NO_PAD.encode(context))
}

/// As `--context` takes it.
pub(crate) fn parse(text: &str) -> Result<Bytes, String> {
    // What should have been printed here was not: taken for a blind write it would do more than was asked.
    if text.trim().is_empty() {
        return Err("it is empty: the get that should show it has failed".to_owned());
    }
    let context = URL_SAFE_NO_PAD.decode(text.trim());
    context.map(Bytes::from).map_err(|_| "it is no context; take the one that `kvctl get -o json` shows".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_shown() {
        let shown = encode(b"\xff\xfe\x00").unwrap();
        assert_eq!(parse(&format!(" {shown}\n")).unwrap(), &b"\xff\xfe\x00"[..]);
        assert_eq!(encode(b""), None);
        assert!(parse("no context!").is_err() && parse("").is_err() && parse(" \n").is_err());
    }
}
