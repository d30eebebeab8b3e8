//! The same tree for witnesses and monitors: C2SP tlog-checkpoint and tlog-tiles; and who signs.
//!
//! A Go checksum database and a C2SP log differ in what stands around the hashes: the text that is
//! signed, the paths of tiles, and how records are framed. Leaves, tiles and roots are the same.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::head::decode_hash;
use crate::tile::FULL_WIDTH;
use crate::{
    Error, LogName, MAX_RECORD_BYTES, Note, Signature, SignedHead, SigningKey, Tile, TileLevel,
    TreeHead, VerifierKey, decimal,
};

/// Signs the heads of a log: a key in memory, later a key service.
///
/// What may be signed is decided before: a signer signs any text.
pub trait Signer: std::fmt::Debug + Send + Sync + 'static {
    /// Returns the key that verifies the signatures. Never waits.
    fn verifier(&self) -> VerifierKey;

    /// Signs the text of a note; the same text gives the same signature each time.
    ///
    /// May take milliseconds. Nothing is durable on return, and nobody tries again.
    ///
    /// # Errors
    ///
    /// [`Error::Unsigned`] when the key cannot be used now.
    fn sign(&self, text: &str) -> Result<Signature, Error>;
}

impl Signer for SigningKey {
    fn verifier(&self) -> VerifierKey {
        self.verifier()
    }

    fn sign(&self, text: &str) -> Result<Signature, Error> {
        Ok(self.sign(text))
    }
}

/// Signs a head for the `go` command, by all keys that the log has, in their order.
///
/// More than one while a key is changed: whoever knows one of them opens the head.
///
/// # Errors
///
/// Those of [`Signer::sign`]; [`Error::Signature`] and [`Error::Unsigned`] when what was signed does
/// not verify with a signer's own key; [`Error::Note`] without a signer, and past
/// [`MAX_SIGNATURES`](crate::MAX_SIGNATURES) of them.
pub fn sign_head(signers: &[Arc<dyn Signer>], head: &TreeHead) -> Result<SignedHead, Error> {
    let message = signed(signers, head.text())?;
    opened(signers, |key| SignedHead::open(key, message.as_bytes()))
}

/// Signs a head for witnesses and monitors; the origin is the name of the keys.
///
/// One key may sign both texts: their first lines differ, for a log's name holds no blank.
///
/// # Errors
///
/// Those of [`sign_head`]; [`Error::Name`] when the keys are of different logs.
pub fn sign_checkpoint(
    signers: &[Arc<dyn Signer>],
    head: &TreeHead,
) -> Result<SignedCheckpoint, Error> {
    let origin = signers.first().ok_or(Error::Note)?.verifier().name().clone();
    let message = signed(signers, Checkpoint { origin, head: head.clone() }.text())?;
    opened(signers, |key| SignedCheckpoint::open(key, message.as_bytes()))
}

fn signed(signers: &[Arc<dyn Signer>], text: String) -> Result<String, Error> {
    let signatures = signers.iter().map(|signer| signer.sign(&text)).collect::<Result<_, _>>()?;
    Ok(Note { text, signatures }.message())
}

/// Opens what was signed with each signer's own key: a signer may be a service that errs.
fn opened<T>(
    signers: &[Arc<dyn Signer>],
    open: impl Fn(&VerifierKey) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut last = Err(Error::Note);
    for signer in signers {
        last = Ok(open(&signer.verifier())?);
    }
    last
}

/// Holds a tree head and which log it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log. Other logs' origins may have other forms; ours is the name of the log.
    pub origin: LogName,
    /// The head.
    pub head: TreeHead,
}

impl Checkpoint {
    /// Parses the text of a checkpoint. Lines behind the root are extensions: ignored, but none may
    /// be empty.
    ///
    /// Source: C2SP tlog-checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Head`] for other text, [`Error::Name`] when the origin is no name of a log.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (origin, rest) = text.split_once('\n').ok_or(Error::Head)?;
        let head = parse_head(rest).ok_or(Error::Head)?;
        Ok(Self { origin: LogName::parse(origin)?, head })
    }

    /// Returns the text to be signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, STANDARD.encode(self.head.root))
    }
}

fn parse_head(text: &str) -> Option<TreeHead> {
    let (size, rest) = text.split_once('\n')?;
    let (root, extensions) = rest.split_once('\n')?;
    if extensions.split_inclusive('\n').any(|line| line == "\n" || !line.ends_with('\n')) {
        return None;
    }
    Some(TreeHead { size: decimal(size)?, root: decode_hash(root)? })
}

/// Holds a checkpoint whose note its log signed: made by [`SignedCheckpoint::open`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    head: TreeHead,
    message: String,
    has_extensions: bool,
}

impl SignedCheckpoint {
    /// Opens a signed checkpoint of the log that the key is named after.
    ///
    /// # Errors
    ///
    /// [`Error::Note`] and [`Error::Head`] for other text, [`Error::Name`] for a checkpoint of
    /// another log, [`Error::Unsigned`] and [`Error::Signature`] when the key did not sign it.
    pub fn open(key: &VerifierKey, message: &[u8]) -> Result<Self, Error> {
        let note = Note::parse(message)?;
        note.verify(key)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        if checkpoint.origin != *key.name() {
            return Err(Error::Name);
        }
        let has_extensions = checkpoint.text() != note.text;
        let message = std::str::from_utf8(message).ok().ok_or(Error::Note)?.to_owned();
        Ok(Self { head: checkpoint.head, message, has_extensions })
    }

    /// Returns the head.
    #[must_use]
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Returns the signed note as it came.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns whether lines stand below the root: suspicious, for no known log writes any.
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        self.has_extensions
    }
}

/// Returns where C2SP tlog-tiles has a tile: `tile/<L>/<N>`, and `tile/entries/<N>` for records.
#[must_use]
pub fn tiles_path(tile: Tile) -> String {
    let path = tile.path();
    let rest = path.strip_prefix("tile/8/").unwrap_or(&path);
    match rest.strip_prefix("data/") {
        Some(rest) => format!("tile/entries/{rest}"),
        None => format!("tile/{rest}"),
    }
}

/// Parses a path of C2SP tlog-tiles; a tile of entries is one of [`TileLevel::Data`].
///
/// Source: C2SP tlog-tiles.
///
/// # Errors
///
/// [`Error::Tile`] for other text.
pub fn parse_tiles_path(path: &str) -> Result<Tile, Error> {
    let rest = path.strip_prefix("tile/").ok_or(Error::Tile)?;
    let tile = match rest.strip_prefix("entries/") {
        Some(rest) => Tile::parse(&format!("tile/8/data/{rest}"))?,
        None => Tile::parse(&format!("tile/8/{rest}"))?,
    };
    // `tile/data/..` would be read as Go's records.
    if tiles_path(tile) == path { Ok(tile) } else { Err(Error::Tile) }
}

/// Packs records as C2SP tlog-tiles frames them: each behind its length, 16 bits big endian.
///
/// # Errors
///
/// [`Error::Record`] for a record of more than [`MAX_RECORD_BYTES`].
pub fn pack_entries<T: AsRef<str>>(records: &[T]) -> Result<Vec<u8>, Error> {
    let len = |record: &T| record.as_ref().len() + 2;
    let mut packed = Vec::with_capacity(records.iter().map(len).sum());
    for record in records {
        let len = u16::try_from(record.as_ref().len()).ok().ok_or(Error::Record)?;
        packed.extend_from_slice(&len.to_be_bytes());
        packed.extend_from_slice(record.as_ref().as_bytes());
    }
    Ok(packed)
}

/// Splits a tile of entries; what an entry says is not looked at.
///
/// # Errors
///
/// [`Error::Record`] when the tile does not hold exactly `width` entries, of 1 to 256.
pub fn split_entries(body: &[u8], width: u16) -> Result<Vec<&[u8]>, Error> {
    split(body, width).ok_or(Error::Record)
}

fn split(body: &[u8], width: u16) -> Option<Vec<&[u8]>> {
    let most = usize::from(width) * (MAX_RECORD_BYTES + 2);
    if width == 0 || width > FULL_WIDTH || body.len() > most {
        return None;
    }
    let mut rest = body;
    let mut entries = Vec::with_capacity(usize::from(width));
    for _entry in 0..width {
        let (len, after) = rest.split_first_chunk()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        rest = after;
    }
    rest.is_empty().then_some(entries)
}

impl Tile {
    /// Returns whether the entries are records, not hashes.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.level == TileLevel::Data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=";

    fn key() -> SigningKey {
        let seed: Vec<u8> = (0..32).collect();
        let name = LogName::parse("sumdb.golden.example").unwrap();
        SigningKey::from_seed(name, seed.try_into().unwrap())
    }

    fn head(size: u64) -> TreeHead {
        TreeHead { size, root: decode_hash(ROOT).unwrap() }
    }

    /// One who signs with the key of this number; 0 is the usual one.
    fn signer(number: u8) -> Arc<dyn Signer> {
        if number == 0 {
            return Arc::new(key());
        }
        Arc::new(SigningKey::from_seed(key().verifier().name().clone(), [number; 32]))
    }

    #[test]
    fn what_is_signed_opens() {
        let signed = sign_checkpoint(&[signer(0)], &head(7)).unwrap();
        assert_eq!(signed.head(), &head(7));
        let text = format!("sumdb.golden.example\n7\n{ROOT}\n\n\u{2014} sumdb.golden.example ");
        assert!(signed.message().starts_with(&text));
        let again = SignedCheckpoint::open(&key().verifier(), signed.message().as_bytes());
        assert_eq!(again, Ok(signed));
        assert_eq!(sign_head(&[signer(0)], &head(7)).unwrap().head(), &head(7));
    }

    #[test]
    fn what_two_keys_sign_opens_with_either_and_with_no_third() {
        let signers = [signer(0), signer(1)];
        let head = sign_head(&signers, &head(7)).unwrap();
        let checkpoint = sign_checkpoint(&signers, head.head()).unwrap();
        for signer in &signers {
            let (key, bytes) = (signer.verifier(), head.message().as_bytes());
            assert_eq!(SignedHead::open(&key, bytes), Ok(head.clone()));
            let bytes = checkpoint.message().as_bytes();
            assert_eq!(SignedCheckpoint::open(&key, bytes), Ok(checkpoint.clone()));
        }
        let third = SignedHead::open(&signer(2).verifier(), head.message().as_bytes());
        assert!(matches!(third, Err(Error::Unsigned { .. })), "{third:?}");
        let ids: Vec<_> = Note::parse(head.message().as_bytes())
            .unwrap()
            .signatures
            .iter()
            .map(|s| s.key_id)
            .collect();
        assert_eq!(ids, signers.map(|signer| signer.verifier().id()), "the older key first");
    }

    #[test]
    fn signers_are_one_to_a_hundred_of_one_log() {
        let signers = |count: u8| (0..count).map(signer).collect::<Vec<_>>();
        assert_eq!(sign_head(&[], &head(7)), Err(Error::Note));
        assert_eq!(sign_checkpoint(&[], &head(7)), Err(Error::Note));
        assert!(sign_head(&signers(100), &head(7)).is_ok());
        assert_eq!(sign_head(&signers(101), &head(7)), Err(Error::Note));
        let stranger = SigningKey::from_seed(LogName::parse("other.example").unwrap(), [1; 32]);
        let mixed = [signer(0), Arc::new(stranger)];
        assert_eq!(sign_checkpoint(&mixed, &head(7)), Err(Error::Name));
    }

    /// A key service that signs with another key than it says.
    #[derive(Debug)]
    struct Confused;

    impl Signer for Confused {
        fn verifier(&self) -> VerifierKey {
            key().verifier()
        }

        fn sign(&self, text: &str) -> Result<Signature, Error> {
            Ok(Signature { key_id: self.verifier().id(), ..signer(1).sign(text)? })
        }
    }

    #[test]
    fn a_signature_that_does_not_verify_never_leaves() {
        let signed = sign_head(&[signer(1), Arc::new(Confused)], &head(7));
        assert!(matches!(signed, Err(Error::Signature { .. })), "{signed:?}");
    }

    /// One key signs both; neither may pass for the other.
    #[test]
    fn a_checkpoint_is_no_head_and_a_head_no_checkpoint() {
        let signers = [signer(0)];
        let (checkpoint, head) =
            (sign_checkpoint(&signers, &head(7)), sign_head(&signers, &head(7)));
        let key = key().verifier();
        let opened = SignedHead::open(&key, checkpoint.unwrap().message().as_bytes());
        assert_eq!(opened, Err(Error::Head));
        let opened = SignedCheckpoint::open(&key, head.unwrap().message().as_bytes());
        assert_eq!(opened, Err(Error::Name));
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let other = Checkpoint { origin: "other.example".parse().unwrap(), head: head(7) };
        let message = signed(&[signer(0)], other.text()).unwrap();
        let opened = SignedCheckpoint::open(&key().verifier(), message.as_bytes());
        assert_eq!(opened, Err(Error::Name));
    }

    #[test]
    fn a_changed_checkpoint_is_refused() {
        let message =
            sign_checkpoint(&[signer(0)], &head(7)).unwrap().message().replace("\n7\n", "\n8\n");
        let opened = SignedCheckpoint::open(&key().verifier(), message.as_bytes());
        assert!(matches!(opened, Err(Error::Signature { .. })), "{opened:?}");
    }

    #[test]
    fn extensions_are_ignored_and_other_texts_refused() {
        let parse = Checkpoint::parse;
        let parsed = parse(&format!("a.example\n7\n{ROOT}\nmore\nand more\n")).unwrap();
        assert_eq!(parsed.head, head(7));
        for text in [
            format!("a.example\n7\n{ROOT}\n\n"),
            format!("a.example\n7\n{ROOT}\n\nmore\n"),
            format!("a.example\n7\n{ROOT}\nmore\n\n"),
            format!("a.example\n7\n{ROOT}\nmore\n\nand more\n"),
            format!("a.example\n7\n{ROOT}\nmore"),
            String::new(),
            "a.example\n".to_owned(),
            format!("a.example\n7\n{ROOT}"),
            format!("a.example\n07\n{ROOT}\n"),
            format!("a.example\n-7\n{ROOT}\n"),
            format!("a.example\n\n{ROOT}\n"),
            format!("a.example\n7\n{}\n", &ROOT[4..]),
        ] {
            assert_eq!(parse(&text), Err(Error::Head), "{text}");
        }
        assert_eq!(parse(&format!("go.sum database tree\n7\n{ROOT}\n")), Err(Error::Name));
        assert_eq!(parse(&format!("\n7\n{ROOT}\n")), Err(Error::Name));
    }

    #[test]
    fn extensions_of_a_signed_checkpoint_are_known() {
        let key = key();
        for (more, want) in [("", Ok(false)), ("more\n", Ok(true)), ("\n", Err(Error::Head))] {
            let text = format!("sumdb.golden.example\n7\n{ROOT}\n{more}");
            let note = Note { signatures: vec![key.sign(&text)], text };
            let opened = SignedCheckpoint::open(&key.verifier(), note.message().as_bytes());
            assert_eq!(opened.map(|opened| opened.has_extensions()), want, "{more:?}");
        }
    }

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        for (go, c2sp) in [
            ("tile/8/0/000", "tile/0/000"),
            ("tile/8/2/x001/234.p/7", "tile/2/x001/234.p/7"),
            ("tile/8/data/x001/234.p/7", "tile/entries/x001/234.p/7"),
        ] {
            let tile = Tile::parse(go).unwrap();
            assert_eq!(tiles_path(tile), c2sp);
            assert_eq!(parse_tiles_path(c2sp), Ok(tile));
            assert_eq!(tile.is_data(), go.contains("data"));
        }
        for path in ["", "tile/8/0/000", "tile/data/000", "tile/entries/0", "tile/0/000.p/256", "x"]
        {
            assert_eq!(parse_tiles_path(path), Err(Error::Tile), "{path}");
        }
    }

    #[test]
    fn entries_come_back_as_they_were_packed() {
        let packed = pack_entries(&["a b\n", "c\n"]).unwrap();
        assert_eq!(packed, b"\0\x04a b\n\0\x02c\n");
        assert_eq!(split_entries(&packed, 2), Ok(vec![&b"a b\n"[..], b"c\n"]));
        for width in [0, 1, 3, 257] {
            assert_eq!(split_entries(&packed, width), Err(Error::Record), "{width}");
        }
        assert_eq!(split_entries(&packed[..packed.len() - 1], 2), Err(Error::Record));
        let full = pack_entries(&["x\n"; 256]).unwrap();
        assert_eq!(split_entries(&full, 256).unwrap().len(), 256);
        assert_eq!(split_entries(&[&full[..], b"\0\x01x"].concat(), 257), Err(Error::Record));
    }

    #[test]
    fn the_length_of_an_entry_is_bounded() {
        let longest = "x".repeat(MAX_RECORD_BYTES);
        assert!(pack_entries(&[&longest]).is_ok());
        assert_eq!(pack_entries(&[format!("{longest}x")]), Err(Error::Record));
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>, width in 0_u16..300, text in "(a\\.b\n|7\n|=|A|\n)*") {
            let _ = split_entries(&bytes, width);
            let _ = Checkpoint::parse(&text);
            let _ = parse_tiles_path(&text);
        }
    }
}
