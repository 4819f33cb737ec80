//! Windows routes, metrics, MTU and addresses: plan, journal, apply, undo.
