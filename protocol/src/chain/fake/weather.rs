//! What a test makes happen to the chain and to the server in front of it.

use super::{FakeChain, Mined};
use crate::{
    chain::{ChainError, SignedTx},
    value::{Address, Amount},
};

impl FakeChain {
    /// Gives ether to an account, out of nothing, in the newest block.
    pub fn fund(&self, account: Address, amount: Amount) {
        self.lock()
            .newest_mut()
            .world
            .balances
            .insert(account, amount);
    }

    /// Creates a token of which every account has as much as it likes. A `strict` one refuses to change an allowance
    /// other than from or to zero.
    pub fn create_token(&self, token: Address, strict: bool) {
        self.lock().newest_mut().world.create_token(token, strict);
    }

    /// What a gas unit costs from now on: the pool refuses whoever offers less, and blocks leave it waiting.
    pub fn set_base_fee(&self, fee: Amount) {
        self.lock().base_fee = fee;
    }

    /// Shows no receipts, or shows them again, as a server does that lags behind the one that counts.
    pub fn hide_receipts(&self, hidden: bool) {
        self.lock().receipts_hidden = hidden;
    }

    /// What waits in the pool.
    pub fn pool(&self) -> Vec<SignedTx> {
        self.lock().pool.clone()
    }

    /// Puts a transaction back into the pool, whatever is there, as another server that still has it would; of two
    /// with one nonce the next block takes the one that came first.
    pub fn return_to_pool(&self, tx: SignedTx) {
        self.lock().pool.insert(0, tx);
    }

    /// Lets time pass and makes a block.
    pub fn advance(&self, seconds: u64) {
        let mut shared = self.lock();
        shared.skipped += seconds;
        shared.mine(self.chain_id);
    }

    /// Keeps broadcasts in the pool until [`Self::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Makes a block of what the pool holds, and blocks at once from now on.
    pub fn release(&self) {
        let mut shared = self.lock();
        shared.held = false;
        shared.mine(self.chain_id);
    }

    /// Empties the pool: what waited there is lost.
    pub fn drop_pool(&self) {
        self.lock().pool.clear();
    }

    /// Replaces the newest `depth` blocks by `depth + 1` others. Their transactions are back in the pool, and in the
    /// first of the new blocks unless the pool is held.
    pub fn reorganize(&self, depth: usize) {
        let mut shared = self.lock();
        let keep = shared.blocks.len().saturating_sub(depth);
        let undone: Vec<Mined> = shared.blocks.drain(keep..).collect();
        let returned = undone
            .into_iter()
            .flat_map(|mined| mined.transactions)
            .map(|(tx, _)| tx);
        let waiting = std::mem::take(&mut shared.pool);
        shared.pool = returned.chain(waiting).collect();
        for _ in 0..=depth {
            shared.mine(self.chain_id);
        }
    }

    /// Shows, from now on and before all others, the receipts of today's blocks, even of those that a reorganization
    /// undoes, as a server does that has not heard of it; called again, those of that moment.
    pub fn keep_receipts(&self) {
        let mut shared = self.lock();
        shared.orphans = shared.receipts().cloned().collect();
    }

    /// The next request, whichever it is, ends in `error`; called again, the one after it too.
    pub fn fail_next(&self, error: ChainError) {
        self.lock().faults.push_back(error);
    }
}
