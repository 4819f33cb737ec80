//! How a frame is to wait in a queue.

/// How a frame asks to be treated by the queues on its way.
///
/// `lanparty-offload` reads the class out of a frame's headers, `lanparty-queue` acts by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrafficClass {
    /// ARP, DHCP and neighbour discovery. Without them nothing else works, and there is little of
    /// them: strict priority within a small rate.
    Control,
    /// A pure acknowledgement of TCP, which a newer one may make needless. It waits like
    /// [`TrafficClass::Normal`].
    Acknowledgement,
    /// Everything else: fair queueing and `CoDel`.
    Normal,
}
