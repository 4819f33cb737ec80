//! The tunnel contract: Ethernet frames, overlay datagrams, MTU budgets, Layer 2 safety policy.
