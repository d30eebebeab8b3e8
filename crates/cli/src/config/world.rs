//! What larder reads of the machine it runs on: variables, files, names.
//!
//! The only place that touches the environment. Everything else takes a [`World`], so that tests
//! build one of their own instead of changing the process.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Largest file that is read as configuration, netrc, Go settings, secret or certificate: 1 MiB.
///
/// The largest of them in the wild, a bundle of all public certificate authorities, is 250 kB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The file that is taken when nothing nearer exists.
pub const SYSTEM_CONFIG: &str = "/etc/larder/larder.toml";

/// The machine and process around a configuration.
#[derive(Debug, Clone)]
pub struct World {
    variables: BTreeMap<String, String>,
    unreadable: Vec<String>,
    directory: PathBuf,
    system_config: PathBuf,
    host_names: Vec<String>,
    addresses: Option<Vec<IpAddr>>,
}

impl World {
    /// The world this process runs in, as it is now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        let mut world = Self::empty(std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")));
        world.system_config = PathBuf::from(SYSTEM_CONFIG);
        world.addresses = None;
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => world.variables.insert(name, value).map_or((), drop),
                Err(_) => world.unreadable.push(name),
            }
        }
        // Linux only; elsewhere the variable that most shells set is good enough for a warning.
        let name = read(Path::new("/proc/sys/kernel/hostname")).ok().flatten();
        let name = name.or_else(|| world.variable("HOSTNAME").map(str::to_owned));
        world.host_names.extend(name.map(|name| name.trim().to_owned()));
        world
    }

    /// A world without variables or own names, for tests: files are found from `directory`.
    #[must_use]
    pub fn empty(directory: PathBuf) -> Self {
        Self {
            variables: BTreeMap::new(),
            unreadable: Vec::new(),
            system_config: directory.join("etc/larder.toml"),
            directory,
            host_names: Vec::new(),
            addresses: Some(Vec::new()),
        }
    }

    /// The same world with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// The same world with one more name for this host.
    #[must_use]
    pub fn with_host_name(mut self, name: &str) -> Self {
        self.host_names.push(name.to_owned());
        self
    }

    /// The same world with one more address of this host.
    #[must_use]
    pub fn with_address(mut self, ip: IpAddr) -> Self {
        self.addresses.get_or_insert_default().push(ip);
        self
    }

    /// A variable's value; an empty one counts as not set, as the `go` command has it.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All non-empty variables whose name begins with `prefix`, in order.
    pub fn variables<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = self.variables.iter().filter(move |(name, _)| name.starts_with(prefix));
        named.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (&**name, &**value))
    }

    /// Variables that begin with `prefix` and whose value is not UTF-8.
    pub fn unreadable<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.unreadable.iter().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }

    /// The working directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The machine-wide configuration file.
    #[must_use]
    pub fn system_config(&self) -> &Path {
        &self.system_config
    }

    /// The user's home; none in a container that has none or names the root as such.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        let home = self.variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" })?;
        Some(PathBuf::from(home)).filter(|home| home.is_absolute() && home.parent().is_some())
    }

    /// The folder that is larder's when nobody names one.
    ///
    /// `$XDG_DATA_HOME/larder`, else below the home, else `/var/lib/larder`.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        let xdg = self.variable("XDG_DATA_HOME").map(PathBuf::from);
        if let Some(xdg) = xdg.filter(|folder| folder.is_absolute()) {
            return xdg.join("larder");
        }
        let below = match std::env::consts::OS {
            "macos" => "Library/Application Support",
            "windows" => "AppData/Local",
            _ => ".local/share",
        };
        match self.home() {
            Some(home) => home.join(below).join("larder"),
            None => PathBuf::from("/var/lib/larder"),
        }
    }

    /// `path`, seen from the working directory.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// Is `name` a name of this host? Case does not count.
    #[must_use]
    pub fn is_own_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let same = |own: &str| {
            let short = own.split('.').next().unwrap_or(own);
            own.eq_ignore_ascii_case(name) || short.eq_ignore_ascii_case(name)
        };
        let local = ["localhost", "localhost.localdomain"].into_iter().any(same);
        local
            || name.to_ascii_lowercase().ends_with(".localhost")
            || self.host_names.iter().any(|own| same(own))
    }

    /// Is `ip` an address of this host?
    #[must_use]
    #[expect(clippy::disallowed_types, reason = "bound and dropped: nothing is sent")]
    pub fn is_own_address(&self, ip: IpAddr) -> bool {
        match &self.addresses {
            Some(addresses) => ip.is_loopback() || addresses.contains(&ip),
            // Only an own address can be bound.
            None => ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok(),
        }
    }
}

/// The text of a file; `None` when there is no such file.
///
/// # Errors
/// Everything but "not found": no permission, a folder, larger than [`MAX_FILE_BYTES`], no UTF-8.
#[expect(clippy::disallowed_types, reason = "the one place that reads configuration files")]
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // `./larder.toml/x`, or a path below a file: nothing is there.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let message = format!("larger than {MAX_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(Some(text))
}

/// The permission bits of a file.
///
/// # Errors
/// It is not there, or its folder cannot be searched.
#[expect(clippy::disallowed_methods, reason = "who may read a secret")]
pub fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode())
}

/// `path` with every symbolic link followed; `None` when it is no existing file.
#[expect(clippy::disallowed_methods, reason = "finding the Go installation behind a link")]
#[must_use]
pub fn real_file(path: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    real.is_file().then_some(real)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let world = World::empty("/w".into()).with("A", "").with("AB", "x");
        assert_eq!(world.variable("A"), None);
        assert_eq!(world.variables("A").collect::<Vec<_>>(), [("AB", "x")]);
    }

    #[test]
    fn data_folder_follows_xdg_then_home_then_var_lib() {
        let bare = World::empty("/w".into());
        assert_eq!(bare.data_folder(), Path::new("/var/lib/larder"));
        // What OpenShift gives a random uid.
        assert_eq!(bare.clone().with("HOME", "/").data_folder(), Path::new("/var/lib/larder"));
        let home = bare.with("HOME", "/home/u");
        assert_eq!(home.data_folder(), Path::new("/home/u/.local/share/larder"));
        let relative = home.clone().with("XDG_DATA_HOME", "x");
        assert_eq!(relative.data_folder(), Path::new("/home/u/.local/share/larder"));
        let xdg = home.with("XDG_DATA_HOME", "/x");
        assert_eq!(xdg.data_folder(), Path::new("/x/larder"));
    }

    #[test]
    fn own_names_are_localhost_and_the_host_in_both_lengths() {
        let world = World::empty("/w".into()).with_host_name("build7.corp.example.com");
        for own in ["localhost", "LocalHost.", "x.localhost", "build7", "Build7.corp.example.com"] {
            assert!(world.is_own_name(own), "{own}");
        }
        for other in ["corp.example.com", "build70", "localhost.example.com"] {
            assert!(!world.is_own_name(other), "{other}");
        }
    }

    #[test]
    fn a_file_is_read_up_to_the_cap_and_not_past_it() {
        let folder = tempfile::tempdir().unwrap();
        let cap = usize::try_from(MAX_FILE_BYTES).unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "x".repeat(cap)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().len(), cap);
        fs::write(&path, "x".repeat(cap + 1)).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(read(&path.join("below")).unwrap().is_none());
        assert!(read(&folder.path().join("none")).unwrap().is_none());
        assert!(read(folder.path()).is_err());
    }

    #[test]
    fn the_process_has_a_world() {
        let world = World::of_process();
        assert!(world.directory().is_absolute());
        assert!(world.is_own_address(IpAddr::from([127, 0, 0, 1])));
        assert!(!world.is_own_address(IpAddr::from([192, 0, 2, 1])));
    }
}
