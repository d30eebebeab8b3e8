//! Which files count as vendored.

use gomod::modfile::Language;

/// The rules for vendored files, which changed once.
///
/// Which one holds depends on the module alone, so that a published hash stays true. Source:
/// golang/mod `zip` (`isVendoredPackage`), golang/go#37397.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VendorRule {
    /// `go` lines below 1.24, and modules without one.
    Old,
    /// From `go 1.24` on.
    Since124,
}

impl VendorRule {
    pub(super) fn of(language: Option<Language>) -> Self {
        const CHANGED: Language = Language { major: 1, minor: 24 };
        if language.is_some_and(|language| language >= CHANGED) {
            Self::Since124
        } else {
            Self::Old
        }
    }

    /// Reports whether a clean path is a file of a vendored package.
    pub(super) fn leaves_out(self, path: &[u8]) -> bool {
        const ROOT: &[u8] = b"vendor/";
        const BELOW: &[u8] = b"/vendor/";
        if self == Self::Since124 && path == b"vendor/modules.txt" {
            return true;
        }
        let package = if path.starts_with(ROOT) {
            ROOT.len()
        } else if let Some(at) = path.windows(BELOW.len()).position(|part| part == BELOW) {
            match self {
                // The bug that the old hashes hold: counted from the start of the whole name, so
                // that the slashes of "/vendor/" itself are found behind it.
                Self::Old => BELOW.len(),
                Self::Since124 => at + BELOW.len(),
            }
        } else {
            return false;
        };
        path.get(package..).is_some_and(|rest| rest.contains(&b'/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rules_leave_out_what_go_leaves_out() {
        for (path, old, since) in [
            ("vendor/modules.txt", false, true),
            ("vendor/f.go", false, false),
            ("vendor/x/f.go", true, true),
            ("vendor/x/y/z.go", true, true),
            ("vendor/vendor/p.go", true, true),
            ("pkg/vendor/vendor.go", true, false),
            ("pkg/vendor/bar/b.go", true, true),
            ("x/vendor/f.go", true, false),
            ("longer/path/vendor/f.go", true, false),
            ("a/vendor/vendor/f.go", true, true),
            ("a/vendor/b/vendor/f.go", true, true),
            ("pkg/vendor/modules.txt", true, false),
            ("vendored/x/f.go", false, false),
            ("x/vendored/f.go", false, false),
            ("xvendor/a/f.go", false, false),
            ("vendor", false, false),
            ("a/vendor", false, false),
            ("Vendor/x/f.go", false, false),
        ] {
            assert_eq!(VendorRule::Old.leaves_out(path.as_bytes()), old, "{path}, old");
            assert_eq!(VendorRule::Since124.leaves_out(path.as_bytes()), since, "{path}, since");
        }
    }

    #[test]
    fn the_rule_goes_by_the_language() {
        let of = |text| VendorRule::of(Language::of(text));
        for old in ["1.23", "1.23.99", "1.9", "", "1.24.0rc1"] {
            assert_eq!(of(old), VendorRule::Old, "{old}");
        }
        for since in ["1.24", "1.24rc1", "1.25.3", "2.0"] {
            assert_eq!(of(since), VendorRule::Since124, "{since}");
        }
    }
}
