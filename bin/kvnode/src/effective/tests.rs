use super::*;
use crate::layers::Source;
use crate::settings::SETTINGS;

fn with(key: &str, text: &str) -> Settings {
    let mut settings = Settings::default();
    settings.set(key, text, Source::Flag);
    settings
}

fn complaint(key: &str, text: &str) -> String {
    let settings = with(key, text);
    let error = config(&settings).map(drop).and_then(|()| log(&settings).map(drop)).unwrap_err();
    error.to_string()
}

#[test]
fn every_default_is_allowed_and_the_table_agrees_with_the_constants() {
    let config = config(&Settings::default()).unwrap();
    log(&Settings::default()).unwrap();
    assert_eq!(config.founding.pair_bytes, kvorum_server::config::DEFAULT_PAIR_BYTES);
    assert_eq!(config.memory, kvorum_server::config::default_memory());
    assert_eq!(config.shards, kvorum_server::config::default_shards());
    let hints = kvorum_server::config::default_hints();
    assert_eq!((config.hint_bytes, config.hint_age), (hints.bytes, hints.max_age));
    let allowed = |key: &str| setting(key).allowed;
    assert!(allowed("weight").ends_with(&format!(" {MAX_WEIGHT}")));
    assert!(allowed("memory").contains(&format!(" {}MiB,", MIN_MEMORY >> 20)));
    assert_eq!((*PAIR_BYTES_RANGE.start(), *PAIR_BYTES_RANGE.end()), (1 << 10, 1 << 20), "as max-pair says");
}

#[test]
fn what_may_not_be_is_refused_with_what_is_allowed() {
    for (key, wrong) in [
        ("name", &["", "n 1", "n,1", "n=1", "n\n1"][..]),
        ("data-dir", &[""]),
        ("listen", &["", "7400", ":7400", "a:b", "127.0.0.1:65536", "127.0.0.1:+1", "a b:1"]),
        ("peer-listen", &["x"]),
        ("http-listen", &["x"]),
        ("advertise", &["db1"]),
        ("peer-advertise", &["db1:"]),
        ("cluster-key-file", &[""]),
        ("seeds", &["a:1,b"]),
        ("dc", &[""]),
        ("rack", &["a=b"]),
        ("weight", &["-1", "+1", "1001", "1.5", "many", ""]),
        ("engine", &["rocks", "SLED", ""]),
        ("durability", &["sometimes"]),
        ("partitions", &["0", "100", "131072"]),
        ("replication", &["0", "x", "dc1", "dc1=0", "dc1=x", "dc1=1,dc1=2"]),
        ("initial-nodes", &["0", "-1"]),
        ("max-pair", &["1023", "1025KiB", "10 apples", "99999999999GB"]),
        ("memory", &["0", "512", "67108863", "a lot"]),
        ("hint-bytes", &["", "much"]),
        ("hint-age", &["", "3", "long"]),
        ("shards", &["0", "257"]),
        ("log", &["inof", "info,loud", "kvorum_server=loud", ""]),
        ("log-format", &["xml"]),
    ] {
        for text in wrong {
            assert_eq!(complaint(key, text), format!("flag --{key}: `{text}` is not {}", setting(key).allowed));
        }
    }
}

#[test]
fn every_setting_is_parsed() {
    // Something that none of them takes.
    for Setting { key, .. } in &SETTINGS {
        assert!(
            complaint(key, if matches!(*key, "data-dir" | "cluster-key-file") { "" } else { "=" })
                .starts_with(&format!("flag --{key}: "))
        );
    }
}

#[test]
fn listening_everywhere_needs_an_address_for_others() {
    let everywhere = complaint("listen", "0.0.0.0:7400");
    assert!(everywhere.starts_with("flag --listen: `0.0.0.0:7400` ") && everywhere.contains("--advertise HOST:PORT"));
    let peers = complaint("peer-listen", "[::]:7401");
    assert!(peers.contains("--peer-advertise HOST:PORT"), "{peers}");
    let mut settings = with("listen", "0.0.0.0:7400");
    settings.set("advertise", "db1.example:7400", Source::Flag);
    assert_eq!(config(&settings).unwrap().advertise.as_deref(), Some("db1.example:7400"));
}

#[test]
fn a_name_without_an_address_is_told_as_such() {
    // Too long for any name service to be asked.
    let host = "x".repeat(300);
    let unknown = complaint("listen", &format!("{host}:7400"));
    assert!(unknown.starts_with(&format!("flag --listen: `{host}:7400` has no address here: ")), "{unknown}");
}

#[test]
fn a_log_filter_is_a_level_or_names_what_it_is_for() {
    for text in ["info", "WARN", "off", "info,kvorum_server=debug", "kvorum_node=trace, warn"] {
        assert!(log(&with("log", text)).is_ok(), "{text}");
    }
    assert!(log(&with("log-format", "json")).unwrap().json);
}
