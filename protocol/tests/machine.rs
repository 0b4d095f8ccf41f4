//! `contracts/agreement.json`, the agreement as a table: the rules judged by every row and by everything that is no row,
//! all reachable stories walked for stuck or lost money, and the diagram in ARCHITECTURE.md kept what the table says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod machine {
    pub mod diagram;
    pub mod play;
    pub mod table;
    pub mod walk;
}
