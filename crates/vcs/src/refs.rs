//! Names of objects, and one advertisement of a remote's refs.

use std::{collections::BTreeMap, fmt, fmt::Write as _, sync::Arc};

use gix::bstr::BStr;

/// Name of an object: 40 or 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Arc<str>);

impl ObjectId {
    /// Takes 40 (SHA-1) or 64 (SHA-256) lower-case hex digits, and nothing else.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        (matches!(hex.len(), 40 | 64) && is_lower_hex(hex)).then(|| Self(hex.into()))
    }

    /// The hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_git(&self) -> Option<gix::ObjectId> {
        gix::ObjectId::from_hex(self.0.as_bytes()).ok()
    }

    pub(crate) fn from_git(id: &gix::oid) -> Self {
        Self(id.to_hex().to_string().into())
    }

    pub(crate) fn kind(&self) -> gix::hash::Kind {
        if self.0.len() == 64 { gix::hash::Kind::Sha256 } else { gix::hash::Kind::Sha1 }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// One ref advertisement: HEAD, `refs/heads/*`, `refs/tags/*`; nothing else is looked at.
///
/// Hosts show pull requests and other people's forks as further refs; what only those lead to does
/// not belong to the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// HEAD's commit, and the full name of the ref that it is symbolic for, if told.
    pub head: Option<(ObjectId, Option<String>)>,
    /// Branch names without `refs/heads/`.
    pub heads: BTreeMap<String, ObjectId>,
    /// Tag names without `refs/tags/`.
    pub tags: BTreeMap<String, TagRef>,
}

/// What a tag points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRef {
    /// What the ref points at: a tag object or a commit (or anything).
    pub object: ObjectId,
    /// `^{}` of it, when it is annotated.
    pub peeled: Option<ObjectId>,
}

impl TagRef {
    /// What is behind all annotations: a commit, unless somebody tagged a tree or a blob.
    pub(crate) fn target(&self) -> &ObjectId {
        self.peeled.as_ref().unwrap_or(&self.object)
    }
}

/// Why an advertisement cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Line,
    TooMany,
    TwoKinds,
}

/// What a ref takes beside its name and hash: the map's share, two headers, the allocator's rounding.
const REF_BYTES: usize = 112;
/// What a hash takes beside its digits.
const ID_BYTES: usize = 32;

const HEAD_KEPT: &str = "refs/larder/head/";
const HEAD_DETACHED: &str = "refs/larder/detached";

impl Refs {
    /// What the refs point at, tag objects as they are, each once and in order.
    pub(crate) fn objects(&self) -> Vec<&ObjectId> {
        let head = self.head.as_ref().map(|(id, _)| id);
        let tags = self.tags.values().map(|tag| &tag.object);
        let mut ids: Vec<_> = head.into_iter().chain(self.heads.values()).chain(tags).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What history begins at, as far as the remote tells: tags peeled.
    pub(crate) fn tips(&self) -> Vec<&ObjectId> {
        let head = self.head.as_ref().map(|(id, _)| id);
        let tags = self.tags.values().map(TagRef::target);
        let mut ids: Vec<_> = head.into_iter().chain(self.heads.values()).chain(tags).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        let id = |id: &ObjectId| id.0.len() + ID_BYTES;
        let heads = self.heads.iter().map(|(name, head)| name.len() + REF_BYTES + id(head));
        let tags = self.tags.iter().map(|(name, tag)| {
            name.len() + REF_BYTES + id(&tag.object) + tag.peeled.as_ref().map_or(0, id)
        });
        heads.chain(tags).sum()
    }

    /// The length of its hashes; SHA-1 for an empty repository.
    pub(crate) fn kind(&self) -> gix::hash::Kind {
        self.objects().first().map_or(gix::hash::Kind::Sha1, |id| id.kind())
    }

    /// Reads the output of `git ls-remote --symref`. Refs with names that git does not allow, or
    /// that are no UTF-8, are left out.
    pub(crate) fn parse_advertisement(text: &[u8], max_refs: u32) -> Result<Self, Broken> {
        let mut refs = Self::default();
        let mut symbolic = None;
        let mut length = None;
        let mut count = 0_u32;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let (left, name) = line.split_once('\t').ok_or(Broken::Line)?;
            if let Some(target) = left.strip_prefix("ref: ") {
                if name == "HEAD" && is_ref_name(target) {
                    symbolic = Some(target.to_owned());
                }
                continue;
            }
            count += 1;
            if count > max_refs {
                return Err(Broken::TooMany);
            }
            let id = ObjectId::parse(left).ok_or(Broken::Line)?;
            // What git shows for a ref of its own that it cannot read.
            if left.bytes().all(|byte| byte == b'0') {
                continue;
            }
            if *length.get_or_insert(left.len()) != left.len() {
                return Err(Broken::TwoKinds);
            }
            refs.add(name, id);
        }
        if let Some((_, target)) = &mut refs.head {
            *target = symbolic;
        }
        Ok(refs)
    }

    fn add(&mut self, name: &str, id: ObjectId) {
        if name == "HEAD" {
            self.head = Some((id, None));
        } else if let Some(tag) = name.strip_prefix("refs/tags/") {
            match tag.strip_suffix("^{}") {
                Some(tag) => {
                    if let Some(known) = self.tags.get_mut(tag) {
                        known.peeled = Some(id);
                    }
                }
                None if is_ref_name(name) => {
                    self.tags.insert(tag.to_owned(), TagRef { object: id, peeled: None });
                }
                None => {}
            }
        } else if let Some(head) = name.strip_prefix("refs/heads/")
            && is_ref_name(name)
        {
            self.heads.insert(head.to_owned(), id);
        }
    }

    /// The `packed-refs` file of a mirror: git's form, in one file, so that one rename shows all of
    /// a fetch. HEAD stands in it as a ref of our own, named after what it is symbolic for.
    pub(crate) fn to_packed(&self) -> String {
        let mut text = String::from("# pack-refs with: sorted \n");
        for (name, id) in &self.heads {
            let _ = writeln!(text, "{id} refs/heads/{name}");
        }
        match &self.head {
            Some((id, Some(target))) => {
                let _ = writeln!(text, "{id} {HEAD_KEPT}{target}");
            }
            Some((id, None)) => {
                let _ = writeln!(text, "{id} {HEAD_DETACHED}");
            }
            None => {}
        }
        for (name, tag) in &self.tags {
            let _ = writeln!(text, "{} refs/tags/{name}", tag.object);
            if let Some(peeled) = &tag.peeled {
                let _ = writeln!(text, "^{peeled}");
            }
        }
        text
    }

    /// Reads what [`to_packed`](Self::to_packed) wrote; `None` for anything else.
    pub(crate) fn from_packed(text: &str) -> Option<Self> {
        let mut refs = Self::default();
        let mut last_tag: Option<&mut TagRef> = None;
        let text = text.strip_prefix("# pack-refs with: sorted \n")?;
        if !(text.is_empty() || text.ends_with('\n')) {
            return None;
        }
        for line in text.lines() {
            if let Some(peeled) = line.strip_prefix('^') {
                last_tag.take()?.peeled = Some(ObjectId::parse(peeled)?);
                continue;
            }
            let (id, name) = line.split_once(' ')?;
            let id = ObjectId::parse(id)?;
            if let Some(tag) = name.strip_prefix("refs/tags/") {
                let new = TagRef { object: id, peeled: None };
                last_tag = Some(refs.tags.entry(tag.to_owned()).or_insert(new));
            } else if let Some(head) = name.strip_prefix("refs/heads/") {
                refs.heads.insert(head.to_owned(), id);
            } else if let Some(target) = name.strip_prefix(HEAD_KEPT) {
                refs.head = Some((id, Some(target.to_owned())));
            } else if name == HEAD_DETACHED {
                refs.head = Some((id, None));
            } else {
                return None;
            }
        }
        Some(refs)
    }
}

/// Git's rules of names. Source: git-check-ref-format(1).
fn is_ref_name(name: &str) -> bool {
    gix::validate::reference::name(BStr::new(name)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Broken, ObjectId, Refs};

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn parse(text: &str) -> Refs {
        Refs::parse_advertisement(text.as_bytes(), 100).unwrap()
    }

    #[test]
    fn object_names_are_lower_case_hex_of_two_lengths() {
        assert!(ObjectId::parse(A).is_some() && ObjectId::parse(&"a".repeat(64)).is_some());
        for wrong in ["", "aaaaaaa", &A.to_uppercase(), &"a".repeat(41), &"g".repeat(40)] {
            assert_eq!(ObjectId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_advertisement_keeps_heads_tags_and_head() {
        let refs = parse(&format!(
            "ref: refs/heads/main\tHEAD\n{A}\tHEAD\n{A}\trefs/heads/main\n{B}\trefs/pull/1/head\n\
             {B}\trefs/tags/v1\n{A}\trefs/tags/v1^{{}}\n"
        ));
        assert_eq!(refs.head.as_ref().unwrap().1.as_deref(), Some("refs/heads/main"));
        assert_eq!((refs.heads.len(), refs.tags.len()), (1, 1));
        assert_eq!(refs.tags["v1"].target().as_str(), A);
        assert_eq!(refs.objects().len(), 2);
        assert_eq!(refs.tips().len(), 1);
    }

    #[test]
    fn names_that_git_does_not_allow_are_left_out() {
        let refs = parse(&format!(
            "{A}\trefs/heads/a..b\n{A}\trefs/heads/a b\n{A}\trefs/tags/a\u{7}\n{A}\trefs/tags/x.lock\n\
             {A}\trefs/heads/\n{A}\trefs/tags/a~1\n{A}\trefs/heads/-ok\n{}\trefs/heads/null\n",
            "0".repeat(40),
        ));
        assert_eq!(refs.heads.keys().collect::<Vec<_>>(), ["-ok"]);
        assert!(refs.tags.is_empty(), "{refs:?}");
    }

    #[test]
    fn refs_are_counted() {
        let two = format!("{A}\trefs/heads/a\n{A}\trefs/pull/1/head\n");
        assert!(Refs::parse_advertisement(two.as_bytes(), 2).is_ok());
        assert_eq!(Refs::parse_advertisement(two.as_bytes(), 1), Err(Broken::TooMany));
    }

    #[test]
    fn the_weight_grows_with_names_and_hashes() {
        let weight = |text: &str| parse(text).weight();
        let head = weight(&format!("{A}\trefs/heads/a\n"));
        assert_eq!(weight(""), 0);
        assert_eq!(weight(&format!("{A}\trefs/tags/abc\n")), head + 2);
        let annotated = weight(&format!("{A}\trefs/tags/a\n{B}\trefs/tags/a^{{}}\n"));
        assert!(annotated > head + A.len(), "{annotated} {head}");
    }

    #[test]
    fn broken_lines_and_mixed_hashes_are_errors() {
        for (text, wrong) in [
            ("nonsense".to_owned(), Broken::Line),
            (format!("{A} refs/heads/a\n"), Broken::Line),
            (format!("{A}\trefs/heads/a\n{}\trefs/heads/b\n", "c".repeat(64)), Broken::TwoKinds),
        ] {
            assert_eq!(Refs::parse_advertisement(text.as_bytes(), 9), Err(wrong));
        }
    }

    #[test]
    fn the_packed_form_comes_back_and_is_whole_or_nothing() {
        for head in ["ref: refs/heads/main\tHEAD\n", ""] {
            let refs = parse(&format!(
                "{head}{A}\tHEAD\n{A}\trefs/heads/main\n{B}\trefs/tags/v1\n{A}\trefs/tags/v1^{{}}\n"
            ));
            let packed = refs.to_packed();
            assert_eq!(Refs::from_packed(&packed), Some(refs));
            assert_eq!(Refs::from_packed(&packed[..packed.len() - 1]), None);
        }
        assert_eq!(Refs::from_packed(""), None);
        assert_eq!(Refs::from_packed(&Refs::default().to_packed()), Some(Refs::default()));
    }
}
