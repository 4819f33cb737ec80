//! UTF-16, as Windows wants it.

/// Encodes `text` with the NUL that ends it.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Decodes up to the first NUL. What is no UTF-16 becomes U+FFFD.
pub(crate) fn narrow(text: &[u16]) -> String {
    let end = text
        .iter()
        .position(|unit| *unit == 0)
        .unwrap_or(text.len());

    String::from_utf16_lossy(text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_the_way_to_windows_and_back() {
        assert_eq!(wide("Ä€"), [0xc4, 0x20ac, 0]);
        assert_eq!(narrow(&[0xc4, 0x20ac, 0, 65]), "Ä€");
        assert_eq!(narrow(&[65]), "A");
    }
}
