//! Scans: pages, places, limits.

use kvorum_client::{Client, Config, Cursor, Error, Retry, Route, Scan, ScanOptions};
use kvorum_wire::v1;
use kvorum_wire::v1::error::Kind;
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;

use crate::fake::{Fake, Reply, error};

/// Three partitions of one key each, a partition to a page.
fn page(operation: &Operation) -> Reply {
    let Operation::Scan(scan) = operation else { panic!("{operation:?}") };
    let partition = scan.cursor.as_ref().map_or(0, |cursor| cursor.partition);
    let row = v1::Row { key: format!("key{partition}").into(), versions: Vec::new() };
    let next = (partition < 2).then_some(v1::Cursor { partition: partition + 1, after: None });
    Reply::Answer(Answer::Scan(v1::ScanResponse { rows: vec![row], next, replicas: None }))
}

fn client(fake: &Fake) -> Client {
    let config = Config::new([&fake.address]).route(Route::Endpoints).retry(Retry::OnceAround);
    Client::lazy(config).unwrap()
}

async fn keys(scan: &mut Scan) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(page) = scan.next_page().await.unwrap() {
        keys.extend(page.rows.iter().map(|row| String::from_utf8(row.key.to_vec()).unwrap()));
    }
    keys
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let fake = Fake::start(page).await;
    let mut scan = client(&fake).scan(ScanOptions::new().prefix("k").keys_only());
    assert_eq!(keys(&mut scan).await, ["key0", "key1", "key2"]);
    assert_eq!(scan.cursor(), None);
    assert_eq!(scan.next_page().await.unwrap(), None);
    let log = fake.log();
    assert_eq!(log.count(), 3);
    let all_alike = log
        .operations()
        .all(|one| matches!(one, Operation::Scan(scan) if scan.prefix == "k" && scan.keys_only && scan.timeout_ms > 0));
    assert!(all_alike, "{log:?}");
}

#[tokio::test]
async fn a_scan_stays_where_it_was_after_an_error_and_resumes_from_its_cursor() {
    let fake = Fake::start(page).await;
    let client = client(&fake);
    let mut scan = client.scan(ScanOptions::new());
    scan.next_page().await.unwrap();
    let mut failed = false;
    fake.script(
        move |operation| {
            if std::mem::replace(&mut failed, true) { page(operation) } else { error(Kind::Rejected) }
        },
    );
    assert!(matches!(scan.next_page().await, Err(Error::Rejected { .. })));
    let cursor: Cursor = scan.cursor().unwrap().to_string().parse().unwrap();
    assert_eq!(keys(&mut scan).await, ["key1", "key2"]);
    assert_eq!(keys(&mut client.scan(ScanOptions::new().from(cursor))).await, ["key1", "key2"]);
}

#[tokio::test]
async fn a_limit_holds_over_all_pages() {
    let fake = Fake::start(page).await;
    let mut scan = client(&fake).scan(ScanOptions::new().limit(2));
    assert_eq!(keys(&mut scan).await, ["key0", "key1"]);
    let log = fake.log();
    let limits: Vec<_> =
        log.operations().map(|one| if let Operation::Scan(scan) = one { scan.limit } else { 0 }).collect();
    assert_eq!(limits, [2, 1]);
}
