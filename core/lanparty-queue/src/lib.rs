//! Queueing and rate: FQ-CoDel, shaping, and the rate controller.
