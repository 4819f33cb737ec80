//! DHCP (RFC 2131), as a client reads it.

/// The codes of the options that a client finds in `options`, in order: what stands between the magic cookie and the end option
/// (RFC 2132, section 2).
///
/// # Panics
///
/// Panics if an option is longer than what is left.
pub fn codes(mut options: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    while let [code, rest @ ..] = options {
        match code {
            0 => options = rest,
            255 => break,
            _ => {
                found.push(*code);
                options = &rest[1 + usize::from(rest[0])..];
            }
        }
    }

    found
}
