//! The `Kv` service. Unary calls are batches of one through the same function as sessions.

use std::sync::Arc;
use std::time::Duration;

use kvorum_node::ActorId;
use kvorum_wire::v1;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use v1::request::Operation;
use v1::response::Result as Answer;

use crate::client_codec::status;
use crate::outbox::ResponseStream;
use crate::session::SessionStream;
use crate::shard_loop;

/// The most operations in one batch call.
const MAX_BATCH: usize = 1000;

/// Streamed scans at a time on a shard thread: each holds a few pages that may not be read.
const MAX_SCANS: usize = 32;
/// A streamed scan whose pages nobody reads for so long ends.
const SCAN_PATIENCE: Duration = Duration::from_secs(30);

/// The header by which a session tells which process it is with, in decimal: see `Attempt` in `kv.proto`.
const PROCESS_HEADER: &str = "kvorum-process";

pub(crate) struct KvService {
    scans: Arc<Semaphore>,
    process: ActorId,
}

impl KvService {
    pub(crate) fn new(process: ActorId) -> Self {
        Self { scans: Arc::new(Semaphore::new(MAX_SCANS)), process }
    }

    fn begin_scan(&self) -> Result<OwnedSemaphorePermit, Status> {
        let busy = "this node streams as many scans as it can; read those that you have opened, or try again later";
        Arc::clone(&self.scans).try_acquire_owned().map_err(|_| Status::resource_exhausted(busy))
    }
}

/// One operation, answered as a session would.
async fn answer(operation: Operation) -> Result<v1::Response, Status> {
    let reply = shard_loop::with(|shard_loop| shard_loop.call(operation));
    // Without a reply the node is stopping, and whether the operation was applied is unknown.
    reply.await.map_err(|_| {
        status(v1::Error { kind: v1::error::Kind::Indeterminate.into(), message: "the node is stopping".to_owned() })
    })
}

/// One operation, its error as a status.
async fn call(operation: Operation) -> Result<Answer, Status> {
    match answer(operation).await?.result {
        Some(Answer::Error(error)) => Err(status(error)),
        Some(result) => Ok(result),
        None => Err(Status::internal("the answer is empty")),
    }
}

async fn batch(operations: Vec<Operation>) -> Result<Vec<v1::Response>, Status> {
    if operations.len() > MAX_BATCH {
        return Err(Status::invalid_argument(format!(
            "a batch has at most {MAX_BATCH} operations, not {}",
            operations.len()
        )));
    }
    let replies: Vec<_> =
        shard_loop::with(|shard_loop| operations.into_iter().map(|operation| shard_loop.call(operation)).collect());
    let mut results = Vec::with_capacity(replies.len());
    for (id, reply) in (0..).zip(replies) {
        let response = reply.await.map_err(|_| Status::unknown("the node is stopping"))?;
        results.push(v1::Response { id, ..response });
    }
    Ok(results)
}

fn unexpected() -> Status {
    Status::internal("the answer does not fit the call")
}

#[tonic::async_trait]
impl v1::kv_server::Kv for KvService {
    type ScanStream = ResponseStream<v1::ScanResponse>;
    type SessionStream = ResponseStream<v1::SessionResponse>;

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        match call(Operation::Get(request.into_inner())).await? {
            Answer::Get(get) => Ok(Response::new(get)),
            _ => Err(unexpected()),
        }
    }

    async fn put(&self, request: Request<v1::PutRequest>) -> Result<Response<v1::PutResponse>, Status> {
        match call(Operation::Put(request.into_inner())).await? {
            Answer::Put(put) => Ok(Response::new(put)),
            _ => Err(unexpected()),
        }
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        match call(Operation::Delete(request.into_inner())).await? {
            Answer::Delete(delete) => Ok(Response::new(delete)),
            _ => Err(unexpected()),
        }
    }

    async fn batch_get(&self, request: Request<v1::BatchGetRequest>) -> Result<Response<v1::BatchGetResponse>, Status> {
        let results = batch(request.into_inner().gets.into_iter().map(Operation::Get).collect()).await?;
        Ok(Response::new(v1::BatchGetResponse { results }))
    }

    async fn batch_put(&self, request: Request<v1::BatchPutRequest>) -> Result<Response<v1::BatchPutResponse>, Status> {
        let results = batch(request.into_inner().puts.into_iter().map(Operation::Put).collect()).await?;
        Ok(Response::new(v1::BatchPutResponse { results }))
    }

    async fn scan(&self, request: Request<v1::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let permit = self.begin_scan()?;
        let (pages, stream) = tokio::sync::mpsc::channel(1);
        // Behind the pages, so that a scan that was given up does not look complete.
        let (given_up, end) = tokio::sync::mpsc::channel(1);
        let mut scan = request.into_inner();
        tokio::spawn(async move {
            let _permit = permit;
            loop {
                let page = match call(Operation::Scan(scan.clone())).await {
                    Ok(Answer::Scan(page)) => page,
                    Ok(_) => return drop(pages.send_timeout(Err(unexpected()), SCAN_PATIENCE).await),
                    Err(status) => return drop(pages.send_timeout(Err(status), SCAN_PATIENCE).await),
                };
                let (found, next) = (page.rows.len() as u64, page.next.clone());
                if pages.send_timeout(Ok(page), SCAN_PATIENCE).await.is_err() {
                    // Or the caller has gone away.
                    let _ = given_up.try_send(Err(Status::aborted("nobody has read this scan for a while")));
                    return;
                }
                let limit_reached = scan.limit > 0 && found >= scan.limit;
                match next {
                    Some(next) if !limit_reached => {
                        scan.limit = scan.limit.saturating_sub(found);
                        scan.cursor = Some(next);
                    }
                    _ => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream).chain(ReceiverStream::new(end)))))
    }

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let stream: Self::SessionStream = Box::pin(SessionStream::open(request.into_inner()));
        let mut response = Response::new(stream);
        response.metadata_mut().insert(PROCESS_HEADER, self.process.0.into());
        Ok(response)
    }
}
