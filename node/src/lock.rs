//! Locks whose data is whole whenever they are free: a thread that panicked with one left nothing half changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also after a thread panicked while it had it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lock_outlives_a_panic() {
        let mutex = Arc::new(Mutex::new(1));
        let held = mutex.clone();
        let thread = std::thread::spawn(move || {
            let _held = held.lock();
            panic!("with the lock");
        });
        assert!(thread.join().is_err() && mutex.is_poisoned());
        *lock(&mutex) += 1;
        assert_eq!(*lock(&mutex), 2);
    }
}
