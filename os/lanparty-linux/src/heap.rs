//! Gives memory that is free inside the process back to the system.
//!
//! glibc keeps what was freed between two pieces that are still in use, however much it is: a relay that thousands of connections
//! have visited stays as large as it was with them. Whoever decides by resident memory must ask for it to be given back first.

/// Gives memory back that is free, as far as the system's allocator can. It takes the locks of all arenas, one after the other, for
/// milliseconds in a large process: not for every turn of a loop.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "only glibc itself can return its free pages")]
pub fn give_back() {
    // SAFETY: malloc_trim(3) may be called by any thread at any time; it touches nothing but free memory.
    let _any = unsafe { libc::malloc_trim(0) };
}

/// Does nothing: other allocators return what is free by themselves, or have no such call.
#[cfg(not(target_env = "gnu"))]
pub const fn give_back() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn free_memory_between_pieces_in_use_goes_back() {
        let resident = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            let pages = pages.split_whitespace().nth(1).unwrap();
            pages.parse::<usize>().unwrap()
        };
        let mut pieces: Vec<Option<Vec<u8>>> = (0..20_000).map(|_| Some(vec![1; 8192])).collect();
        pieces
            .iter_mut()
            .enumerate()
            .filter(|(number, _)| number % 100 != 0)
            .for_each(|(_, piece)| *piece = None);
        let before = resident();

        give_back();

        // 160 MB, of which a hundredth is in use; a page has at most 64 KiB.
        assert!(before - resident() > 1000, "{before} pages before");
        assert_eq!(pieces.iter().flatten().count(), 200);
    }
}
