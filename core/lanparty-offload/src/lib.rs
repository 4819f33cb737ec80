//! Segmentation, coalescing, checksums and MSS: frames as network cards leave them, and back.
