//! One line: its fields, and which of them an event must have. It does not know what other lines say.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Object;
use super::value::spell;

/// What happened to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Invoke,
    Ok,
    Fail,
    Info,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Read,
    Write,
    Cas,
    Add,
    Append,
}

impl Function {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "cas",
            Self::Add => "add",
            Self::Append => "append",
        }
    }
}

/// What an event says of a value, each in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, or nothing that counts.
    None,
    /// What a write, an add, an append is of, or a read of a register has found.
    One(String),
    /// What a compare-and-set is of.
    Pair([String; 2]),
    /// What a set holds.
    All(Vec<String>),
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) process: u64,
    pub(super) kind: Type,
    pub(super) function: Function,
    pub(super) key: Option<String>,
    pub(super) value: Value,
    /// There with the `ok` of a compare-and-set, and with nothing else.
    pub(super) swapped: Option<bool>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(default, borrow, deserialize_with = "even_null")]
    process: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null", rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    f: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    key: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    value: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    swapped: Option<&'a RawValue>,
}

/// A `null` is something else than nothing.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// One line that is not blank.
pub(super) fn parse(line: &str, object: Object) -> Result<Event, String> {
    if !line.trim_start().starts_with('{') {
        return Err("expected a JSON object".into());
    }
    let fields: Fields<'_> = serde_json::from_str(line).map_err(|error| {
        // There is one line only, and serde_json counts from its beginning.
        let text = error.to_string();
        format!("broken JSON: {}", text.replace(" at line 1 column ", " at column "))
    })?;
    let process = needed(fields.process, "process")?;
    let process = decode(process, "process", "a number from 0")?;
    let kind = match &*decode::<String>(needed(fields.kind, "type")?, "type", "a string")? {
        "invoke" => Type::Invoke,
        "ok" => Type::Ok,
        "fail" => Type::Fail,
        "info" => Type::Info,
        other => return Err(format!("unknown type {other:?}: expected invoke, ok, fail or info")),
    };
    let function = function(&decode::<String>(needed(fields.f, "f")?, "f", "a string")?, object)?;
    let key = match fields.key {
        Some(key) => Some(self::key(key)?),
        None if kind == Type::Invoke => return Err("missing field key".into()),
        None => None,
    };
    let value = value(kind, function, object, fields.value)?;
    let swapped = match (function, kind) {
        (Function::Cas, Type::Ok) => Some(decode(needed(fields.swapped, "swapped")?, "swapped", "true or false")?),
        _ => None,
    };
    Ok(Event { process, kind, function, key, value, swapped })
}

fn needed<'a>(field: Option<&'a RawValue>, name: &str) -> Result<&'a RawValue, String> {
    field.ok_or_else(|| format!("missing field {name}"))
}

fn decode<T: for<'de> Deserialize<'de>>(field: &RawValue, name: &str, expected: &str) -> Result<T, String> {
    serde_json::from_str(field.get()).map_err(|_| format!("bad {name} {}: expected {expected}", shown(field)))
}

/// As much of a field as fits a message.
fn shown(field: &RawValue) -> String {
    const MOST: usize = 60;
    let text = field.get();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

fn function(name: &str, object: Object) -> Result<Function, String> {
    let (holder, functions) = match object {
        Object::Register => ("register", &[Function::Read, Function::Write, Function::Cas][..]),
        Object::Set => ("set", &[Function::Add, Function::Read][..]),
        Object::String => ("string", &[Function::Read, Function::Write, Function::Append][..]),
    };
    functions.iter().copied().find(|function| function.name() == name).ok_or_else(|| {
        let names: Vec<_> = functions.iter().map(|function| function.name()).collect();
        format!("unknown f {name:?}: a {holder} has {}", names.join(", "))
    })
}

fn key(key: &RawValue) -> Result<String, String> {
    let is_key = key.get().starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
    if is_key { spell(key) } else { Err(format!("bad key {}: expected a string or a number", shown(key))) }
}

fn value(kind: Type, function: Function, object: Object, value: Option<&RawValue>) -> Result<Value, String> {
    let is_null = value.is_none_or(|value| value.get() == "null");
    match (kind, function) {
        (Type::Invoke, Function::Read) => match value {
            Some(value) if !is_null => Err(format!("bad value {}: a read is invoked with none", shown(value))),
            _ => Ok(Value::None),
        },
        (Type::Fail | Type::Info, Function::Read) => Ok(Value::None),
        (Type::Fail | Type::Info, _) if is_null => Ok(Value::None),
        (Type::Invoke, _) | (Type::Ok, Function::Read) => contents(function, object, needed(value, "value")?),
        (Type::Ok | Type::Fail | Type::Info, _) => {
            value.map_or(Ok(Value::None), |value| contents(function, object, value))
        }
    }
}

fn contents(function: Function, object: Object, value: &RawValue) -> Result<Value, String> {
    let bad = |expected| format!("bad value {}: expected {expected}", shown(value));
    match (object, function) {
        (Object::Register, Function::Cas) => {
            let [old, new]: [&RawValue; 2] = serde_json::from_str(value.get()).map_err(|_| bad("[old, new]"))?;
            Ok(Value::Pair([spell(old)?, spell(new)?]))
        }
        (Object::Set, Function::Read) => {
            let all: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| bad("an array of elements"))?;
            all.into_iter().map(spell).collect::<Result<_, _>>().map(Value::All)
        }
        (Object::String, _) if !value.get().starts_with('"') => Err(bad("a string")),
        _ => spell(value).map(Value::One),
    }
}
