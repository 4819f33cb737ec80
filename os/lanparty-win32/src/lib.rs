//! Safe wrappers over the Win32 calls we use; no policy.
