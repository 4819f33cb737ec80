//! Gives up a process's privileges once what needed them is open (capabilities(7)).

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Gives up every capability of the calling thread and of the threads that it starts from now on, for good.
///
/// What is open stays open. Call it before any other thread is started: capabilities are each thread's own. Afterwards not even a
/// set-user-id program gives any back (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
///
/// Returns an error if the kernel keeps the capabilities.
pub fn drop_all() -> io::Result<()> {
    set_no_new_privs(true)?;
    // Only root may shrink its bounding set; without new privileges that set gives nothing anyway.
    for capability in CapabilitySet::all().iter() {
        let _kept = remove_capability_from_bounding_set(capability);
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, because capabilities do not come back.
    #[test]
    fn nothing_is_left_and_threads_inherit_that() {
        let held = std::thread::spawn(|| {
            drop_all().unwrap();
            std::thread::spawn(|| std::fs::read_to_string("/proc/thread-self/status").unwrap())
                .join()
                .unwrap()
        })
        .join()
        .unwrap();

        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(
                held.contains(&format!("{set}:\t0000000000000000")),
                "{held}"
            );
        }
        assert!(held.contains("NoNewPrivs:\t1"), "{held}");
    }
}
