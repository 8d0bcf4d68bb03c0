//! `kvctl scan`: keys and values, page by page, as they come. Text is as `format.rs` writes tsv; JSON is one document.

use kvorum_client::{Page, Replicas, Row, Scan, ScanOptions};
use serde::Serialize;

use crate::args::{self, ScanArgs};
use crate::exit::{Failure, complain};
use crate::format::{self, Format};
use crate::output::{JsonKey, JsonReplicas, JsonValue, print, unix_ms};
use crate::target::Target;

/// What is shown of a scan.
#[derive(Debug)]
struct Shown {
    json: bool,
    keys_only: bool,
    rows: u64,
    /// Keys of which the text shows one of several values.
    siblings_hidden: u64,
    /// Of the page behind which the fewest replicas stand.
    replicas: Option<Replicas>,
}

#[derive(Debug, Serialize)]
struct JsonRow {
    #[serde(flatten)]
    key: JsonKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<JsonValue>>,
}

pub(crate) async fn run(target: &Target, args: ScanArgs) -> Result<(), Failure> {
    let mut shown = Shown::new(target.wants_json(), args.keys_only);
    let prefix = args.prefix.map(args::bytes).unwrap_or_default();
    let mut options = ScanOptions::new().prefix(prefix).limit(args.limit).level(args.read);
    if args.keys_only {
        options = options.keys_only();
    }
    let mut scan = target.client.scan(options);
    // Where not even the first page comes, nothing is shown.
    let mut page = next_page(target, &mut scan, &shown).await?;
    print(shown.begin())?;
    while let Some(come) = page {
        print(&shown.page(&come))?;
        page = next_page(target, &mut scan, &shown).await?;
    }
    print(&shown.end())?;
    if shown.siblings_hidden > 0 {
        let count = shown.siblings_hidden;
        complain(&format!("{count} keys have concurrent values, of which the newest is shown; -o json shows all"));
    }
    Ok(())
}

async fn next_page(target: &Target, scan: &mut Scan, shown: &Shown) -> Result<Option<Page>, Failure> {
    let page = scan.next_page().await;
    page.map_err(|error| {
        let far = if shown.rows == 0 { String::new() } else { format!(" after {} keys", shown.rows) };
        Failure::of(&format!("scan {}{far}", target.endpoints), &error)
    })
}

impl Shown {
    fn new(json: bool, keys_only: bool) -> Shown {
        Shown { json, keys_only, rows: 0, siblings_hidden: 0, replicas: None }
    }

    /// What stands before the first page.
    fn begin(&self) -> &'static [u8] {
        if self.json { br#"{"rows":["# } else { b"" }
    }

    fn page(&mut self, page: &Page) -> Vec<u8> {
        let mut out = Vec::new();
        for row in page.rows.iter().filter(|row| !row.versions.is_empty()) {
            match (self.json, self.keys_only) {
                (true, _) => self.json_row(row, &mut out),
                (false, true) => format::write_key(&row.key, &mut out),
                (false, false) => self.siblings_hidden += u64::from(Format::Tsv.write(row, &mut out).siblings),
            }
            self.rows += 1;
        }
        let behind = |replicas: &Replicas| (replicas.answered, replicas.agreed);
        let weakest = self.replicas.filter(|earlier| behind(earlier) <= behind(&page.replicas));
        let sloppy = page.replicas.sloppy || self.replicas.is_some_and(|earlier| earlier.sloppy);
        self.replicas = Some(Replicas { sloppy, ..weakest.unwrap_or(page.replicas) });
        out
    }

    fn json_row(&self, row: &Row, out: &mut Vec<u8>) {
        let now = unix_ms();
        let values =
            (!self.keys_only).then(|| row.versions.iter().map(|version| JsonValue::of(version, now)).collect());
        let row = JsonRow { key: JsonKey::of(&row.key), values };
        out.extend_from_slice(if self.rows > 0 { b",\n" } else { b"\n" });
        serde_json::to_writer(out, &row).expect("texts and numbers always make JSON");
    }

    /// What stands behind the last page.
    fn end(&self) -> Vec<u8> {
        if !self.json {
            return Vec::new();
        }
        let replicas = serde_json::to_string(&self.replicas.map(JsonReplicas::from));
        let replicas = replicas.expect("numbers always make JSON");
        let newline = if self.rows > 0 { "\n" } else { "" };
        format!("{newline}],\"replicas\":{replicas}}}\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::{Bytes, Timestamp, Version};

    use super::*;

    fn row(key: &'static [u8], values: &[&'static [u8]]) -> Row {
        let version = |value: &&'static [u8]| Version {
            value: Bytes::from_static(value),
            actor: 0xab,
            timestamp: Timestamp(7 << 16 | 2),
            expires_at_ms: None,
        };
        Row { key: Bytes::from_static(key), versions: values.iter().map(version).collect() }
    }

    fn page(rows: Vec<Row>, answered: u32) -> Page {
        Page { rows, next: None, replicas: Replicas { wanted: 2, answered, agreed: answered, sloppy: false } }
    }

    fn shown(mut shown: Shown, pages: &[Page]) -> (Vec<u8>, Shown) {
        let mut out = shown.begin().to_vec();
        pages.iter().for_each(|page| out.extend(shown.page(page)));
        out.extend(shown.end());
        (out, shown)
    }

    fn pages() -> [Page; 3] {
        [
            page(vec![row(b"a\tb", &[b"1", b"2"])], 3),
            page(Vec::new(), 2),
            page(vec![row(b"gone", &[]), row(b"\xff", &[b"x\ny"])], 3),
        ]
    }

    #[test]
    fn text_is_tsv_with_the_newest_value_of_each_key() {
        let (out, shown) = shown(Shown::new(false, false), &pages());
        assert_eq!(out, b"a\\tb\t1\n\xff\tx\\ny\n");
        assert_eq!((shown.rows, shown.siblings_hidden), (2, 1));
    }

    #[test]
    fn keys_alone_are_escaped_as_in_tsv() {
        let (out, shown) = shown(Shown::new(false, true), &pages());
        assert_eq!(out, b"a\\tb\n\xff\n");
        assert_eq!(shown.siblings_hidden, 0);
    }

    #[test]
    fn json_is_one_document_with_rows_as_get_has_them_and_the_weakest_replicas() {
        let (out, _) = shown(Shown::new(true, false), &pages());
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let value = |value: &str| {
            serde_json::json!({"value": value, "encoding": "utf8", "actor": "00000000000000ab", "timestamp": "7.2",
                               "expires_at": null, "expires_in_ms": null})
        };
        let expected = serde_json::json!({
            "rows": [{"key": "a\tb", "values": [value("1"), value("2")]},
                     {"key": "/w==", "key_encoding": "base64", "values": [value("x\ny")]}],
            "replicas": {"wanted": 2, "answered": 2, "agreed": 2, "sloppy": false},
        });
        assert_eq!(json, expected);
        let (keys, _) = shown(Shown::new(true, true), &pages()[..1]);
        let keys: serde_json::Value = serde_json::from_slice(&keys).unwrap();
        assert_eq!(keys["rows"], serde_json::json!([{"key": "a\tb"}]));
    }

    #[test]
    fn a_scan_that_finds_nothing_is_whole_too() {
        assert_eq!(shown(Shown::new(false, false), &[page(Vec::new(), 2)]).0, b"");
        assert_eq!(shown(Shown::new(true, false), &[]).0, b"{\"rows\":[],\"replicas\":null}\n");
    }
}
