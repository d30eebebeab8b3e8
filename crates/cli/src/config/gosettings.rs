//! Go's own settings, read as the `go` command reads them, without running it.
//!
//! Source: cmd/go/internal/cfg (`Getenv`, `EnvFile`, `readEnvFile`, `findGOROOT`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    source::{GoPlace, Source},
    world::{self, World},
};

/// The settings that larder takes over.
pub const KEYS: [&str; 7] =
    ["GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS"];

/// One setting as somebody gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its value; never empty.
    pub value: String,
    /// Where it stood.
    pub source: Source,
}

/// Everything that Go's places say, the strongest first.
#[derive(Debug, Clone, Default)]
pub struct GoSettings {
    found: BTreeMap<&'static str, Vec<Setting>>,
    /// Places that exist and could not be read, each with the reason.
    pub unreadable: Vec<String>,
}

impl GoSettings {
    /// Reads environment, `go env -w` file and the `go.env` of an installation that is found.
    ///
    /// An empty value counts as not set. `GOENV=off` leaves the file of `go env -w` out.
    #[must_use]
    pub fn read(world: &World) -> Self {
        let mut settings = Self::default();
        let user = user_file(world);
        let text = user.as_ref().and_then(|file| settings.text(file)).unwrap_or_default();
        for key in KEYS {
            let value = world.variable(key);
            settings.add(key, value, GoPlace::Environment);
        }
        if let Some(file) = user {
            settings.add_all(&text, &GoPlace::UserFile(file));
        }
        if let Some(root) = installation(world, lookup(&text, "GOROOT")) {
            let file = root.join("go.env");
            let text = settings.text(&file).unwrap_or_default();
            settings.add_all(&text, &GoPlace::Installation(file));
        }
        settings
    }

    /// All that was said about `key`, the strongest first.
    #[must_use]
    pub fn candidates(&self, key: &str) -> &[Setting] {
        self.found.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// What holds for `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.candidates(key).first()
    }

    fn add(&mut self, key: &'static str, value: Option<&str>, place: GoPlace) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let source = Source::Go { key, place };
            let setting = Setting { value: value.to_owned(), source };
            self.found.entry(key).or_default().push(setting);
        }
    }

    fn add_all(&mut self, text: &str, place: &GoPlace) {
        for key in KEYS {
            self.add(key, lookup(text, key), place.clone());
        }
    }

    fn text(&mut self, file: &Path) -> Option<String> {
        match world::read(file) {
            Ok(text) => text,
            Err(error) => {
                self.unreadable.push(format!("{}: {error}", file.display()));
                None
            }
        }
    }
}

/// The value of `key` in a `go env` file; the last line wins.
///
/// Lines without `=`, and those that do not begin with an upper-case letter, are comments.
fn lookup<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let lines = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next_back()
}

/// `$GOENV`, else `go/env` below os.UserConfigDir.
fn user_file(world: &World) -> Option<PathBuf> {
    match world.variable("GOENV") {
        Some("off") => return None,
        Some(file) => return Some(world.absolute(Path::new(file))),
        None => {}
    }
    let folder = match std::env::consts::OS {
        "windows" => world.variable("AppData").map(PathBuf::from),
        "macos" => world.home().map(|home| home.join("Library/Application Support")),
        _ => match world.variable("XDG_CONFIG_HOME") {
            Some(folder) => Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute()),
            None => world.home().map(|home| home.join(".config")),
        },
    };
    folder.map(|folder| folder.join("go/env"))
}

/// GOROOT as said, else what the `go` on PATH belongs to.
fn installation(world: &World, said: Option<&str>) -> Option<PathBuf> {
    let said = world.variable("GOROOT").or(said).filter(|root| !root.is_empty());
    if let Some(root) = said {
        return Some(PathBuf::from(root));
    }
    let program = if cfg!(windows) { "go.exe" } else { "go" };
    let folders = std::env::split_paths(world.variable("PATH")?);
    // An empty or relative element of PATH is the caller's folder: no place for settings.
    let mut programs = folders.filter(|folder| folder.is_absolute());
    let program = programs.find_map(|folder| world::real_file(&folder.join(program)))?;
    let root = program.parent()?.parent()?;
    Some(root.to_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::*;

    /// A home with a `go env -w` file, and an installation whose `go` is linked from `bin`.
    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let machine = Self { folder };
            machine.write("home/.config/go/env", "GOPROXY=https://user.example\n");
            machine.write("go1/go.env", "# Go\nGOPROXY=https://root.example,direct\nGOSUMDB=x\n");
            machine.write("go1/bin/go", "");
            std::fs::create_dir(machine.path("bin")).unwrap();
            std::os::unix::fs::symlink(machine.path("go1/bin/go"), machine.path("bin/go")).unwrap();
            machine
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().canonicalize().unwrap().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn world(&self) -> World {
            let text = |name| self.path(name).to_string_lossy().into_owned();
            World::empty(self.path("")).with("HOME", text("home")).with("PATH", text("bin"))
        }
    }

    fn got(settings: &GoSettings, key: &str) -> Vec<String> {
        let shown = |s: &Setting| format!("{} ({})", s.value, s.source);
        settings.candidates(key).iter().map(shown).collect()
    }

    #[test]
    fn environment_wins_over_user_file_over_installation() {
        let machine = Machine::new();
        let world = machine.world().with("GOPROXY", "off");
        let settings = GoSettings::read(&world);
        let (user, root) = (machine.path("home/.config/go/env"), machine.path("go1/go.env"));
        assert_eq!(
            got(&settings, "GOPROXY"),
            [
                "off (GOPROXY from the environment)".to_owned(),
                format!("https://user.example (GOPROXY from go env -w file {})", user.display()),
                format!(
                    "https://root.example,direct (GOPROXY from go.env of GOROOT {})",
                    root.display()
                ),
            ]
        );
        assert_eq!(settings.get("GOSUMDB").unwrap().value, "x");
        assert_eq!(settings.get("GOPRIVATE"), None);
    }

    #[test]
    fn an_empty_value_is_none_in_every_place() {
        let machine = Machine::new();
        machine.write("home/.config/go/env", "GOPROXY=\n");
        let settings = GoSettings::read(&machine.world().with("GOPROXY", ""));
        assert_eq!(settings.get("GOPROXY").unwrap().value, "https://root.example,direct");
    }

    #[test]
    fn goenv_names_the_file_or_turns_it_off() {
        let machine = Machine::new();
        machine.write("other", "GOPRIVATE=corp.example.com\nGOPROXY=a\nGOPROXY=b\n");
        let other = machine.path("other").to_string_lossy().into_owned();
        let settings = GoSettings::read(&machine.world().with("GOENV", other));
        assert_eq!(settings.get("GOPRIVATE").unwrap().value, "corp.example.com");
        assert_eq!(settings.get("GOPROXY").unwrap().value, "b", "the last line wins");
        let off = GoSettings::read(&machine.world().with("GOENV", "off"));
        assert_eq!(got(&off, "GOPROXY").len(), 1);
    }

    #[test]
    fn goroot_is_the_variable_then_the_user_files_then_the_path() {
        let machine = Machine::new();
        machine.write("go2/go.env", "GOPROXY=two\n");
        machine.write("go3/go.env", "GOPROXY=three\n");
        let (two, three) = (machine.path("go2"), machine.path("go3"));
        machine.write("home/.config/go/env", &format!("GOROOT={}\n", two.display()));
        let file = GoSettings::read(&machine.world());
        assert_eq!(file.get("GOPROXY").unwrap().value, "two");
        let world = machine.world().with("GOROOT", three.to_string_lossy());
        assert_eq!(GoSettings::read(&world).get("GOPROXY").unwrap().value, "three");
    }

    #[test]
    fn a_relative_config_or_path_folder_is_not_looked_at() {
        let machine = Machine::new();
        machine.write("rel/go/env", "GOPROXY=rel\n");
        let world = machine.world().with("XDG_CONFIG_HOME", "rel").with("PATH", "bin:");
        assert!(got(&GoSettings::read(&world), "GOPROXY").is_empty());
    }

    #[test]
    fn comments_and_other_lines_are_left_out() {
        let text = "# GOPROXY=a\n GOPROXY=b\nGOPROXY\nXGOPROXY=c\ngOPROXY=d\nGOPROXY=e=f\n";
        assert_eq!(lookup(text, "GOPROXY"), Some("e=f"));
    }

    #[test]
    fn an_unreadable_file_is_told_and_the_next_place_taken() {
        let machine = Machine::new();
        let home = machine.path("home").to_string_lossy().into_owned();
        let settings = GoSettings::read(&machine.world().with("GOENV", home));
        assert_eq!(settings.unreadable.len(), 1);
        assert_eq!(got(&settings, "GOPROXY").len(), 1);
    }

    #[test]
    fn a_machine_without_go_has_no_settings() {
        let folder = tempfile::tempdir().unwrap();
        let settings = GoSettings::read(&World::empty(folder.path().to_owned()));
        assert!(KEYS.iter().all(|key| settings.get(key).is_none()));
        assert!(settings.unreadable.is_empty());
    }
}
