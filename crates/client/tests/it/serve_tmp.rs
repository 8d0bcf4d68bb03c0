
use crate::fake::*;
use kvorum_wire::v1;
use kvorum_wire::v1::error::Kind;
use kvorum_wire::v1::request::Operation;
#[tokio::test]
async fn serve_tmp() {
    let Ok(out) = std::env::var("SERVE_TMP") else { return };
    let mut n = 0;
    let a = Fake::start(move |op| { n += 1; eprintln!("{op:?}"); if n % 3 == 1 && matches!(op, Operation::Put(_)) { error(Kind::Indeterminate) } else {
      match done(op) { kvorum_wire::v1::response::Result::Put(mut p) => { p.replicas = Some(v1::Replicas{wanted:2,answered:2,agreed:2,sloppy:true}); Reply::Answer(kvorum_wire::v1::response::Result::Put(p)) } o => Reply::Answer(o) } } }).await;
    let b = Fake::willing().await;
    let dead = nobody().await;
    let m = |name: &str, state: &str, client: &str| v1::Member { name: name.into(), state: state.into(), client: client.into(), in_doubt: name == "n2", pulled: 37, to_pull: 256, ..Default::default() };
    a.status(Ok(v1::StatusResponse { members: vec![m("n1","up",&a.address), m("n2","up",&b.address), m("n3","down",&dead)], ..Default::default() }));
    a.hints(Ok(v1::HintsResponse { holder: "n1".into(), queues: vec![v1::HintQueue { target: "n3".into(), count: 5, bytes: 12345, owed: 4, oldest_age_ms: 99_000 }] }));
    b.hints(Ok(v1::HintsResponse { holder: "n2".into(), queues: vec![] }));
    std::fs::write(out, &a.address).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
}

#[tokio::test]
async fn burst_tmp() {
    let a = Fake::start(|_| Reply::Silence).await;
    let b = Fake::willing().await;
    let client = kvorum_client::Client::lazy(kvorum_client::Config::new([&a.address, &b.address]).route(kvorum_client::Route::Endpoints)).unwrap();
    let mut set = tokio::task::JoinSet::new();
    for i in 0..64 { let c = client.clone(); set.spawn(async move { c.get(i.to_string()).await.is_ok() }); }
    a.until("gets", |log| log.count() == 32).await;
    a.break_sessions();
    let mut ok = 0;
    while let Some(r) = set.join_next().await { ok += usize::from(r.unwrap()); }
    eprintln!("BURST ok {ok} of 64");
}
