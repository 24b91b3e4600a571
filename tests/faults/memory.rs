//! How large this process is, and who may change that while somebody looks.

use tokio::sync::Mutex;

/// Held by what is large: tests run beside each other in one process.
pub static ALONE: Mutex<()> = Mutex::const_new(());

/// Resident bytes (Linux, proc(5): `statm` counts pages).
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
