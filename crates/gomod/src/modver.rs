//! One version of one module.

use std::fmt;

use crate::path::ModulePath;
use crate::version::{self, Version};

/// Names one version of one module; the major version fits the path.
///
/// Prints as `path@version`. Ordered by path, then by version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModVer {
    path: ModulePath,
    version: Version,
}

impl ModVer {
    /// Joins a path and a version of it.
    ///
    /// ```
    /// let module = gomod::ModVer::new("a.b/c/v2".parse()?, "v2.1.0".parse()?)?;
    /// assert_eq!(module.to_string(), "a.b/c/v2@v2.1.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`version::Error::Major`] when the major version is not one that the path may have.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, version::Error> {
        if version.fits(&path) {
            Ok(Self { path, version })
        } else {
            Err(version::Error::Major { path, version })
        }
    }

    /// Returns the module path.
    #[must_use]
    pub fn path(&self) -> &ModulePath {
        &self.path
    }

    /// Returns the version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl fmt::Display for ModVer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, version: &str) -> Result<ModVer, version::Error> {
        ModVer::new(path.parse().unwrap(), version.parse().unwrap())
    }

    #[test]
    fn a_major_that_does_not_fit_is_refused() {
        assert!(module("a.b/c/v2", "v2.0.0").is_ok());
        let error = module("a.b/c/v2", "v3.0.0").unwrap_err();
        assert_eq!(error.to_string(), "a.b/c/v2@v3.0.0: invalid version: should be v2, not v3");
    }

    #[test]
    fn ordering_is_path_then_precedence() {
        let mut modules = [
            module("b.c", "v1.0.0").unwrap(),
            module("a.b", "v1.10.0").unwrap(),
            module("a.b", "v1.9.0").unwrap(),
        ];
        modules.sort();
        let texts: Vec<String> = modules.iter().map(ModVer::to_string).collect();
        assert_eq!(texts, ["a.b@v1.9.0", "a.b@v1.10.0", "b.c@v1.0.0"]);
    }
}
