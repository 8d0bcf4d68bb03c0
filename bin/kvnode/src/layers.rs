//! The layers of a node's settings: what flags, variables and the file say, and which of them wins. Every value keeps the
//! place it came from, for errors and for `kvnode config`. What a value may be is in `settings.rs`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use toml::de::{DeTable, DeValue};

use crate::args::LayerArgs;
use crate::settings::{Kind, SETTINGS, Setting};

/// What is set, by key. What is not set has the default that the table names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    given: BTreeMap<&'static str, (String, Source)>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Variable,
    Flag,
}

/// One setting's value, as text, and where it came from. The elements of a list are separated by commas.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    pub(crate) setting: &'static Setting,
    pub(crate) text: Cow<'a, str>,
    pub(crate) source: Source,
}

impl Settings {
    /// All layers: a flag wins over a variable, a variable over the file.
    pub(crate) fn gather(args: &LayerArgs, variable: impl Fn(&str) -> Option<OsString>) -> Result<Settings> {
        let variables = Settings::from_variables(&variable)?;
        let file = match (&args.config, variable("KVORUM_CONFIG")) {
            (Some(path), _) => Settings::read(path, "flag --config")?,
            (None, Some(path)) => Settings::read(Path::new(&path), "variable KVORUM_CONFIG")?,
            (None, None) => Settings::default(),
        };
        Ok(args.flags.clone().over(variables).over(file))
    }

    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Settings> {
        let mut settings = Settings::default();
        for setting in &SETTINGS {
            if let Some(value) = variable(&setting.variable()) {
                let text = utf8(setting, &Source::Variable, &value).map_err(|error| anyhow!(error))?;
                settings.set(setting.key, text, Source::Variable);
            }
        }
        Ok(settings)
    }

    /// Reads a settings file that was named in `place`.
    pub(crate) fn read(path: &Path, place: &str) -> Result<Settings> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {} ({place}), which must be a TOML file", path.display()))?;
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let table = DeTable::parse(&text).map_err(|error| {
            let line = line(error.span().map_or(0, |span| span.start));
            anyhow!("{}:{line}: this is not TOML: {}", path.display(), error.message().replace('\n', ", "))
        })?;
        let mut settings = Settings::default();
        for (key, value) in table.get_ref() {
            let source = Source::File { path: path.to_owned(), line: line(key.span().start) };
            let key = key.get_ref();
            let Some(setting) = Setting::find(key) else {
                let keys = SETTINGS.map(|setting| setting.key).join(", ");
                bail!("{}: there is no such setting; use one of {keys}", source.place(key));
            };
            let Some(found) = text_of(setting.kind, value.get_ref()) else {
                let (place, written) = (source.place(key), &text[value.span()]);
                bail!("{place}: `{written}` is not {} ({})", setting.kind.words(), setting.allowed);
            };
            settings.set(setting.key, found, source);
        }
        Ok(settings)
    }

    /// These settings, and what they leave open from `below`.
    pub(crate) fn over(self, mut below: Settings) -> Settings {
        below.given.extend(self.given);
        below
    }

    /// # Panics
    /// If the table has no such setting.
    pub(crate) fn set(&mut self, key: &str, text: impl Into<String>, source: Source) {
        let setting = Setting::find(key).expect("it is in the table");
        self.given.insert(setting.key, (text.into(), source));
    }

    /// What was given, if anything was.
    pub(crate) fn given(&self, setting: &'static Setting) -> Option<Value<'_>> {
        let (text, source) = self.given.get(setting.key)?;
        Some(Value { setting, text: text.into(), source: source.clone() })
    }

    /// What holds: what was given, or else the default, if there is one.
    pub(crate) fn value(&self, setting: &'static Setting) -> Option<Value<'_>> {
        let fallback = || {
            let text = setting.fallback.value()?.into();
            Some(Value { setting, text, source: Source::Default })
        };
        self.given(setting).or_else(fallback)
    }
}

impl Value<'_> {
    /// The error of a value that may not be.
    pub(crate) fn refused(&self) -> anyhow::Error {
        anyhow!("{}: `{}` is not {}", self.place(), self.text, self.setting.allowed)
    }

    pub(crate) fn place(&self) -> String {
        self.source.place(self.setting.key)
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &str> {
        self.text.split(',').map(str::trim).filter(|element| !element.is_empty())
    }

    /// As a file has it: `key = value`.
    pub(crate) fn to_toml(&self) -> String {
        let text = |text: &str| toml::Value::String(text.to_owned());
        let value = match self.setting.kind {
            Kind::Number => self.text.parse().map_or_else(|_| text(&self.text), toml::Value::Integer),
            Kind::List => toml::Value::Array(self.elements().map(text).collect()),
            Kind::Text | Kind::TextOrNumber => text(&self.text),
        };
        format!("{} = {value}", self.setting.key)
    }
}

impl Source {
    /// The place to look at when the value of this key is wrong.
    pub(crate) fn place(&self, key: &str) -> String {
        match self {
            Source::Default => format!("default of {key}"),
            Source::File { path, line } => format!("{}:{line}: {key}", path.display()),
            Source::Variable => {
                format!("variable {}", Setting::find(key).map_or_else(|| key.to_owned(), Setting::variable))
            }
            Source::Flag => format!("flag --{key}"),
        }
    }
}

/// Every setting is a flag too.
impl clap::Args for Settings {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Settings, clap::Error> {
        let mut settings = Settings::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in &SETTINGS {
            let Some(values) = matches.get_many::<OsString>(setting.key) else { continue };
            let values: Result<Vec<String>, String> = values.map(|value| utf8(setting, &Source::Flag, value)).collect();
            let values = values.map_err(|error| clap::Error::raw(ErrorKind::InvalidUtf8, error))?;
            self.set(setting.key, values.join(","), Source::Flag);
        }
        Ok(())
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let Setting { key, kind, placeholder, meaning, allowed, fallback } = setting;
    let help = format!("{meaning}: {allowed} [default: {}] [env: {}]", fallback.words(), setting.variable());
    Arg::new(*key)
        .long(*key)
        .help(help)
        .value_name(*placeholder)
        .value_parser(clap::value_parser!(OsString))
        .action(if *kind == Kind::List { ArgAction::Append } else { ArgAction::Set })
        .allow_negative_numbers(true)
}

fn utf8(setting: &Setting, source: &Source, value: &OsStr) -> Result<String, String> {
    let text = value.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| format!("{}: `{}` is not UTF-8 text", source.place(setting.key), value.display()))
}

/// A file's value as a flag would have it; nothing if it is of another kind.
fn text_of(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Text | Kind::TextOrNumber, DeValue::String(text)) => Some(text.to_string()),
        (Kind::Number | Kind::TextOrNumber, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        (Kind::List, DeValue::Array(elements)) => {
            let elements: Option<Vec<&str>> = elements.iter().map(|element| element.get_ref().as_str()).collect();
            elements.map(|elements| elements.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
