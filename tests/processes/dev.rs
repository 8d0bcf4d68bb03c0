//! `kvnode dev`: a cluster with one command.

use rustix::process::Signal;

use crate::harness::{Process, assert_success, binary, kvctl};

#[test]
fn a_dev_cluster_gets_ready_stops_all_its_nodes_and_finds_its_data_again() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = binary("kvnode");
        command.args(["dev", "--base-port", "0", "--dir"]).arg(directory.path());
        let process = Process::start("dev", command);
        let endpoints: Vec<String> = (1..=3)
            .map(|number| {
                let line = process.line(&format!("  n{number} "));
                line.split_whitespace().skip_while(|word| *word != "client").nth(1).unwrap().to_owned()
            })
            .collect();
        process.line("cluster ready");
        (process, endpoints)
    };

    let (mut process, endpoints) = start();
    assert!(kvctl(&endpoints[0], &["put", "k", "v"], b"").status.success());
    process.signal(Signal::INT);
    assert!(process.wait().success());
    for endpoint in &endpoints {
        assert!(std::net::TcpStream::connect(endpoint).is_err(), "a node outlived its parent");
    }

    let (mut process, endpoints) = start();
    let got = kvctl(&endpoints[2], &["get", "k"], b"");
    assert_success(&got, "get");
    assert_eq!(got.stdout, b"v\n");
    // A parent that is killed takes its nodes with it too.
    process.kill();
    crate::harness::wait_for("the nodes have stopped", || {
        endpoints.iter().all(|endpoint| std::net::TcpStream::connect(endpoint).is_err()).then_some(())
    });
}
