//! `kvnode config`: the effective configuration, as a file that gives the same one.

use std::io::Write;

use crate::args::LayerArgs;
use crate::layers::{Settings, Source, Value};
use crate::settings::{SETTINGS, Setting};
use crate::{Failure, effective, one_line};

const HEAD: &str = "\
# The effective configuration of a node. Behind each value stands where it came from: a flag wins over a variable,
# a variable over the file, the file over the default. `kvnode run --config` takes this as it is.
";

pub(crate) fn config(args: &LayerArgs) -> Result<(), Failure> {
    let settings = Settings::gather(args, |name| std::env::var_os(name)).map_err(Failure::usage)?;
    effective::log(&settings).map_err(Failure::usage)?;
    effective::config(&settings).map_err(Failure::usage)?;
    let mut out = std::io::stdout();
    let written = out.write_all(text(&settings).as_bytes()).and_then(|()| out.flush());
    match written {
        // Who reads it has gone away, as `head` does: that is no failure of ours.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Valid settings as a file.
fn text(settings: &Settings) -> String {
    let one = |setting: &'static Setting| {
        let Setting { key, meaning, allowed, fallback, .. } = setting;
        let explained = format!("\n# {meaning}. Default: {}. Allowed: {allowed}.\n", fallback.words());
        match settings.value(setting) {
            Some(value) => format!("{explained}{}  # {}\n", value.to_toml(), origin(&value)),
            None => format!("{explained}# {key} =  # default: {}\n", fallback.words()),
        }
    };
    std::iter::once(HEAD.to_owned()).chain(SETTINGS.iter().map(one)).collect()
}

fn origin(value: &Value<'_>) -> String {
    match &value.source {
        Source::Default => "default".to_owned(),
        Source::File { path, line } => one_line(&format!("file {}:{line}", path.display())),
        Source::Variable | Source::Flag => value.place(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debug(settings: &Settings) -> String {
        format!("{:?} {:?}", effective::config(settings).unwrap(), effective::log(settings).unwrap())
    }

    fn fed_back(settings: &Settings) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        std::fs::write(&path, text(settings)).unwrap();
        Settings::read(&path, "flag --config").unwrap()
    }

    fn settings(given: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        given.iter().for_each(|(key, text)| settings.set(key, *text, Source::Flag));
        settings
    }

    #[test]
    fn what_is_printed_gives_the_same_configuration() {
        let full = settings(&[
            ("name", "n1"),
            ("data-dir", "a \"dir\"\\ with\nall ' of # it"),
            ("listen", "0.0.0.0:0"),
            ("advertise", "db1.example:7400"),
            ("seeds", "10.0.0.1:7401, 10.0.0.2:7401"),
            ("weight", "007"),
            ("replication", "dc1=3,dc2=2"),
            ("max-pair", "20480"),
            ("memory", "1.5GiB"),
            ("log", "info,kvorum_server=debug"),
        ]);
        for settings in [Settings::default(), full] {
            let again = fed_back(&settings);
            assert_eq!(debug(&again), debug(&settings));
            assert_eq!(debug(&fed_back(&again)), debug(&settings));
        }
    }

    #[test]
    fn every_setting_is_explained_in_one_line_and_tells_where_it_came_from() {
        let mut settings = settings(&[("name", "n1")]);
        settings.set("engine", "memory", Source::Variable);
        settings.set("weight", "3", Source::File { path: "a\nb.toml".into(), line: 7 });
        let text = text(&settings);
        for (comment, line) in [
            (
                "# The node's name, unique in the cluster. Default: the host name. Allowed: a word",
                "name = \"n1\"  # flag --name",
            ),
            ("# What its data is kept in; ", "engine = \"memory\"  # variable KVORUM_ENGINE"),
            ("# How much it takes, relative to the others; ", "weight = 3  # file a\\nb.toml:7"),
            ("# gRPC between nodes; ", "peer-listen = \"127.0.0.1:7401\"  # default"),
            ("# The address clients should use. ", "# advertise =  # default: the listen address"),
        ] {
            let lines: Vec<&str> = text.lines().collect();
            let at = lines.iter().position(|one| *one == line).unwrap_or_else(|| panic!("{line} is not in {text}"));
            assert!(lines[at - 1].starts_with(comment), "{}", lines[at - 1]);
        }
        assert_eq!(text.matches(" Allowed: ").count(), SETTINGS.len());
    }
}
