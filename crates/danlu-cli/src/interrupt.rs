//! Ctrl-C: once stops after the batch, twice at once.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static TRAINING: AtomicBool = AtomicBool::new(false);

/// The exit code of a command that Ctrl-C ended.
const EXIT_CODE: i32 = 130;

/// Takes over Ctrl-C. Where that cannot be done it ends the process, as it always did.
pub fn listen() {
    let _ = ctrlc::set_handler(|| {
        let before = INTERRUPTED.swap(true, Ordering::SeqCst);
        if before || !TRAINING.load(Ordering::SeqCst) {
            std::process::exit(EXIT_CODE);
        }
    });
}

/// From now on the first Ctrl-C is only remembered.
pub fn finish_batches() {
    TRAINING.store(true, Ordering::SeqCst);
}

/// From now on Ctrl-C ends the process.
pub fn end_at_once() {
    TRAINING.store(false, Ordering::SeqCst);
}

/// Whether Ctrl-C was pressed.
pub fn was_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
