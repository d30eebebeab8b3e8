//! The layers of a configuration: file, environment, flags, defaults.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::{
    keys::{self, Default, Found, KEYS, Key},
    kind::{Kind, Wrong},
    problem::{Excerpt, Problem},
    source::Source,
    world::{self, World},
};

/// A checked value and where it came from.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The value, in its normal form.
    pub value: Value,
    /// Who said so.
    pub source: Source,
}

/// One entry per path.
pub type Entries = BTreeMap<String, Entry>;

/// Values that the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: the file, instead of the usual ones.
    pub config: Option<PathBuf>,
    /// `--listen`, any number of times.
    pub listen: Vec<String>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--offline`.
    pub offline: bool,
}

/// The configuration file: the named one, else the first that exists.
///
/// # Errors
/// A named file that does not exist; one that cannot be read.
pub fn find_file(flags: &Flags, world: &World) -> Result<Option<(PathBuf, String)>, Problem> {
    let variable = || world.variable("LARDER_CONFIG").map(PathBuf::from);
    let named = match &flags.config {
        Some(path) => Some((path.clone(), Source::Flag("--config"))),
        None => variable().map(|path| (path, Source::Variable("LARDER_CONFIG".to_owned()))),
    };
    if let Some((path, source)) = named {
        return match read(&path, world, &source)? {
            Some(text) => Ok(Some((path, text))),
            None => Err(Problem::new(format!("no file {}", path.display()), &source)),
        };
    }
    for path in [Path::new("larder.toml"), world.system_config()] {
        if let Some(text) = read(path, world, &Source::Default)? {
            return Ok(Some((path.to_owned(), text)));
        }
    }
    Ok(None)
}

fn read(path: &Path, world: &World, source: &Source) -> Result<Option<String>, Problem> {
    world::read(&world.absolute(path)).map_err(|error| {
        Problem::new(format!("cannot read configuration {}: {error}", path.display()), source)
    })
}

/// Checks one layer's values and gathers what is wrong with them.
#[derive(Debug)]
pub struct Layer<'a> {
    world: &'a World,
    base: PathBuf,
    entries: Entries,
    problems: Vec<Problem>,
}

impl<'a> Layer<'a> {
    fn new(world: &'a World, base: PathBuf) -> Self {
        Self { world, base, entries: Entries::new(), problems: Vec::new() }
    }

    fn done(self) -> (Entries, Vec<Problem>) {
        (self.entries, self.problems)
    }

    fn take(&mut self, path: &str, key: &'static Key, value: Value, source: Source) {
        if self.entries.contains_key(path) {
            let message = format!("{path}: given twice, itself and as a file");
            self.problems.push(Problem::new(message, &source).expected("one of them"));
            return;
        }
        let value = rebase(&key.kind, value, &self.base);
        self.entries.insert(path.to_owned(), Entry { value, source });
    }

    fn take_file(&mut self, path: &str, key: &'static Key, file: &str, source: &Source) {
        let path = path.strip_suffix("_file").unwrap_or(path);
        let file = self.base.join(file);
        let text = match world::read(&file) {
            Ok(Some(text)) if !text.trim().is_empty() => text,
            other => {
                let why = match other {
                    Ok(Some(_)) => "it is empty".to_owned(),
                    Ok(None) => "there is no such file".to_owned(),
                    Err(error) => error.to_string(),
                };
                let message = format!("{path}_file: {}: {why}", file.display());
                self.problems.push(Problem::new(message, source).expected("a file with a secret"));
                return;
            }
        };
        // Editors and `echo` end a file with a newline; no secret does.
        let value = Value::String(text.trim_end_matches(['\r', '\n']).to_owned());
        let named_by = Box::new(source.clone());
        self.take(path, key, value, Source::Secret { file, named_by });
    }

    fn wrong(&mut self, path: &str, wrongs: Vec<Wrong>, source: impl Fn(&Wrong) -> Source) {
        for wrong in wrongs {
            let message = format!("{path}: {}", wrong.reason);
            let problem = Problem::new(message, &source(&wrong)).expected(&wrong.expected);
            self.problems.push(problem);
        }
    }
}

/// Makes relative paths of a value absolute, seen from `base`.
fn rebase(kind: &Kind, value: Value, base: &Path) -> Value {
    match (kind, value) {
        (Kind::Destination, Value::String(word))
            if matches!(word.as_str(), "stdout" | "stderr" | "off") =>
        {
            Value::String(word)
        }
        (Kind::Path | Kind::Destination, Value::String(path)) => {
            Value::String(base.join(path).to_string_lossy().into_owned())
        }
        (Kind::List(item), Value::Array(values)) => {
            Value::Array(values.into_iter().map(|value| rebase(item, value, base)).collect())
        }
        (_, value) => value,
    }
}

/// The layer of a file. A file that is no TOML has no entries.
#[must_use]
pub fn of_file(file: &Path, text: &str, world: &World) -> (Entries, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let source = |span| Source::File(Excerpt::new(file, text, span));
    if !errors.is_empty() {
        let problems = errors.iter().map(|error| {
            let span = error.span().unwrap_or(0..0);
            let mut lines = error.message().lines();
            let problem = Problem::new(lines.next().unwrap_or_default(), &source(span));
            match lines.next().and_then(|line| line.strip_prefix("expected ")) {
                Some(expected) => problem.expected(expected),
                None => problem,
            }
        });
        return (Entries::new(), problems.collect());
    }
    let base = world.absolute(file.parent().unwrap_or(Path::new("")));
    let mut layer = Layer::new(world, base);
    walk(&mut layer, "", table.get_ref(), &source);
    layer.done()
}

fn walk(
    layer: &mut Layer<'_>,
    prefix: &str,
    table: &DeTable<'_>,
    source: &dyn Fn(std::ops::Range<usize>) -> Source,
) {
    for (name, value) in table {
        let path = format!("{prefix}{}", name.get_ref());
        match (keys::find(&path), value.get_ref()) {
            (Found::Key(key), _) => match key.kind.check_toml(value) {
                Ok(checked) => layer.take(&path, key, checked, source(value.span())),
                Err(wrongs) => layer.wrong(&path, wrongs, |wrong| {
                    source(wrong.span.clone().unwrap_or_else(|| value.span()))
                }),
            },
            (Found::FileOf(key), DeValue::String(file)) => {
                layer.take_file(&path, key, file, &source(value.span()));
            }
            (Found::FileOf(_), _) => {
                layer.wrong(&path, not_a_path(value), |_| source(value.span()));
            }
            (Found::Section, DeValue::Table(below)) => {
                walk(layer, &format!("{path}."), below, source);
            }
            (Found::Section, _) => {
                let problem = Problem::new(format!("{path} is a section"), &source(value.span()));
                layer.problems.push(problem.expected(format!("[{path}]")));
            }
            (Found::Nothing, _) => layer.problems.push(unknown(&path, &source(name.span()))),
        }
    }
}

fn not_a_path(value: &Spanned<DeValue<'_>>) -> Vec<Wrong> {
    Kind::Path.check_toml(value).err().unwrap_or_default()
}

fn unknown(path: &str, source: &Source) -> Problem {
    if let Some((key, what)) = keys::RESERVED.iter().find(|(key, _what)| *key == path) {
        let problem = Problem::new(format!("{key} is reserved, for {what}"), source);
        return problem.expected("none of it: that is not built");
    }
    let problem = Problem::new(format!("unknown key {path}"), source);
    match keys::nearest(path, KEYS.iter().map(|key| key.path)) {
        Some(near) => problem.expected(format!("perhaps {near}")),
        None => problem.expected("one of the keys in docs/config.md"),
    }
}

/// Is `name` a variable of larder's, but no key?
///
/// Kubernetes and Docker links describe a service named `larder` in `LARDER_PORT…` and
/// `LARDER_SERVICE_…`; `LARDER_CONFIG` names the file.
fn is_no_key(name: &str) -> bool {
    name == "LARDER_CONFIG"
        || name.starts_with("LARDER_PORT")
        || name.starts_with("LARDER_SERVICE_")
}

/// The layer of the environment.
#[must_use]
pub fn of_environment(world: &World) -> (Entries, Vec<Problem>) {
    let mut layer = Layer::new(world, world.directory().to_owned());
    for name in world.unreadable(keys::PREFIX).filter(|name| !is_no_key(name)) {
        let source = Source::Variable(name.to_owned());
        layer.problems.push(Problem::new("its value is not UTF-8", &source));
    }
    let variables = world.variables(keys::PREFIX).filter(|(name, _)| !is_no_key(name));
    for (name, text) in variables {
        let source = Source::Variable(name.to_owned());
        match keys::of_variable(name) {
            Some((path, Found::Key(key))) => match key.kind.check_text(text) {
                Ok(value) => layer.take(&path, key, value, source),
                Err(wrongs) => layer.wrong(&path, wrongs, |_| source.clone()),
            },
            Some((path, Found::FileOf(key))) => layer.take_file(&path, key, text, &source),
            _ => layer.problems.push(unknown_variable(name, &source)),
        }
    }
    layer.done()
}

fn unknown_variable(name: &str, source: &Source) -> Problem {
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let problem = Problem::new(format!("{name} is no variable of larder's"), source);
    match keys::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => problem.expected(format!("perhaps {near}")),
        None => problem.expected("one of the variables in docs/config.md"),
    }
}

/// The layer of the command line.
#[must_use]
pub fn of_flags(flags: &Flags, world: &World) -> (Entries, Vec<Problem>) {
    let mut layer = Layer::new(world, world.directory().to_owned());
    let data = flags.data.as_ref().map(|path| path.to_string_lossy().into_owned());
    let given = [
        ("--listen", Some(flags.listen.join(",")).filter(|_| !flags.listen.is_empty())),
        ("--data", data),
        ("--offline", flags.offline.then(|| "true".to_owned())),
    ];
    for (flag, text) in given {
        let path = keys::FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, path)| *path);
        let (Some(path), Some(text)) = (path, text) else { continue };
        let Found::Key(key) = keys::find(path) else { continue };
        let source = Source::Flag(flag);
        match key.kind.check_text(&text) {
            Ok(value) => layer.take(path, key, value, source),
            Err(wrongs) => layer.wrong(path, wrongs, |_| source.clone()),
        }
    }
    layer.done()
}

/// The layer of defaults.
#[must_use]
pub fn of_defaults(world: &World) -> (Entries, Vec<Problem>) {
    let mut layer = Layer::new(world, world.directory().to_owned());
    for key in KEYS {
        let text = match (key.default, key.path) {
            (Default::Is(text), _) => text.to_owned(),
            (Default::Computed(_), "store.data") => {
                layer.world.data_folder().to_string_lossy().into_owned()
            }
            _ => continue,
        };
        match key.kind.check_text(&text) {
            Ok(value) => layer.take(key.path, key, value, Source::Default),
            Err(wrongs) => layer.wrong(key.path, wrongs, |_| Source::Default),
        }
    }
    layer.done()
}
