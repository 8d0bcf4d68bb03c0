//! Owns the servers as child processes: started on free ports, stopped when this is dropped. They watch their standard
//! input and stop when this process is gone, however it ended.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::args::Target;

/// Running servers.
#[derive(Debug)]
pub(crate) struct Servers {
    children: Vec<Child>,
    /// Where clients connect.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Servers {
    /// Starts them; they serve when this returns.
    pub(crate) fn start(target: Target) -> Result<Servers> {
        let count = match target {
            Target::Echo => 1,
            Target::QuorumEcho => 3,
        };
        let ports = free_ports(2 * count)?;
        let (addresses, peers) = ports.split_at(count);
        let mut servers = Servers { children: Vec::new(), addresses: addresses.to_vec() };
        let program = std::env::current_exe().context("cannot find this program")?;
        for (index, address) in addresses.iter().enumerate() {
            let mut command = Command::new(&program);
            command.args(["serve", "--stop-with-stdin", "--listen", &address.to_string()]);
            if target == Target::QuorumEcho {
                let others = peers.iter().filter(|&peer| *peer != peers[index]).map(SocketAddr::to_string);
                let others: Vec<String> = others.collect();
                command.args(["--peer-listen", &peers[index].to_string(), "--peers", &others.join(",")]);
            }
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            servers.children.push(command.spawn().context("cannot start a server")?);
        }
        for child in &mut servers.children {
            wait_until_ready(child)?;
        }
        Ok(servers)
    }

    pub(crate) fn processes(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_until_ready(child: &mut Child) -> Result<()> {
    let output = child.stdout.take().context("a server's output is not ours")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("cannot read a server's output")?;
    if !line.starts_with("ready ") {
        bail!("a server did not start");
    }
    Ok(())
}

/// Ports that are free now; all are held until all are chosen.
fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>().context("no free ports")?;
    held.iter().map(|listener| listener.local_addr().context("no free ports")).collect()
}
