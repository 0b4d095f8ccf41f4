//! End to end, soundness, shared vectors, tidy.
