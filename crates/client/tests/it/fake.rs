//! A node that does as it is told: it records what it is asked and answers by a script. It stores
//! nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use kvorum_wire::v1;
use kvorum_wire::v1::admin_server::{Admin, AdminServer};
use kvorum_wire::v1::kv_server::{Kv, KvServer};
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// What a node does with a request.
pub(crate) enum Reply {
    Answer(Answer),
    /// Nothing, ever.
    Silence,
    /// The session breaks.
    Break,
}

type Script = Box<dyn FnMut(&Operation) -> Reply + Send>;

/// What a node was asked.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) sessions: usize,
    /// The requests of each message that was not empty.
    pub(crate) messages: Vec<Vec<Operation>>,
    pub(crate) topologies: usize,
    /// The name and the timeout of each change of a keyspace.
    pub(crate) changes: Vec<(String, u32)>,
    pub(crate) refused: usize,
    /// Sessions that the client ended, or that broke.
    pub(crate) ended: usize,
}

impl Log {
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.messages.iter().flatten()
    }

    pub(crate) fn count(&self) -> usize {
        self.operations().count()
    }
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: String,
    inner: Arc<Inner>,
}

struct Inner {
    script: Mutex<Script>,
    log: watch::Sender<Log>,
    /// Whether new sessions are accepted, kept waiting, or refused.
    door: watch::Sender<Door>,
    topology: Mutex<v1::TopologyResponse>,
    status: Mutex<Result<v1::StatusResponse, Status>>,
    /// What becomes of every change of a keyspace; none: nothing is ever answered.
    change: Mutex<Option<Result<v1::Keyspace, Status>>>,
    /// What it tells whoever watches.
    watched: Mutex<Vec<v1::WatchStatusResponse>>,
    /// None: nothing is ever answered.
    hints: Mutex<Option<Result<v1::HintsResponse, Status>>>,
    /// Bumped to break all sessions.
    breaks: watch::Sender<u64>,
    reversed: Mutex<bool>,
    /// As what process it introduces itself.
    process: Mutex<Option<u64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Door {
    Open,
    Shut,
    Refusing,
}

impl Fake {
    /// A node that answers by this script.
    pub(crate) async fn start(script: impl FnMut(&Operation) -> Reply + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let inner = Arc::new(Inner {
            script: Mutex::new(Box::new(script)),
            log: watch::Sender::new(Log::default()),
            door: watch::Sender::new(Door::Open),
            topology: Mutex::default(),
            status: Mutex::new(Ok(v1::StatusResponse::default())),
            change: Mutex::new(Some(Ok(v1::Keyspace::default()))),
            watched: Mutex::default(),
            hints: Mutex::new(Some(Ok(v1::HintsResponse::default()))),
            breaks: watch::Sender::new(0),
            reversed: Mutex::new(false),
            process: Mutex::new(None),
        });
        let fake = Fake { address, inner };
        let server = tonic::transport::Server::builder()
            .add_service(KvServer::new(fake.clone()).max_decoding_message_size(usize::MAX))
            .add_service(AdminServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        fake
    }

    /// A node that does whatever it is asked.
    pub(crate) async fn willing() -> Fake {
        Fake::start(|operation| Reply::Answer(done(operation))).await
    }

    pub(crate) fn script(&self, script: impl FnMut(&Operation) -> Reply + Send + 'static) {
        *self.inner.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn door(&self, door: Door) {
        self.inner.door.send_replace(door);
    }

    /// Whoever watches is told this from now on.
    pub(crate) fn watched(&self, told: Vec<v1::WatchStatusResponse>) {
        *self.inner.watched.lock().unwrap() = told;
    }

    /// Answers of one message leave in reversed order.
    pub(crate) fn answer_in_reverse(&self) {
        *self.inner.reversed.lock().unwrap() = true;
    }

    /// It introduces itself as this process from now on.
    pub(crate) fn process(&self, process: u64) {
        *self.inner.process.lock().unwrap() = Some(process);
    }

    pub(crate) fn break_sessions(&self) {
        self.inner.breaks.send_modify(|breaks| *breaks += 1);
    }

    pub(crate) fn topology(&self, topology: v1::TopologyResponse) {
        *self.inner.topology.lock().unwrap() = topology;
    }

    pub(crate) fn status(&self, status: Result<v1::StatusResponse, Status>) {
        *self.inner.status.lock().unwrap() = status;
    }

    pub(crate) fn change(&self, change: impl Into<Option<Result<v1::Keyspace, Status>>>) {
        *self.inner.change.lock().unwrap() = change.into();
    }

    pub(crate) fn hints(&self, hints: impl Into<Option<Result<v1::HintsResponse, Status>>>) {
        *self.inner.hints.lock().unwrap() = hints.into();
    }

    /// A change of a keyspace, of any kind.
    async fn changed(&self, name: String, timeout_ms: u32) -> Result<Response<v1::Keyspace>, Status> {
        self.inner.log.send_modify(|log| log.changes.push((name, timeout_ms)));
        let change = self.inner.change.lock().unwrap().clone();
        match change {
            Some(change) => change.map(Response::new),
            None => std::future::pending().await,
        }
    }

    pub(crate) fn log(&self) -> watch::Ref<'_, Log> {
        self.inner.log.borrow()
    }

    /// Waits until the log is like this, or fails the test.
    pub(crate) async fn until(&self, what: &str, like_this: impl FnMut(&Log) -> bool) {
        let mut log = self.inner.log.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), log.wait_for(like_this));
        assert!(waited.await.is_ok(), "waited in vain for {what}: {:?}", self.log());
    }

    /// Answers of one message; nothing if the session is to break.
    fn handle(&self, message: v1::SessionRequest) -> Option<v1::SessionResponse> {
        let mut responses = Vec::new();
        let mut intact = true;
        let mut operations = Vec::new();
        for request in message.requests {
            let operation = request.operation.unwrap();
            match (self.inner.script.lock().unwrap())(&operation) {
                Reply::Answer(result) => {
                    responses.push(v1::Response { id: request.id, result: Some(result) });
                }
                Reply::Silence => (),
                Reply::Break => intact = false,
            }
            operations.push(operation);
        }
        if *self.inner.reversed.lock().unwrap() {
            responses.reverse();
        }
        if !operations.is_empty() {
            self.inner.log.send_modify(|log| log.messages.push(operations));
        }
        intact.then_some(v1::SessionResponse { responses })
    }
}

/// The answer of a node that did what it was asked. A get finds its own key as the value.
pub(crate) fn done(operation: &Operation) -> Answer {
    match operation {
        Operation::Get(get) => Answer::Get(found(get.key.clone())),
        Operation::Put(put) => {
            Answer::Put(v1::PutResponse { actor: 1, timestamp: put.value.len() as u64, ..Default::default() })
        }
        Operation::Delete(_) => Answer::Delete(v1::DeleteResponse::default()),
        Operation::Scan(_) => Answer::Scan(v1::ScanResponse::default()),
    }
}

pub(crate) fn found(value: bytes::Bytes) -> v1::GetResponse {
    let version = v1::Version { value, actor: 7, timestamp: 3 << 16 | 1, expires_at: Some(9) };
    let replicas = v1::Replicas { wanted: 2, answered: 3, agreed: 1, sloppy: true };
    v1::GetResponse { versions: vec![version], replicas: Some(replicas), context: Default::default() }
}

pub(crate) fn error(kind: v1::error::Kind) -> Reply {
    Reply::Answer(Answer::Error(v1::Error { kind: kind.into(), message: "by script".into() }))
}

/// An address at which nothing listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

pub(crate) struct Channel<T>(mpsc::UnboundedReceiver<Result<T, Status>>);

impl<T> Stream for Channel<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

fn unary<T>() -> Result<T, Status> {
    Err(Status::unimplemented("the client uses sessions"))
}

#[tonic::async_trait]
impl Kv for Fake {
    type ScanStream = Channel<v1::ScanResponse>;
    type SessionStream = Channel<v1::SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut door = self.inner.door.subscribe();
        let now = door.wait_for(|door| *door != Door::Shut).await.unwrap().clone();
        if now == Door::Refusing {
            self.inner.log.send_modify(|log| log.refused += 1);
            return Err(Status::unavailable("not yet"));
        }
        self.inner.log.send_modify(|log| log.sessions += 1);
        let (answers, receiver) = mpsc::unbounded_channel();
        let fake = self.clone();
        let mut requests = request.into_inner();
        let mut breaks = fake.inner.breaks.subscribe();
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    message = requests.message() => message,
                    _ = breaks.changed() => Err(Status::unavailable("broken by script")),
                };
                let Ok(Some(message)) = message else {
                    fake.inner.log.send_modify(|log| log.ended += 1);
                    let _ = answers.send(Err(Status::unavailable("broken by script")));
                    return;
                };
                let answer = fake.handle(message).ok_or_else(|| Status::unavailable("broken by script"));
                let broken = answer.is_err();
                let _ = answers.send(answer);
                if broken {
                    fake.inner.log.send_modify(|log| log.ended += 1);
                    return;
                }
            }
        });
        let mut response = Response::new(Channel(receiver));
        if let Some(process) = *self.inner.process.lock().unwrap() {
            response.metadata_mut().insert("kvorum-process", process.into());
        }
        Ok(response)
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        unary()
    }

    async fn put(&self, _: Request<v1::PutRequest>) -> Result<Response<v1::PutResponse>, Status> {
        unary()
    }

    async fn delete(&self, _: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        unary()
    }

    async fn batch_get(&self, _: Request<v1::BatchGetRequest>) -> Result<Response<v1::BatchGetResponse>, Status> {
        unary()
    }

    async fn batch_put(&self, _: Request<v1::BatchPutRequest>) -> Result<Response<v1::BatchPutResponse>, Status> {
        unary()
    }

    async fn scan(&self, _: Request<v1::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        unary()
    }
}

#[tonic::async_trait]
impl Admin for Fake {
    type WatchStatusStream = Channel<v1::WatchStatusResponse>;

    /// Tells what it was given to tell, and ends.
    async fn watch_status(
        &self,
        _: Request<v1::WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        let told = self.inner.watched.lock().unwrap().clone();
        let (out, stream) = mpsc::unbounded_channel();
        told.into_iter().for_each(|update| out.send(Ok(update)).unwrap());
        Ok(Response::new(Channel(stream)))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        self.inner.status.lock().unwrap().clone().map(Response::new)
    }

    async fn ring(&self, request: Request<v1::RingRequest>) -> Result<Response<v1::RingResponse>, Status> {
        let place = request.into_inner().key.map(|key| v1::KeyPlace {
            token: key.len() as u64,
            partition: 3,
            replicas: vec!["n1".into()],
            fallbacks: vec!["n2".into()],
        });
        Ok(Response::new(v1::RingResponse { place, partitions: 8, epoch: 2, ..Default::default() }))
    }

    async fn topology(&self, _: Request<v1::TopologyRequest>) -> Result<Response<v1::TopologyResponse>, Status> {
        self.inner.log.send_modify(|log| log.topologies += 1);
        Ok(Response::new(self.inner.topology.lock().unwrap().clone()))
    }

    async fn why(&self, _: Request<v1::WhyRequest>) -> Result<Response<v1::WhyResponse>, Status> {
        unary()
    }

    async fn hints(&self, _: Request<v1::HintsRequest>) -> Result<Response<v1::HintsResponse>, Status> {
        let hints = self.inner.hints.lock().unwrap().clone();
        match hints {
            Some(hints) => hints.map(Response::new),
            None => std::future::pending().await,
        }
    }

    async fn list_keyspaces(
        &self,
        _: Request<v1::ListKeyspacesRequest>,
    ) -> Result<Response<v1::ListKeyspacesResponse>, Status> {
        let keyspace = self.inner.change.lock().unwrap().clone();
        let keyspaces = keyspace.and_then(Result::ok).into_iter().collect();
        Ok(Response::new(v1::ListKeyspacesResponse { keyspaces, version: 9 }))
    }

    async fn create_keyspace(
        &self,
        request: Request<v1::CreateKeyspaceRequest>,
    ) -> Result<Response<v1::Keyspace>, Status> {
        let request = request.into_inner();
        self.changed(request.keyspace.unwrap().name, request.timeout_ms).await
    }

    async fn alter_keyspace(
        &self,
        request: Request<v1::AlterKeyspaceRequest>,
    ) -> Result<Response<v1::Keyspace>, Status> {
        let request = request.into_inner();
        self.changed(request.keyspace.unwrap().name, request.timeout_ms).await
    }

    async fn drop_keyspace(
        &self,
        request: Request<v1::DropKeyspaceRequest>,
    ) -> Result<Response<v1::DropKeyspaceResponse>, Status> {
        let request = request.into_inner();
        self.changed(request.name, request.timeout_ms).await?;
        Ok(Response::new(v1::DropKeyspaceResponse {}))
    }
}
