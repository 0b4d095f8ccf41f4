//! `contracts/agreement.json`, `round.json` and `retrieval.json`, the state machines as tables: the rules judged by every row
//! and by everything that is no row, all reachable stories walked for stuck or lost money, and the diagrams in ARCHITECTURE.md
//! kept what the tables say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod machine {
    pub mod agreement;
    pub mod diagram;
    pub mod game;
    pub mod play;
    pub mod retrieval;
    pub mod round;
    pub mod shards;
    pub mod table;
    pub mod walk;
}
