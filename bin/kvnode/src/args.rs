//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::layers::Settings;

/// A node of Kvorum, a leaderless replicated key-value store.
#[derive(Debug, Parser)]
#[command(
    name = "kvnode",
    version,
    after_help = "\
Examples:
  kvnode dev                                  a local cluster of three nodes
  kvnode run --data-dir /var/lib/kvorum       one node: founds a cluster
  kvnode run --seeds 10.0.0.1:7401            one more: joins that member's cluster
  kvnode config > node.toml                   every setting, explained, as a file to start from

Exit codes: 0 done, 2 a wrong flag, variable or file, 5 anything else."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node in the foreground.
    Run(Box<RunArgs>),
    /// Print the effective configuration: every setting with its value, its meaning, and where it came from.
    Config(Box<ConfigArgs>),
    /// Run a local cluster as child processes, for development.
    Dev(Box<DevArgs>),
}

#[derive(Debug, Parser)]
#[command(after_help = "\
Every setting can also stand in the --config file (keys as the flags: `data-dir = \"...\"`) or in a KVORUM_* variable.
Flags win over variables, variables over the file. `kvnode config` shows what holds, and from where.

Examples:
  kvnode run                                  found a cluster of one node in ./kvorum-data
  kvnode run --initial-nodes 3                found a cluster that is complete when three nodes are present
  kvnode run --seeds 10.0.0.1:7401            join the cluster of the member at that peer address
  kvnode run --listen 0.0.0.0:7400 --advertise db1.example:7400 \\
             --peer-listen 0.0.0.0:7401 --peer-advertise db1.example:7401

It prints one line when it serves:
  ready name=n1 id=... client=127.0.0.1:7400 peer=127.0.0.1:7401 http=127.0.0.1:7402")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) layers: LayerArgs,

    /// Stop when standard input ends: how a parent process makes sure that its nodes do not outlive it
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Debug, Parser)]
#[command(after_help = "\
It takes the flags of `kvnode run`, and reads the same variables and file. Nothing is started. What it prints is a
TOML file for `kvnode run --config` that gives the same configuration.

Examples:
  kvnode config                               what `kvnode run` would start with
  kvnode config --config node.toml --engine memory
  kvnode config > node.toml                   a file to start from")]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// Where settings come from, besides variables.
#[derive(Debug, clap::Args)]
pub(crate) struct LayerArgs {
    /// Read settings from this TOML file [env: KVORUM_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) flags: Settings,
}

#[derive(Debug, Parser)]
#[command(after_help = "\
Node i, from 0, has the name n{i+1}, its data in DIR/n{i+1}, its log in DIR/n{i+1}.log, and the ports base + 10 i for
clients, +1 for peers, +2 for HTTP. Started again on the same directory it finds the data again. Ctrl-C stops all nodes.
Any other setting of `kvnode run` may be given, and holds for every node; unless it is given, the nodes share the memory that
one would take.

Examples:
  kvnode dev                                  three nodes on the ports from 7400
  kvnode dev --nodes 5 --dir /tmp/k5 --base-port 8400
  kvnode dev --engine memory                  keeps nothing over a restart")]
pub(crate) struct DevArgs {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) nodes: u16,

    /// Where their data and logs are kept
    #[arg(long, default_value = "./kvorum-dev", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// The first node's client port; 0 takes whatever ports are free
    #[arg(long, default_value_t = 7400, value_name = "PORT")]
    pub(crate) base_port: u16,

    #[command(flatten)]
    pub(crate) flags: Settings,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn run_and_config_take_the_same_settings() {
        let line = ["--config", "node.toml", "--listen", "127.0.0.1:0", "--seeds", "a:1,b:2", "--seeds", "c:3"];
        let parse = |command: &str| Args::try_parse_from(["kvnode", command].into_iter().chain(line)).unwrap().command;
        let (Command::Run(run), Command::Config(config)) = (parse("run"), parse("config")) else { panic!() };
        assert_eq!(run.layers.flags, config.layers.flags);
        assert_eq!(run.layers.config, config.layers.config);
    }

    #[test]
    fn the_help_names_each_setting_its_default_and_its_variable() {
        let mut command = Args::command();
        let help = command.find_subcommand_mut("run").unwrap().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for setting in &crate::settings::SETTINGS {
            assert!(help.contains(&format!("--{} <", setting.key)), "{}", setting.key);
            let rest =
                format!("{} [default: {}] [env: {}]", setting.allowed, setting.fallback.words(), setting.variable());
            assert!(help.contains(&rest), "{rest}");
        }
    }
}
