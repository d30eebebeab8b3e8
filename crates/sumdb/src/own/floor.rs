//! The signer's floor: what it signed last, kept apart from the database.
//!
//! A database can be restored from a backup. A signer that believed it would sign a second tree over
//! places that clients have seen filled. So the floor is durable before a signature leaves, and the
//! signer wants a proof that the next tree begins with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use store::{OwnFile, Tag};
use tlog::{Consistency, TreeHead};

use super::OwnError;
use super::files::{Files, Prepared, Trouble};

/// What a floor begins with; a later format has another number.
const FIRST_LINE: &str = "signer's floor v1";

/// Holds two heads, the second of which begins with the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Floor {
    /// The newest head that was given out before the next one was signed.
    pub(super) given: TreeHead,
    /// The newest head that was signed: given out too, unless the process ended before.
    ///
    /// Written while its tiles are; so a store without those tiles shows that it never left.
    pub(super) signed: TreeHead,
}

impl Floor {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.split('\n');
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let floor = Self { given: head(lines.next()?)?, signed: head(lines.next()?)? };
        (floor.text().as_bytes() == text).then_some(floor)
    }

    pub(super) fn text(&self) -> String {
        let line = |head: &TreeHead| format!("{} {}", head.size, STANDARD.encode(head.root));
        format!("{FIRST_LINE}\n{}\n{}\n", line(&self.given), line(&self.signed))
    }
}

fn head(line: &str) -> Option<TreeHead> {
    let (size, root) = line.split_once(' ')?;
    let root = STANDARD.decode(root).ok()?.try_into().ok()?;
    Some(TreeHead { size: size.parse().ok()?, root })
}

/// The floor, held by the one who signs.
#[derive(Debug)]
pub(super) struct HeldFloor {
    pub(super) floor: Floor,
    tag: Tag,
}

impl HeldFloor {
    /// Reads the floor; `None`: the store has none.
    ///
    /// # Errors
    ///
    /// A contradiction when it is none of ours.
    pub(super) async fn read(files: &Files) -> Result<Option<Self>, Trouble> {
        let Some((bytes, tag)) = files.read_tagged(OwnFile::Floor).await? else { return Ok(None) };
        let floor = Floor::parse(&bytes);
        let floor = floor.ok_or_else(|| Trouble::Contradiction("the floor is damaged".into()))?;
        Ok(Some(Self { floor, tag }))
    }

    /// Makes the floor of a new log.
    pub(super) async fn make(files: &Files, head: &TreeHead) -> Result<Self, OwnError> {
        let floor = Floor { given: head.clone(), signed: head.clone() };
        let tag = files.replace(OwnFile::Floor, Bytes::from(floor.text()), None).await?;
        Ok(Self { floor, tag })
    }

    /// Prepares the floor that stands when a head is about to be signed.
    pub(super) async fn prepare(
        &self,
        files: &Files,
        head: &TreeHead,
    ) -> Result<Prepared, OwnError> {
        files.prepare_one(OwnFile::Floor, Bytes::from(self.above(head).text())).await
    }

    fn above(&self, head: &TreeHead) -> Floor {
        Floor { given: self.floor.signed.clone(), signed: head.clone() }
    }

    /// Raises the floor to a head that is about to be signed; durable on return. `prepared` was made
    /// for this head.
    ///
    /// # Errors
    ///
    /// A contradiction when the head does not begin with what was signed before: whatever the
    /// database says, it may not be signed.
    pub(super) async fn raise(
        &mut self,
        files: &Files,
        prepared: Prepared,
        (head, proof): (&TreeHead, &Consistency),
    ) -> Result<(), Trouble> {
        let signed = &self.floor.signed;
        if proof.verify(signed, head).is_err() {
            return Err(Trouble::Contradiction(format!(
                "a tree of {} records does not begin with the {} that were signed",
                head.size, signed.size
            )));
        }
        if signed == head {
            // Signed before a crash; the signature will be the same.
            return Ok(());
        }
        let floor = self.above(head);
        self.tag = files.replace_prepared(prepared, &self.tag).await?;
        self.floor = floor;
        Ok(())
    }

    /// Sets the floor, on a person's word.
    pub(super) async fn set(&mut self, files: &Files, floor: Floor) -> Result<(), OwnError> {
        let bytes = Bytes::from(floor.text());
        self.tag = files.replace(OwnFile::Floor, bytes, Some(&self.tag)).await?;
        self.floor = floor;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Store;

    fn head(size: u64, byte: u8) -> TreeHead {
        TreeHead { size, root: [byte; 32] }
    }

    fn files() -> Files {
        let erased = super::super::entry::Erased::default();
        Files { store: Store::memory(), name: "log.example".parse().unwrap(), erased }
    }

    #[test]
    fn a_floor_is_read_as_it_was_written_and_otherwise_refused() {
        let floor = Floor { given: head(7, 1), signed: head(9, 2) };
        let text = floor.text();
        assert_eq!(Floor::parse(text.as_bytes()), Some(floor));
        for bad in [
            String::new(),
            text.replace("v1", "v2"),
            text.replace("\n7 ", "\n07 "),
            text.replace("\n9 ", "\n-9 "),
            text.trim_end().to_owned(),
            format!("{text}x"),
            text.replace('=', ""),
        ] {
            assert_eq!(Floor::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_floor_is_never_lowered_nor_moved_aside() {
        let files = files();
        let mut held = HeldFloor::make(&files, &head(7, 1)).await.unwrap();
        let none = Consistency { hashes: Vec::new() };
        for other in [head(7, 2), head(6, 1), head(8, 1), head(0, 0)] {
            let prepared = held.prepare(&files, &other).await.unwrap();
            let raised = held.raise(&files, prepared, (&other, &none)).await;
            assert!(matches!(raised, Err(Trouble::Contradiction(_))), "{other:?}");
        }
        let prepared = held.prepare(&files, &head(7, 1)).await.unwrap();
        held.raise(&files, prepared, (&head(7, 1), &none)).await.unwrap();
        let read = HeldFloor::read(&files).await.unwrap().unwrap();
        assert_eq!(read.floor, Floor { given: head(7, 1), signed: head(7, 1) });
    }

    #[tokio::test]
    async fn two_signers_do_not_share_a_floor() {
        let files = files();
        let mut first = HeldFloor::make(&files, &head(7, 1)).await.unwrap();
        let mut second = HeldFloor::read(&files).await.unwrap().unwrap();
        let floor = Floor { given: head(7, 1), signed: head(8, 1) };
        first.set(&files, floor.clone()).await.unwrap();
        assert!(second.set(&files, floor).await.is_err());
    }
}
