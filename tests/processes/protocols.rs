//! What other programs speak to a node: gRPC health and reflection, unary calls, HTTP.

use kvorum_wire::v1;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use v1::kv_client::KvClient;

use crate::harness::Cluster;

#[test]
fn a_node_answers_health_checks_and_unary_calls() {
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    let node = cluster.node("n1");
    assert!(node.http("/livez").starts_with("HTTP/1.1 200"));
    assert!(node.http("/readyz").starts_with("HTTP/1.1 200"));

    let endpoint = format!("http://{}", node.client);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = Endpoint::from_shared(endpoint).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel.clone());
        let check = HealthCheckRequest { service: "kvorum.v1.Kv".to_owned() };
        let answer = health.check(check).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);

        let mut kv = KvClient::new(channel);
        let puts =
            ["a", "b", "c"].map(|key| v1::PutRequest { key: key.into(), value: "v".into(), ..Default::default() });
        let batch = kv.batch_put(v1::BatchPutRequest { puts: puts.to_vec() }).await.unwrap().into_inner();
        assert_eq!(batch.results.len(), 3);
        let get = v1::GetRequest { key: "b".into(), ..Default::default() };
        let found = kv.get(get.clone()).await.unwrap().into_inner();
        assert_eq!(found.versions[0].value, "v");
        kv.delete(v1::DeleteRequest { key: "b".into(), ..Default::default() }).await.unwrap();
        assert!(kv.get(get).await.unwrap().into_inner().versions.is_empty(), "an absent key is an answer");

        let mut pages =
            kv.scan(v1::ScanRequest { prefix: "".into(), limit: 10, ..Default::default() }).await.unwrap().into_inner();
        let mut keys = Vec::new();
        while let Some(page) = pages.message().await.unwrap() {
            keys.extend(page.rows.into_iter().map(|row| row.key));
        }
        keys.sort();
        assert_eq!(keys, ["a", "c"]);

        let empty = kv.put(v1::PutRequest::default()).await.unwrap_err();
        assert_eq!(empty.code(), Code::InvalidArgument, "{empty}");
        let unknown = kv
            .get(v1::GetRequest { keyspace: "nowhere".to_owned(), key: "a".into(), ..Default::default() })
            .await
            .unwrap_err();
        assert_eq!(unknown.code(), Code::InvalidArgument, "{unknown}");
    });
}
