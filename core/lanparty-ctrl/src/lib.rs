//! The control plane: messages, validation, framing.
