//! Properties of characters as Go sees them.
//!
//! The standard library's `char::is_alphabetic` is another property (it holds marks and numerals)
//! of another Unicode version, and which names a zip may hold must not depend on our compiler. The
//! tables come from Go 1.26, whose version is that of all releases since 1.21: what they
//! accept, every client accepts.

mod tables;

/// The Unicode version of the tables.
pub(crate) const VERSION: &str = tables::VERSION;

/// Returns whether `c` is a letter: category L, Go's `unicode.IsLetter`.
pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { contains(&tables::LETTER, c) }
}

/// Returns whether `c` is printable: Go's `unicode.IsPrint`.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() { matches!(c, ' '..='~') } else { contains(&tables::PRINT, c) }
}

/// Returns the smallest character equal to `c` under simple case folding, ASCII in lower case.
pub(crate) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let code = u32::from(c);
    let behind = tables::FOLD.partition_point(|run| run.0 <= code);
    let run = behind.checked_sub(1).and_then(|index| tables::FOLD.get(index));
    match run {
        Some(&(first, last, step, to)) if code <= last && (code - first) % step == 0 => {
            char::from_u32(to + (code - first)).unwrap_or(c)
        }
        _ => c,
    }
}

/// Looks `c` up in the boundaries of half-open ranges: inside one when an odd number lies below.
fn contains(bounds: &[u32], c: char) -> bool {
    bounds.partition_point(|&bound| bound <= u32::from(c)) % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_category_l_only() {
        for letter in ['a', 'Z', 'é', 'ß', 'ǅ', 'ʰ', 'א', '中', '\u{10400}'] {
            assert!(is_letter(letter), "{letter}");
        }
        // A digit, a letter number, marks, an emoji: some are "alphabetic", none is a letter.
        for other in ['1', '\u{663}', 'Ⅷ', '\u{301}', '\u{345}', '\u{94d}', '😀', '_', '\u{10ffff}']
        {
            assert!(!is_letter(other), "{other}");
        }
    }

    #[test]
    fn spaces_and_controls_do_not_print() {
        for printed in [' ', '~', '¡', '中', '😀', '\u{301}', '\u{fffd}'] {
            assert!(is_print(printed), "{printed:?}");
        }
        for hidden in ['\0', '\n', '\x7f', '\u{a0}', '\u{ad}', '\u{200b}', '\u{feff}', '\u{e000}'] {
            assert!(!is_print(hidden), "{hidden:?}");
        }
    }

    #[test]
    fn folding_takes_the_smallest_of_an_orbit() {
        for (c, folded) in [
            ('a', 'a'),
            ('K', 'k'),
            ('\u{212a}', 'k'),
            ('ſ', 's'),
            ('é', 'É'),
            ('É', 'É'),
            ('ß', 'ß'),
            ('ẞ', 'ß'),
            ('ς', 'Σ'),
            ('σ', 'Σ'),
            ('\u{10428}', '\u{10400}'),
            ('İ', 'İ'),
            ('中', '中'),
        ] {
            assert_eq!(fold(c), folded, "{c}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for c in '\0'..=char::MAX {
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
        }
    }
}
