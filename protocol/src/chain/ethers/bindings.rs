//! Types of the contracts, generated from the committed artifacts.

/// The escrow's calls, events and structs.
#[allow(missing_docs, clippy::all)]
pub(super) mod escrow {
    ::ethers::contract::abigen!(Escrow, "../contracts/artifacts/Escrow.json");
}

/// The retrieval contract's calls, events and structs.
#[allow(missing_docs, clippy::all)]
pub(super) mod retrieval {
    ::ethers::contract::abigen!(Retrieval, "../contracts/artifacts/Retrieval.json");
}

/// The registry's calls, events and structs.
#[allow(missing_docs, clippy::all)]
pub(super) mod registry {
    ::ethers::contract::abigen!(ModelRegistry, "../contracts/artifacts/ModelRegistry.json");
}

/// The predictions contract's.
#[allow(missing_docs, clippy::all)]
pub(super) mod predictions {
    ::ethers::contract::abigen!(Predictions, "../contracts/artifacts/Predictions.json");
}
