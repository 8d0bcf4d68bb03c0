//! Strangers on a node's ports: whatever they send, and however little they read, the node lives, its memory stays
//! bounded, and others are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_wire::v1;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use v1::kv_client::KvClient;
use v1::peer_client::PeerClient;
use v1::request::Operation;

use crate::harness::{Cluster, assert_success, kvctl};

/// What an attack may make a node hold, at its worst moment.
const GROWTH: u64 = 64 << 20;
/// The same for 64 sessions that ask for much: each may fill the windows of its stream, in both directions, and all
/// together what a shard keeps for those who do not read.
const SESSIONS_GROWTH: u64 = 192 << 20;
/// How soon others must be served meanwhile; a process of `kvctl` has to start within it, on a busy machine.
const PROMPTLY: Duration = Duration::from_secs(3);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame without content: SETTINGS of stream 0.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A node under attack.
struct Victim {
    cluster: Cluster,
    memory_before: u64,
    /// Of what is put to see whether others are served.
    probes: usize,
}

impl Victim {
    fn start(flags: &[&str]) -> Self {
        raise_file_limit();
        let cluster = Cluster::start(1, flags);
        let mut victim = Self { cluster, memory_before: u64::MAX - GROWTH, probes: 0 };
        victim.assert_serves("nothing has happened");
        victim.settle();
        victim
    }

    /// What it holds now is not the attack's doing.
    fn settle(&mut self) {
        self.memory_before = self.peak();
    }

    fn peak(&self) -> u64 {
        self.cluster.node("n1").process.as_ref().unwrap().memory("VmHWM")
    }

    fn ports(&self) -> [(&'static str, String); 3] {
        let node = self.cluster.node("n1");
        [("client", node.client.clone()), ("peer", node.peer.clone()), ("http", node.http.clone())]
    }

    fn assert_serves(&mut self, meanwhile: &str) {
        let node = self.cluster.node("n1");
        self.probes += 1;
        let key = format!("probe-{}", self.probes);
        for arguments in [&["put", &key, meanwhile][..], &["get", &key]] {
            let start = Instant::now();
            let output = kvctl(&node.client, arguments, b"");
            assert_success(&output, (meanwhile, arguments));
            if arguments[0] == "get" {
                assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), meanwhile);
            }
            assert!(start.elapsed() < PROMPTLY, "{meanwhile}: {arguments:?} took {:?}", start.elapsed());
        }
        let start = Instant::now();
        assert!(readyz(&node.http).starts_with("HTTP/1.1 200"), "{meanwhile}");
        assert!(start.elapsed() < PROMPTLY, "{meanwhile}: /readyz took {:?}", start.elapsed());
    }

    fn assert_unharmed(&mut self, by: &str) {
        self.assert_holds_less_than(GROWTH, by);
    }

    fn assert_holds_less_than(&mut self, bound: u64, by: &str) {
        self.assert_serves(by);
        let growth = self.peak().saturating_sub(self.memory_before);
        println!("{by}: {} KiB more at the worst moment", growth >> 10);
        assert!(growth < bound, "{by}: its memory has grown by {} MiB", growth >> 20);
    }
}

/// Thousands of connections are open files of this process too.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn readyz(address: &str) -> String {
    let mut stream = connect(address);
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    // A node that stops reading must not hang the test.
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends as much as the node takes: it may close the connection, or stop reading, at any time.
fn send(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|chunk| stream.write_all(chunk).is_ok())
}

/// Bytes without any sense, the same in every run.
fn garbage(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

/// The first words that each port expects.
fn greeting(port: &str) -> Vec<u8> {
    if port == "http" { b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec() } else { [PREFACE, SETTINGS].concat() }
}

#[test]
fn garbage_on_any_port_harms_nobody() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    for (port, address) in victim.ports() {
        for seed in 1..=30 {
            send(&connect(&address), &garbage(seed, 64 << 10));
            // After a good beginning, too.
            let stream = connect(&address);
            send(&stream, &greeting(port));
            send(&stream, &garbage(seed, 64 << 10));
        }
        victim.assert_unharmed(&format!("garbage on the {port} port"));
    }
}

#[test]
fn half_a_handshake_on_any_port_harms_nobody() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    let mut held = Vec::new();
    for (port, address) in victim.ports() {
        let greeting = greeting(port);
        for length in (1..greeting.len()).cycle().take(200) {
            let stream = connect(&address);
            send(&stream, &greeting[..length]);
            held.push(stream);
        }
        victim.assert_unharmed(&format!("half a handshake on the {port} port"));
    }
}

#[test]
fn half_a_handshake_costs_the_node_no_time_while_it_waits() {
    let victim = Victim::start(&["--engine", "memory"]);
    let held: Vec<TcpStream> = (0..500)
        .map(|_| {
            let stream = connect(&victim.cluster.node("n1").client);
            send(&stream, &PREFACE[..10]);
            stream
        })
        .collect();
    let process = victim.cluster.node("n1").process.as_ref().unwrap();
    let (start, before) = (Instant::now(), process.cpu_time());
    // The node is watched for a while: what it does in it is what is measured.
    std::thread::sleep(Duration::from_secs(2));
    let (passed, spent) = (start.elapsed(), process.cpu_time() - before);
    assert!(spent < passed / 4, "{} waiting connections cost {spent:?} of {passed:?}", held.len());
}

#[test]
fn a_huge_frame_on_any_port_harms_nobody() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    for (port, address) in victim.ports() {
        // DATA, HEADERS, SETTINGS, PING, CONTINUATION, and one that does not exist.
        for kind in [0, 1, 4, 6, 9, 0xfa] {
            let stream = connect(&address);
            send(&stream, &greeting(port));
            send(&stream, &[0xff, 0xff, 0xff, kind, 0, 0, 0, 0, 1]);
            send(&stream, &vec![0; 17 << 20]);
        }
        victim.assert_unharmed(&format!("a frame of 16 MiB on the {port} port"));
    }
    let (_, http) = &victim.ports()[2];
    let mut held = Vec::new();
    for head in [
        "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        "GET /",
        "GET / HTTP/1.1\r\nx: ",
        "GET / HTTP/1.1\r\n",
    ] {
        for _ in 0..50 {
            let stream = connect(http);
            send(&stream, head.as_bytes());
            send(&stream, &vec![b'x'; 1 << 20]);
            held.push(stream);
        }
    }
    victim.assert_unharmed("requests without end on the http port");
}

#[test]
fn a_million_idle_bytes_on_any_port_harm_nobody() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    for (port, address) in victim.ports() {
        let held: Vec<TcpStream> = (0..20)
            .map(|_| {
                let stream = connect(&address);
                send(&stream, &greeting(port));
                send(&stream, &vec![0; 1_000_000]);
                stream
            })
            .collect();
        victim.assert_unharmed(&format!("a million zeros at once, {} times, on the {port} port", held.len()));

        // Frames that mean nothing: an unknown kind must be ignored (RFC 9113, section 5.5), so this is idle talk.
        let nothing = if port == "http" {
            b"x-idle: 123\r\n".to_vec()
        } else {
            [&[0, 0, 4, 0xfa, 0, 0, 0, 0, 0], &b"idle"[..]].concat()
        };
        let stream = connect(&address);
        send(&stream, &greeting(port));
        for (count, _) in (0..1_000_000).step_by(nothing.len()).enumerate() {
            if !send(&stream, &nothing) {
                break;
            }
            if count % 1000 == 0 {
                victim.assert_serves("idle talk");
                if port == "http" {
                    break;
                }
            }
            if count > 4000 {
                break;
            }
        }
        victim.assert_unharmed(&format!("idle talk on the {port} port"));
    }
}

#[test]
fn many_idle_connections_on_any_port_harm_nobody() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    for (port, address) in victim.ports() {
        // More than the HTTP port takes at a time; what comes beyond the limit of the others is tested in the server.
        let silent: Vec<TcpStream> = (0..600).map(|_| connect(&address)).collect();
        victim.assert_unharmed(&format!("{} silent connections to the {port} port", silent.len()));
        let greeted: Vec<TcpStream> = (0..600).map(|_| connect(&address)).collect();
        for stream in &greeted {
            send(stream, &greeting(port));
        }
        victim.assert_unharmed(&format!("{} idle connections to the {port} port", greeted.len()));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Stores pairs of the largest size.
fn load(victim: &Victim, pairs: usize) {
    let value = "v".repeat(10_000);
    let lines: String = (0..pairs).map(|n| format!("large-{n}\t{value}\n")).collect();
    assert_success(&kvctl(&victim.cluster.node("n1").client, &["import", "-"], lines.as_bytes()), "import");
}

#[test]
fn clients_that_ask_for_much_and_never_read_hold_bounded_memory_and_delay_nobody() {
    // What this engine answers has memory of its own.
    let mut victim = Victim::start(&["--memory", "64MiB"]);
    load(&victim, 200);
    victim.settle();
    let address = victim.cluster.node("n1").client.clone();
    let get = |id: u64| {
        let get = v1::GetRequest { key: format!("large-{}", id % 200).into(), ..Default::default() };
        v1::Request { id, operation: Some(Operation::Get(get)) }
    };
    let scan = |id: u64| v1::Request { id, operation: Some(Operation::Scan(v1::ScanRequest::default())) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let held = runtime.block_on(async {
        let mut held = Vec::new();
        for session in 0..64_u64 {
            // Every fourth has a connection of its own, the others share it.
            let mut kv = KvClient::new(channel(&address).await);
            let (requests, stream) = mpsc::channel(1);
            let answers = kv.session(ReceiverStream::new(stream)).await.unwrap().into_inner();
            for batch in 0..40 {
                let ids = batch * 500..(batch + 1) * 500;
                let asked = if session % 4 == 3 { ids.step_by(25).map(scan).collect() } else { ids.map(get).collect() };
                // It ends when the node no longer reads: nothing more is taken in for a while.
                let patience = Duration::from_millis(300);
                if requests.send_timeout(v1::SessionRequest { requests: asked }, patience).await.is_err() {
                    break;
                }
            }
            held.push((kv, requests, answers));
        }
        held
    });
    victim.assert_holds_less_than(SESSIONS_GROWTH, "sessions that never read");
    // Nothing of it is left when they are gone.
    runtime.block_on(async { drop(held) });
    drop(runtime);
    victim.assert_holds_less_than(SESSIONS_GROWTH, "sessions that never read have ended");
}

#[test]
fn streamed_scans_that_nobody_reads_hold_bounded_memory_and_delay_nobody() {
    let mut victim = Victim::start(&["--memory", "64MiB", "--partitions", "2"]);
    load(&victim, 400);
    victim.settle();
    let address = victim.cluster.node("n1").client.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let held = runtime.block_on(async {
        let mut kv = KvClient::new(channel(&address).await);
        let mut held = Vec::new();
        let mut refused = 0;
        for _ in 0..300 {
            match tokio::time::timeout(Duration::from_millis(500), kv.scan(v1::ScanRequest::default())).await {
                Ok(Ok(pages)) => held.push(pages),
                Ok(Err(status)) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    refused += 1;
                }
                // So many are open that the connection takes no more.
                Err(_) => break,
            }
        }
        println!("{} scans are open, {refused} refused", held.len());
        held
    });
    victim.assert_unharmed("scans that nobody reads");
    drop(held);
}

#[test]
fn a_message_that_is_too_large_is_refused() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    let other = join(&mut victim);
    let [(_, client), (_, peer), _] = victim.ports();
    block_on(async {
        let mut kv = KvClient::new(channel(&client).await).max_encoding_message_size(usize::MAX);
        let put = v1::PutRequest { key: "k".into(), value: vec![0; 9 << 20].into(), ..Default::default() };
        let refused = kv.put(put.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        let request = v1::Request { id: 1, operation: Some(Operation::Put(put)) };
        let messages = tokio_stream::iter([v1::SessionRequest { requests: vec![request] }]);
        if let Ok(answers) = kv.session(messages).await {
            let mut answers = answers.into_inner();
            while let Ok(Some(answer)) = answers.message().await {
                assert!(answer.responses.is_empty(), "{answer:?}");
            }
        }
        let mut lane = PeerClient::new(channel(&peer).await).max_encoding_message_size(usize::MAX);
        let frame = v1::Frame {
            message: Some(v1::frame::Message::Read(v1::Read {
                stored_key: vec![0; 9 << 20].into(),
                ..v1::Read::default()
            })),
            ..Default::default()
        };
        let request = introduced(
            tokio_stream::iter([v1::Frames { frames: vec![frame] }]),
            &[("kvorum-cluster", &cluster_id(&victim)), ("kvorum-node", &other)],
        );
        // The stream opens before the message has come.
        let end = lane.lane(request).await.unwrap().into_inner().message().await;
        assert!(end.is_err(), "{end:?}");
    });
    victim.assert_unharmed("messages of 9 MiB");
}

fn status(victim: &Victim) -> serde_json::Value {
    serde_json::from_str(&victim.cluster.run("n1", &["-o", "json", "status"])).unwrap()
}

fn cluster_id(victim: &Victim) -> String {
    status(victim)["cluster"].as_str().unwrap().to_owned()
}

/// Has another node join, and tells its id: lanes are for members.
fn join(victim: &mut Victim) -> String {
    victim.cluster.join(&["--engine", "memory"]);
    victim.cluster.wait_until_up(2);
    let status = status(victim);
    let members = status["members"].as_array().unwrap();
    members.iter().find(|member| member["name"] == "n2").unwrap()["id"].as_str().unwrap().to_owned()
}

/// A request with the metadata of a peer, changed or completed; an empty value leaves one away.
fn introduced<T>(message: T, changes: &[(&'static str, &str)]) -> Request<T> {
    let mut metadata = MetadataMap::new();
    let protocol = kvorum_wire::PEER_PROTOCOL.to_string();
    let usual = [("kvorum-protocol", protocol.as_str()), ("kvorum-node", "deadbeef"), ("kvorum-shard", "0")];
    for (key, value) in usual.iter().chain(changes) {
        if value.is_empty() {
            metadata.remove(*key);
        } else {
            metadata.insert(*key, value.parse().unwrap());
        }
    }
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata;
    request
}

#[test]
fn the_peer_port_turns_away_whoever_does_not_belong() {
    let mut victim = Victim::start(&["--engine", "memory"]);
    let cluster = cluster_id(&victim);
    let peer = victim.cluster.node("n1").peer.clone();
    block_on(async {
        let mut stranger = PeerClient::new(channel(&peer).await);
        for (changes, code, word) in [
            (&[("kvorum-protocol", "")][..], Code::InvalidArgument, "client port"),
            (&[("kvorum-protocol", "99")], Code::FailedPrecondition, "protocol"),
            (&[("kvorum-protocol", "one")], Code::InvalidArgument, "client port"),
            (&[("kvorum-node", "")], Code::InvalidArgument, "kvorum-node"),
            (&[("kvorum-node", "not hexadecimal")], Code::InvalidArgument, "kvorum-node"),
            (&[("kvorum-shard", "70000")], Code::InvalidArgument, "kvorum-shard"),
            (&[], Code::FailedPrecondition, &cluster),
            (&[("kvorum-cluster", "1234")], Code::FailedPrecondition, &cluster),
            (&[("kvorum-cluster", &cluster)], Code::Unavailable, "not heard of the caller"),
        ] {
            let refused = stranger.lane(introduced(tokio_stream::empty(), changes)).await.unwrap_err();
            assert_eq!(refused.code(), code, "{changes:?}: {refused}");
            assert!(refused.message().contains(word), "{changes:?}: {refused}");
        }
        // Control lanes are open to nodes that have no cluster yet; frames of another cluster are ignored.
        let frame = |cluster| v1::ControlFrame {
            cluster,
            from: 7,
            clock_ms: u64::MAX,
            reply_to: "127.0.0.1:1".to_owned(),
            body: Some(v1::control_frame::Body::Gossip(garbage(8, 300).into())),
        };
        let layout = v1::ControlFrame {
            body: Some(v1::control_frame::Body::Layout(v1::Layout { epoch: u64::MAX, ..Default::default() })),
            ..frame(Some(1234))
        };
        let frames = [
            frame(Some(1234)),
            layout,
            v1::ControlFrame::default(),
            v1::ControlFrame { reply_to: "x".repeat(100_000), ..frame(None) },
        ];
        let bytes = frames.iter().map(prost::Message::encode_to_vec);
        let unsealed = bytes.map(|frame| v1::SealedFrame { frame: frame.into(), seal: Bytes::new() });
        let messages = tokio_stream::iter(vec![v1::ControlFrames { frames: unsealed.collect() }; 100]);
        let mut end = stranger.control(introduced(messages, &[])).await.unwrap().into_inner();
        assert!(matches!(end.message().await, Ok(None)));
        // What is no frame, or is sealed though there is no key here, ends the lane.
        for (frame, seal, word) in [(&[0xff; 40][..], &[][..], "understood"), (&[], &[7; 16], "has a cluster key")] {
            let sealed = v1::SealedFrame { frame: frame.to_vec().into(), seal: seal.to_vec().into() };
            let messages = tokio_stream::iter(vec![v1::ControlFrames { frames: vec![sealed] }; 100]);
            let mut end = stranger.control(introduced(messages, &[])).await.unwrap().into_inner();
            let refused = end.message().await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
            assert!(refused.message().contains(word), "{refused}");
        }
        let sealed = stranger.lane(introduced(tokio_stream::empty(), &[("kvorum-seal", "4f4f")])).await.unwrap_err();
        assert!(sealed.message().contains("has a cluster key"), "{sealed}");
    });
    let states = victim.cluster.states("n1").unwrap();
    assert_eq!(states, [("n1".to_owned(), "up".to_owned())], "nobody was let in");
    victim.assert_unharmed("strangers on the peer port");
}

/// Frames that only a damaged, or a malicious, member of the cluster would send.
fn nonsense() -> Vec<v1::Frame> {
    use v1::frame::Message;
    let stored_key = |keyspace: u32, partition: u16, key: &[u8]| -> Bytes {
        [&keyspace.to_be_bytes()[..], &partition.to_be_bytes(), key].concat().into()
    };
    let key = || stored_key(0, 1, b"key");
    let record = || Bytes::from_static(b"no record");
    let put = v1::PutRequest { key: "k".into(), value: vec![0; 1 << 20].into(), ..Default::default() };
    let forward = |operation| {
        Message::Forward(v1::Forward {
            keyspace: 9,
            timeout_ms: u32::MAX,
            request: Some(v1::Request { id: 1, operation }),
        })
    };
    let row = v1::StoredRow { stored_key: Bytes::new(), record: record() };
    let forward_reply = |record| {
        let value = v1::ForwardedValue { record, context: garbage(6, 9).into(), as_of_ms: u64::MAX, replicas: None };
        Message::ForwardReply(v1::ForwardReply { outcome: Some(v1::forward_reply::Outcome::Value(value)) })
    };
    let write =
        |stored_key, record, minted| Message::Write(v1::Write { stored_key, record, minted, ..v1::Write::default() });
    let messages = vec![
        write(key(), record(), Some(1)),
        write(key(), record(), Some(u64::MAX)),
        write(key(), garbage(3, 100).into(), None),
        write(key(), [&[2][..], &garbage(4, 100)].concat().into(), None),
        write(key(), b"\x02\x00"[..].into(), None),
        write(stored_key(0, 60_000, b"unknown partition"), record(), None),
        Message::Write(v1::Write::default()),
        Message::WriteReply(v1::WriteReply {
            timestamp: u64::MAX,
            actor: u64::MAX,
            pulled_by: (0..1000).map(|node| v1::Process { node, actor: node }).collect(),
        }),
        Message::Read(v1::Read { stored_key: stored_key(0, 60_000, b"unknown partition"), ..v1::Read::default() }),
        Message::Read(v1::Read { stored_key: stored_key(u32::MAX, 1, b"unknown keyspace"), ..v1::Read::default() }),
        Message::Read(v1::Read { stored_key: key(), ..v1::Read::default() }),
        Message::ReadReply(v1::ReadReply { record: Some(record()) }),
        Message::ReadReply(v1::ReadReply { record: None }),
        Message::ReadHints(v1::ReadHints { stored_key: key() }),
        Message::ReadHints(v1::ReadHints { stored_key: stored_key(0, 60_000, b"unknown partition") }),
        Message::HintsReply(v1::HintsReply { hints: vec![v1::KeptHint::default(); 100] }),
        Message::Scan(v1::Scan {
            start: stored_key(0, 60_000, b"a"),
            after_start: true,
            end: None,
            limit_bytes: u32::MAX,
            ..v1::Scan::default()
        }),
        Message::Scan(v1::Scan {
            start: stored_key(0, 1, b"z"),
            after_start: true,
            end: Some(stored_key(0, 1, b"a")),
            limit_bytes: 0,
            ..v1::Scan::default()
        }),
        Message::Scan(v1::Scan {
            start: stored_key(0, 1, b"a"),
            after_start: false,
            end: None,
            limit_bytes: u32::MAX,
            puller: Some(u64::MAX),
        }),
        Message::Scan(v1::Scan::default()),
        Message::ScanReply(v1::ScanReply { rows: vec![row], more: true, digest: "short".into() }),
        forward(None),
        forward(Some(Operation::Put(put))),
        forward(Some(Operation::Put(v1::PutRequest::default()))),
        forward(Some(Operation::Get(v1::GetRequest {
            key: "k".into(),
            level: Some(v1::Level { level: Some(v1::level::Level::Number(0)) }),
            ..Default::default()
        }))),
        forward(Some(Operation::Scan(v1::ScanRequest::default()))),
        Message::ForwardReply(v1::ForwardReply::default()),
        forward_reply(Some(record())),
        forward_reply(Some(garbage(5, 50).into())),
        forward_reply(None),
        Message::Refused(v1::Error { kind: 99, message: "x".repeat(10_000) }),
    ];
    let mut frames = vec![v1::Frame::default()];
    for message in messages {
        for op in [0, 1, 7 << 32, u64::MAX, u64::MAX << 32] {
            for (epoch, shard, timeout_ms) in
                [(1, 0, None), (0, 1, Some(0)), (u64::MAX, 65_535, Some(1)), (1, u32::MAX, Some(u32::MAX))]
            {
                frames.push(v1::Frame { op, epoch, shard, timeout_ms, message: Some(message.clone()) });
            }
        }
    }
    frames
}

#[test]
fn nonsense_on_a_lane_of_the_cluster_harms_nobody() {
    for shards in ["1", "2"] {
        let mut victim = Victim::start(&["--engine", "memory", "--shards", shards]);
        let other = join(&mut victim);
        let (cluster, peer) = (cluster_id(&victim), victim.cluster.node("n1").peer.clone());
        block_on(async {
            let mut member = PeerClient::new(channel(&peer).await);
            for shard in ["0", "1", "65535"] {
                let messages: Vec<v1::Frames> =
                    nonsense().chunks(3).map(|frames| v1::Frames { frames: frames.to_vec() }).collect();
                let introduction = [("kvorum-cluster", &*cluster), ("kvorum-node", &other), ("kvorum-shard", shard)];
                let request = introduced(tokio_stream::iter(messages), &introduction);
                let mut end = member.lane(request).await.unwrap().into_inner();
                let ended: Result<Option<v1::Nothing>, Status> = end.message().await;
                assert!(matches!(ended, Ok(None)), "{ended:?}");
            }
        });
        victim.assert_unharmed("nonsense on a lane");
        let exported = victim.cluster.run("n1", &["export", "--format", "jsonl"]);
        assert!(exported.lines().all(|line| line.contains("probe-")), "something of it was stored: {exported}");
    }
}
