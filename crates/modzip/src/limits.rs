//! How large a module zip may be.

/// Largest zip file, in bytes: 500 MiB.
///
/// Source: go.dev/ref/mod#zip-path-size-constraints.
pub const MAX_ZIP_BYTES: u64 = 500 << 20;

/// Largest sum of the declared uncompressed sizes of a zip's files, in bytes: 500 MiB.
///
/// Source: go.dev/ref/mod#zip-path-size-constraints.
pub const MAX_CONTENT_BYTES: u64 = 500 << 20;

/// Largest go.mod, inside a zip or alone, in bytes: 16 MiB.
///
/// Source: go.dev/ref/mod#zip-path-size-constraints.
pub const MAX_GO_MOD_BYTES: u64 = 16 << 20;

/// Largest LICENSE at the root of a zip, in bytes: 16 MiB.
///
/// Source: go.dev/ref/mod#zip-path-size-constraints.
pub const MAX_LICENSE_BYTES: u64 = 16 << 20;

/// Most entries in a zip: 262,144.
///
/// Ours, not Go's: an entry costs about 100 bytes of memory while it is judged. The largest
/// public modules have some ten thousand files; a zip of 500 MiB could name millions.
pub const MAX_ENTRIES: usize = 1 << 18;

/// Most bytes that the names of a zip's entries may take together, `module@version/` left out:
/// 32 MiB.
///
/// Ours, not Go's: names are held in memory while a zip is judged, because the `h1:` hash is made
/// over the sorted names. Names are short (8,200 files take about 0.5 MiB), but may be 64 KiB each.
pub const MAX_NAMES_BYTES: usize = 32 << 20;

/// The bounds that one judgement works with; tests set smaller ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) zip: u64,
    pub(crate) content: u64,
    pub(crate) go_mod: u64,
    pub(crate) license: u64,
    pub(crate) entries: usize,
    pub(crate) names: usize,
}

impl Limits {
    pub(crate) const GO: Self = Self {
        zip: MAX_ZIP_BYTES,
        content: MAX_CONTENT_BYTES,
        go_mod: MAX_GO_MOD_BYTES,
        license: MAX_LICENSE_BYTES,
        entries: MAX_ENTRIES,
        names: MAX_NAMES_BYTES,
    };
}
