//! Owns the clients of the echoes: each has a connection of its own and one frame in flight.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::BytesMut;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::args::Load;
use crate::cpu;
use crate::frames;

/// What the clients measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// In nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) time: Duration,
    pub(crate) client_cpu: Duration,
    pub(crate) server_cpu: Duration,
}

/// Which operations count: those that lie wholly within.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: Instant,
    end: Instant,
}

/// Drives servers for a while. The clients are spread over the addresses in turn; `processes` are the servers.
pub(crate) fn drive(load: &Load, servers: &[SocketAddr], processes: &[u32]) -> Result<Measured> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.context("cannot start")?.block_on(measure(load, servers, processes))
}

async fn measure(load: &Load, servers: &[SocketAddr], processes: &[u32]) -> Result<Measured> {
    let frame: Rc<[u8]> = frames::encode(&payload(load.value_size)).into();
    let mut connections = Vec::new();
    for server in servers.iter().cycle().take(load.clients.get()) {
        let connected = TcpStream::connect(server).await.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        connections.push(connected.with_context(|| format!("cannot connect to {server}"))?);
    }
    let begin = Instant::now() + load.warm_up;
    let window = Window { begin, end: begin + load.duration };
    let mut clients = JoinSet::new();
    for connection in connections {
        clients.spawn_local(work(connection, Rc::clone(&frame), window));
    }
    sleep_until(window.begin.into()).await;
    let (own_before, servers_before, from) = (cpu::own(), cpu::of(processes)?, Instant::now());
    sleep_until(window.end.into()).await;
    let (own_after, servers_after, to) = (cpu::own(), cpu::of(processes)?, Instant::now());
    let mut latencies = histogram();
    while let Some(ended) = clients.join_next().await {
        let measured = ended.context("a client panicked")?.context("a server broke off")?;
        latencies.add(measured).map_err(|error| anyhow!("{error}"))?;
    }
    // The two looks at the clocks are a little apart from the window; the time is that between them.
    let scale = load.duration.as_secs_f64() / (to - from).as_secs_f64();
    Ok(Measured {
        latencies,
        time: load.duration,
        client_cpu: (own_after - own_before).mul_f64(scale),
        server_cpu: (servers_after - servers_before).mul_f64(scale),
    })
}

async fn work(mut server: TcpStream, frame: Rc<[u8]>, window: Window) -> io::Result<Histogram<u64>> {
    let mut latencies = histogram();
    let mut received = BytesMut::with_capacity(4 * frame.len());
    let mut start = Instant::now();
    while start < window.end {
        server.write_all(&frame).await?;
        while received.len() < frame.len() {
            if server.read_buf(&mut received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if received[..] != frame[..] {
            return Err(io::Error::other("another frame came back than was sent"));
        }
        received.clear();
        let end = Instant::now();
        if window.begin <= start && end <= window.end {
            latencies.saturating_record(u64::try_from((end - start).as_nanos()).unwrap_or(u64::MAX));
        }
        start = end;
    }
    Ok(latencies)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("the bounds are in order")
}

/// Bytes that look like nothing in particular.
fn payload(length: u16) -> Vec<u8> {
    (0..u32::from(length)).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
