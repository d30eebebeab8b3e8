//! Tree heads: what a checksum database signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, decimal};

/// Holds the size and root of a checksum database's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// How many records the tree holds; at most 2^63 - 1.
    pub size: u64,
    /// The root hash.
    pub root: [u8; 32],
}

impl TreeHead {
    /// Parses the text of a signed tree head.
    ///
    /// Lines behind the root are ignored, as the `go` command does; nothing may ever be looked for
    /// in them (CVE-2026-56864). Source: golang/mod `tlog.ParseTree`.
    ///
    /// # Errors
    ///
    /// [`Error::Head`] for other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse(text).ok_or(Error::Head)
    }
}

fn parse(text: &str) -> Option<TreeHead> {
    let (size, rest) = text.strip_prefix("go.sum database tree\n")?.split_once('\n')?;
    let (root, _extensions) = rest.split_once('\n')?;
    // 32 bytes are 44 digits; more is not worth decoding.
    let root = (root.len() == 44).then(|| STANDARD.decode(root).ok()).flatten()?;
    Some(TreeHead { size: decimal(size)?, root: root.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=";

    #[test]
    fn a_head_has_size_and_root() {
        let head = TreeHead::parse(&format!("go.sum database tree\n35225469\n{ROOT}\n")).unwrap();
        assert_eq!(head.size, 35_225_469);
        assert_eq!(STANDARD.encode(head.root), ROOT);
    }

    #[test]
    fn further_lines_are_ignored() {
        let text = format!("go.sum database tree\n2\n{ROOT}\na.b v1.0.0 h1:x\n\n");
        assert_eq!(TreeHead::parse(&text).unwrap().size, 2);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            String::new(),
            format!("go.sum database tree\n2\n{ROOT}"),
            format!("go.sum database tree\n02\n{ROOT}\n"),
            format!("go.sum database tree\n-2\n{ROOT}\n"),
            format!("go.sum database tree\n9223372036854775808\n{ROOT}\n"),
            format!("go.sum database tree\n\n{ROOT}\n"),
            format!("go.sum database tree \n2\n{ROOT}\n"),
            format!("example.com/log\n2\n{ROOT}\n"),
            format!("go.sum database tree\n2\n{}\n", &ROOT[4..]),
            format!("go.sum database tree\n2\n{}\n", ROOT.replace("CQ=", "CR=")),
            format!("go.sum database tree\n2\nAAAA{ROOT}\n"),
            format!("go.sum database tree\n2 \n{ROOT}\n"),
        ] {
            assert_eq!(TreeHead::parse(&text), Err(Error::Head), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(go\\.sum database tree\n)?[0-9]{0,20}\n?[A-Za-z0-9+/=]{40,46}\n?") {
            let _ = TreeHead::parse(&text);
        }
    }
}
