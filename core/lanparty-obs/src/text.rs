//! Texts of peers inside our own lines.

use std::borrow::Cow;

/// Returns `text` as a piece of one line: what ends a line, moves a terminal's cursor or reorders what
/// is read is escaped.
///
/// A peer that chooses a text that we log or print must not choose what the next line says.
///
/// ```
/// use lanparty_obs::one_line;
///
/// assert_eq!(one_line("gateway é"), "gateway é");
/// assert_eq!(one_line("x\nINFO joined\u{1b}[2K"), r"x\nINFO joined\u{1b}[2K");
/// ```
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unruly) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if is_unruly(c) {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }

    Cow::Owned(line)
}

/// Control characters (Unicode category Cc), the two other separators of lines, and what turns the
/// direction of writing (UAX #9, 2).
fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_or_disguises_a_line_is_left() {
        for c in (0..=0xffff).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            let line = one_line(&text);

            assert!(!line.contains(is_unruly), "{c:?}");
            assert_eq!(line.lines().count(), 1, "{c:?}");
        }
        assert_eq!(one_line("a\r\u{9b}\u{202e}b"), r"a\r\u{9b}\u{202e}b");
    }
}
