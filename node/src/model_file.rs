//! TEMPORARY
use zknode_circuit::network::*;
pub fn read(bytes: &[u8]) -> anyhow::Result<Network> {
    let (a, t): (Architecture, Vec<(Vec<Vec<i64>>, Vec<i64>)>) = serde_json::from_slice(bytes)?;
    let layers = t
        .into_iter()
        .map(|(terms, bias)| LinearWeights { terms, bias })
        .collect();
    Ok(Network::new(a, Weights { layers })?)
}
