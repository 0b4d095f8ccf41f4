//! Who owes whom: agreements, roots, messages, the chain port.
