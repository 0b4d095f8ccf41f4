//! The zknode program.
fn main() {}
