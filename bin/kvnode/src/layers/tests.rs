use std::os::unix::ffi::OsStringExt;

use clap::Parser;

use super::*;
use crate::args::Args;
use crate::effective::config;

/// What `kvnode run` gathers from a line, a variable, and a file that is named by `--config`.
fn gather(line: &[&str], variable: Option<(&str, &str)>, file: Option<&str>) -> Result<Settings> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.toml");
    let mut line: Vec<OsString> = ["kvnode", "run"].iter().chain(line).map(OsString::from).collect();
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
        line.extend(["--config".into(), path.clone().into()]);
    }
    let crate::args::Command::Run(run) = Args::try_parse_from(line).unwrap().command else { panic!() };
    let variable = |name: &str| variable.filter(|(given, _)| *given == name).map(|(_, value)| value.into());
    Settings::gather(&run.layers, variable)
}

/// The error of what is wrong in a file of this text, from the file's name on.
fn complaint_about(file: &str) -> String {
    let error = gather(&[], None, Some(file)).and_then(|settings| config(&settings)).unwrap_err();
    let error = format!("{error:#}");
    assert!(!error.contains('\n'), "{error}");
    error.split_once("node.toml").unwrap_or_else(|| panic!("{error}")).1.to_owned()
}

fn source(settings: &Settings, key: &str) -> (String, Source) {
    let value = settings.value(Setting::find(key).unwrap()).unwrap();
    (value.text.into_owned(), value.source)
}

#[test]
fn a_flag_wins_over_a_variable_that_over_the_file_and_that_over_the_default() {
    let file = Some("name = 'file'\nweight = 3\nseeds = ['a:1', 'b:2']\ndc = 'file'");
    let settings = gather(&["--name", "flag"], Some(("KVORUM_DC", "variable")), file).unwrap();
    assert_eq!(source(&settings, "name"), ("flag".into(), Source::Flag));
    assert_eq!(source(&settings, "dc"), ("variable".into(), Source::Variable));
    let (weight, place) = source(&settings, "weight");
    assert!(weight == "3" && matches!(place, Source::File { line: 2, .. }), "{place:?}");
    assert_eq!(source(&settings, "rack"), ("rack1".into(), Source::Default));
    let config = config(&settings).unwrap();
    assert_eq!((config.name.as_str(), config.weight, config.seeds.len()), ("flag", 3, 2));
    assert_eq!(config.listen.to_string(), "127.0.0.1:7400");
    // A flag over a variable of the same setting, too.
    let both = gather(&["--dc", "flag"], Some(("KVORUM_DC", "variable")), None).unwrap();
    assert_eq!(source(&both, "dc"), ("flag".into(), Source::Flag));
}

#[test]
fn a_list_is_given_with_commas_repeated_or_as_a_list() {
    for settings in [
        gather(&["--seeds", "a:1, b:2"], None, None),
        gather(&["--seeds", "a:1", "--seeds", "b:2"], None, None),
        gather(&[], Some(("KVORUM_SEEDS", "a:1,b:2,")), None),
        gather(&[], None, Some("seeds = ['a:1', \"b:2\"]")),
    ] {
        assert_eq!(config(&settings.unwrap()).unwrap().seeds, ["a:1", "b:2"]);
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_keys_there_are() {
    let error = complaint_about("name = 'n1'\nlissten = '127.0.0.1:1'\n");
    assert!(error.starts_with(":2: lissten: there is no such setting; use one of name, data-dir, listen, "), "{error}");
    assert!(complaint_about("name = 'n1'\n\n[tls]\ncert = 'x'").starts_with(":3: tls: there is no such setting"));
    assert!(complaint_about("data_dir = 'x'").starts_with(":1: data_dir: "));
}

#[test]
fn a_value_of_another_type_is_refused_with_its_line_and_what_is_allowed() {
    for (file, told) in [
        ("weight = 'many'", ":1: weight: `'many'` is not a number without quotes (a whole number from 0 to 1000)"),
        ("\nlisten = 7400", ":2: listen: `7400` is not a text in quotes (HOST:PORT, such as 127.0.0.1:7400)"),
        ("engine = true", ":1: engine: `true` is not a text in quotes (one of lsm, sled, memory)"),
        ("max-pair = 1.5", ":1: max-pair: `1.5` is not a text in quotes or a number (a size from 1KiB to 1MiB)"),
        ("seeds = 'a:1'", ":1: seeds: `'a:1'` is not a list of texts in quotes"),
        ("seeds = ['a:1', 2]", ":1: seeds: `['a:1', 2]` is not a list of texts in quotes"),
    ] {
        let error = complaint_about(file);
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn a_value_that_may_not_be_is_refused_with_its_place_in_each_layer() {
    let complaint = |settings: Result<Settings>| config(&settings.unwrap()).unwrap_err().to_string();
    let rest = "`7400` is not HOST:PORT, such as 127.0.0.1:7400";
    let flag = complaint(gather(&["--listen", "7400"], None, None));
    assert_eq!(flag, format!("flag --listen: {rest}"));
    let variable = complaint(gather(&[], Some(("KVORUM_LISTEN", "7400")), None));
    assert_eq!(variable, format!("variable KVORUM_LISTEN: {rest}"));
    assert_eq!(complaint_about("name = 'n1'\n\nlisten = '7400'"), format!(":3: listen: {rest}"));
    assert_eq!(complaint_about("weight = 1001"), ":1: weight: `1001` is not a whole number from 0 to 1000");
}

#[test]
fn a_number_in_a_file_may_be_written_in_each_way_that_toml_has() {
    let settings = gather(&[], None, Some("weight = 1_0\npartitions = 0x40\nreplication = 2\nmemory = 134_217_728"));
    let config = config(&settings.unwrap()).unwrap();
    assert_eq!((config.weight, config.founding.replication.factor("dc1"), config.memory), (10, 2, 128 << 20));
}

#[test]
fn a_file_that_is_missing_unreadable_or_no_toml_is_told_with_who_named_it() {
    let complaint = |line: &[&str], variable: Option<(&str, &str)>| {
        let error = format!("{:#}", gather(line, variable, None).unwrap_err());
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let missing = complaint(&["--config", "/nowhere/node.toml"], None);
    assert!(missing.starts_with("cannot read /nowhere/node.toml (flag --config)"), "{missing}");
    assert!(missing.contains("No such file"), "{missing}");
    let directory = complaint(&[], Some(("KVORUM_CONFIG", "/")));
    assert!(directory.starts_with("cannot read / (variable KVORUM_CONFIG)"), "{directory}");
    for (text, told) in
        [("name = 'n1'\n{\"weight\": 1}", ":2: this is not TOML: "), ("dc = 'a'\ndc = 'b'", ":2: this is not TOML: ")]
    {
        let error = complaint_about(text);
        assert!(error.starts_with(told) && error.len() > told.len(), "{error}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_told_with_its_place() {
    let wrong = || OsString::from_vec(b"n\xff".to_vec());
    let line = ["kvnode".into(), "run".into(), "--name".into(), wrong()];
    let error = Args::try_parse_from(line).unwrap_err().to_string();
    assert!(error.contains("flag --name: `n\u{fffd}` is not UTF-8 text"), "{error}");
    let error = Settings::from_variables(|name| (name == "KVORUM_DC").then(wrong)).unwrap_err().to_string();
    assert!(error.contains("variable KVORUM_DC: ") && error.contains("not UTF-8"), "{error}");
}
