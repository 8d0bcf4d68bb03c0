use super::*;

fn reads(object: Object, lines: &str) -> Recording {
    read(lines.as_bytes(), object).unwrap_or_else(|error| panic!("{error} in {lines}"))
}

fn refuses(object: Object, lines: &str, line: usize, words: &str) {
    let error = read(lines.as_bytes(), object).expect_err(lines).to_string();
    assert!(error.starts_with(&format!("line {line}: ")) && error.contains(words), "{error} of {lines}");
}

/// Lines of a short notation: `process type f rest-of-the-fields`, all on key `k`.
fn lines(events: &[&str]) -> String {
    let line = |event: &&str| {
        let mut words = event.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (process, kind, f, rest) = (word(), word(), word(), word());
        let comma = if rest.is_empty() { "" } else { "," };
        format!(r#"{{"process":{process},"type":"{kind}","f":"{f}","key":"k"{comma}{rest}}}"#)
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn is_linearizable(object: Object, events: &[&str]) -> bool {
    let recording = reads(object, &lines(events));
    assert_eq!(recording.keys().len(), 1);
    recording.keys()[0].is_linearizable().unwrap()
}

#[test]
fn an_empty_file_is_a_history_of_nothing() {
    for lines in ["", "\n", "\n \r\n\t\n"] {
        let recording = reads(Object::Set, lines);
        assert_eq!((recording.operations(), recording.keys().len(), recording.processes()), (0, 0, 0));
    }
}

#[test]
fn what_is_certain_is_understood_however_it_is_written() {
    let lines = r#"
{"process": 1, "type": "invoke", "f": "write", "key": "k", "value": "a", "time": 17, "extra": {"b": [1]}}

{"value":"\u0061","f":"write","type":"ok","process":1}
{"process":2,"type":"invoke","f":"read","key":"\u006b","value":null}
{"process":2,"type":"ok","f":"read","key":"k","value":"a"}
{"process":2,"type":"invoke","f":"cas","key":"k","value":[ "a" , 2 ]}
{"process":2,"type":"ok","f":"cas","value":["a",2],"swapped":true}
{"process":3,"type":"invoke","f":"read","key":-7}
{"process":3,"type":"fail","f":"read","value":["whatever"]}
"#;
    let recording = reads(Object::Register, &lines.replace('\n', "\r\n"));
    assert_eq!((recording.operations(), recording.failed(), recording.unknown()), (4, 1, 0));
    let [k, other] = recording.keys() else { panic!("there are two keys") };
    assert_eq!((k.key(), k.len(), other.key(), other.is_empty()), (r#""k""#, 3, "-7", true));
    assert_eq!(k.check(), Ok(vec![0, 1, 2]));
    let line =
        Line { process: 2, invoked: 7, completed: Some(8), asked: r#"cas ["a",2]"#.into(), outcome: "swapped".into() };
    assert_eq!(k.line(2), line);
}

#[test]
fn a_register_holds_null_at_first() {
    assert!(is_linearizable(Object::Register, &["0 invoke read", r#"0 ok read "value":null"#]));
    assert!(!is_linearizable(Object::Register, &["0 invoke read", r#"0 ok read "value":"null""#]));
    let cas = [r#"0 invoke cas "value":[null,1]"#, r#"0 ok cas "swapped":false"#];
    assert!(!is_linearizable(Object::Register, &cas));
    let write = [r#"0 invoke write "value":null"#, r#"0 ok write "value":null"#];
    assert!(is_linearizable(Object::Register, &write));
}

#[test]
fn what_failed_never_was_and_what_is_unknown_may_have_been() {
    let then_reads = |end: &str, found: &str| {
        let mut events = vec![r#"0 invoke write "value":1"#.to_owned()];
        events.extend((!end.is_empty()).then(|| format!("0 {end} write")));
        events.push("1 invoke read".into());
        events.push(format!(r#"1 ok read "value":{found}"#));
        is_linearizable(Object::Register, &events.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(!then_reads("ok", "null") && then_reads("ok", "1"));
    assert!(then_reads("fail", "null") && !then_reads("fail", "1"));
    for end in ["info", ""] {
        assert!(then_reads(end, "null") && then_reads(end, "1"), "{end}");
    }
}

#[test]
fn a_process_that_goes_on_leaves_what_it_began_unknown_for_good() {
    let events = [
        r#"0 invoke write "value":1"#,
        r#"0 invoke write "value":2"#,
        "0 ok write",
        "1 invoke read",
        r#"1 ok read "value":1"#,
    ];
    let recording = reads(Object::Register, &lines(&events));
    assert_eq!((recording.unknown(), recording.processes()), (1, 2));
    assert!(recording.keys()[0].is_linearizable().unwrap());
    refuses(Object::Register, &lines(&[&events[..3], &["0 ok write"]].concat()), 4, "process 0");
    // An end says what it ends: it is that of the later one.
    refuses(Object::Register, &lines(&[&events[..2], &[r#"0 ok write "value":1"#]].concat()), 3, "another value");
}

#[test]
fn values_are_equal_if_they_are_written_alike() {
    let reads_back = |written: &str, found: &str| {
        let events = [
            &format!(r#"0 invoke write "value":{written}"#),
            "0 ok write",
            "1 invoke read",
            &format!(r#"1 ok read "value":{found}"#),
        ];
        is_linearizable(Object::Register, &events)
    };
    for (one, other) in [
        (r#"[1, {"a" : "x y"}]"#, r#"[1,{"a":"x y"}]"#),
        (r#""\u00e9\/\"""#, r#""é/\"""#),
        (r#"{"\u0061\\":1}"#, r#"{"a\\":1}"#),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ] {
        assert!(reads_back(one, other), "{one} {other}");
    }
    for (one, other) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("1", r#""1""#),
        (r#""a b""#, r#""ab""#),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
    ] {
        assert!(!reads_back(one, other), "{one} {other}");
    }
}

#[test]
fn a_set_shows_each_element_once_in_any_order() {
    let read = |found: &str| {
        let events = [
            r#"0 invoke add "value":1"#,
            "0 ok add",
            r#"0 invoke add "value":"b""#,
            "0 info add",
            "1 invoke read",
            &format!(r#"1 ok read "value":{found}"#),
        ];
        is_linearizable(Object::Set, &events)
    };
    assert!(read("[1]") && read(r#"["b",1]"#) && read(r#"[1, "b"]"#));
    assert!(!read("[]") && !read(r#"["b"]"#) && !read("[1,1]") && !read(r#"[1,"b",1]"#) && !read("[1.0]"));
}

#[test]
fn a_string_grows_at_its_end() {
    let events = |found: &str| {
        let read = format!(r#"1 ok read "value":{found}"#);
        let events = [
            r#"0 invoke write "value":"a""#,
            "0 ok write",
            r#"0 invoke append "value":"\u00e9""#,
            "1 invoke read",
            &read,
        ];
        is_linearizable(Object::String, &events)
    };
    assert!(events(r#""a""#) && events(r#""aé""#));
    assert!(!events(r#""""#) && !events(r#""é""#) && !events(r#""éa""#));
}

#[test]
fn what_is_not_certain_is_refused_with_its_line() {
    let good = r#"{"process":0,"type":"invoke","f":"write","key":"k","value":1}"#;
    for (bad, words) in [
        ("{", "broken JSON"),
        ("7", "expected a JSON object"),
        (r#"{"process":0,"type":"ok","f":"write"} x"#, "broken JSON"),
        (r#"{"type":"ok","f":"write"}"#, "missing field process"),
        (r#"{"process":0,"f":"write"}"#, "missing field type"),
        (r#"{"process":0,"type":"ok"}"#, "missing field f"),
        (r#"{"process":0,"process":1,"type":"ok","f":"write"}"#, "duplicate field"),
        (r#"{"process":-1,"type":"ok","f":"write"}"#, "a number from 0"),
        (r#"{"process":"0","type":"ok","f":"write"}"#, "a number from 0"),
        (r#"{"process":1.5,"type":"ok","f":"write"}"#, "a number from 0"),
        (r#"{"process":0,"type":"done","f":"write"}"#, "invoke, ok, fail or info"),
        (r#"{"process":0,"type":7,"f":"write"}"#, "expected a string"),
        (r#"{"process":0,"type":"ok","f":"add"}"#, "read, write, cas"),
        (r#"{"process":0,"type":"ok","f":"push"}"#, "read, write, cas"),
        (r#"{"process":1,"type":"ok","f":"write"}"#, "process 1 has no operation"),
        (r#"{"process":0,"type":"ok","f":"read","value":1}"#, "began on line 1 as write, not read"),
        (r#"{"process":0,"type":"ok","f":"write","key":"l"}"#, "another key"),
        (r#"{"process":0,"type":"ok","f":"write","value":2}"#, "another value"),
        (r#"{"process":0,"type":"ok","f":"write","value":null}"#, "another value"),
        (r#"{"process":0,"type":"info","f":"write","value":2}"#, "another value"),
        (r#"{"process":1,"type":"invoke","f":"read"}"#, "missing field key"),
        (r#"{"process":1,"type":"invoke","f":"read","key":null}"#, "a string or a number"),
        (r#"{"process":1,"type":"invoke","f":"read","key":["k"]}"#, "a string or a number"),
        (r#"{"process":1,"type":"invoke","f":"read","key":"k","value":1}"#, "a read is invoked with none"),
        (r#"{"process":1,"type":"invoke","f":"write","key":"k"}"#, "missing field value"),
        (r#"{"process":1,"type":"invoke","f":"write","key":"k","value":"\ud800"}"#, "JSON"),
        (r#"{"process":1,"type":"invoke","f":"cas","key":"k","value":1}"#, "[old, new]"),
        (r#"{"process":1,"type":"invoke","f":"cas","key":"k","value":[1,2,3]}"#, "[old, new]"),
    ] {
        refuses(Object::Register, &format!("{good}\n{bad}\n"), 2, words);
    }
    let cas = r#"{"process":0,"type":"invoke","f":"cas","key":"k","value":[1,2]}"#;
    refuses(
        Object::Register,
        &format!("{cas}\n{{\"process\":0,\"type\":\"ok\",\"f\":\"cas\"}}"),
        2,
        "missing field swapped",
    );
    let swapped = r#"{"process":0,"type":"ok","f":"cas","swapped":1}"#;
    refuses(Object::Register, &format!("{cas}\n{swapped}"), 2, "true or false");
    let read = r#"{"process":0,"type":"invoke","f":"read","key":"k"}"#;
    refuses(
        Object::Register,
        &format!("{read}\n{{\"process\":0,\"type\":\"ok\",\"f\":\"read\"}}"),
        2,
        "missing field value",
    );
    for found in ["null", "1", r#"{"1":true}"#, "\"1\""] {
        let ok = format!(r#"{{"process":0,"type":"ok","f":"read","value":{found}}}"#);
        refuses(Object::Set, &format!("{read}\n{ok}"), 2, "an array of elements");
    }
    for found in ["null", "1", "[]"] {
        let ok = format!(r#"{{"process":0,"type":"ok","f":"read","value":{found}}}"#);
        refuses(Object::String, &format!("{read}\n{ok}"), 2, "a string");
    }
    let append = r#"{"process":0,"type":"invoke","f":"append","key":"k","value":1}"#;
    refuses(Object::String, append, 1, "a string");
}

#[test]
fn bytes_that_are_no_text_and_lines_without_end_are_refused() {
    let error = read(&b"\n{\"process\":\xff}\n"[..], Object::Set).unwrap_err().to_string();
    assert!(error.starts_with("line 2: expected UTF-8"), "{error}");
    let long = vec![b' '; LONGEST_LINE + 1];
    let error = read(&long[..], Object::Set).unwrap_err().to_string();
    assert!(error.starts_with("line 1: expected at most"), "{error}");
    assert_eq!(read(&long[1..], Object::Set).unwrap().operations(), 0);
    let mut ended = long[1..].to_vec();
    ended.push(b'\n');
    assert_eq!(read(&ended[..], Object::Set).unwrap().operations(), 0);
}

#[test]
fn values_nested_as_deep_as_a_line_is_long_do_no_harm() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let events = [
        &format!(r#"0 invoke write "value":{deep}"#),
        "0 ok write",
        "1 invoke read",
        &format!(r#"1 ok read "value":{deep}"#),
    ];
    assert!(is_linearizable(Object::Register, &events));
    let extra = format!("{{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"key\":1,\"extra\":{deep}}}");
    assert_eq!(reads(Object::Register, &extra).operations(), 1);
}

#[test]
fn any_garbage_is_an_error_and_never_a_panic() {
    use proptest::prelude::*;
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        " ",
        "null",
        "1",
        "-",
        "\"process\":0",
        "\"type\":\"invoke\"",
        "\"type\":\"ok\"",
        "\"f\":\"read\"",
        "\"f\":\"write\"",
        "\"f\":\"cas\"",
        "\"key\":1",
        "\"value\":",
        "[1,2]",
        "\u{e9}",
        "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"key\":1}\n",
        "{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n",
    ]);
    proptest!(|(words in prop::collection::vec(words, 0..40))| {
        for object in [Object::Register, Object::Set, Object::String] {
            if let Ok(recording) = read(words.concat().as_bytes(), object) {
                for key in recording.keys() {
                    prop_assert_eq!(key.is_linearizable().unwrap(), key.check().is_ok());
                }
            }
        }
    });
}
