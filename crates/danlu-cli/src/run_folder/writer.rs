//! Checkpoints are written on a thread of their own, so that training does not wait for the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use danlu::training::TrainingState;

use super::{BEST, KEPT, LAST};

/// What is to be done with a state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Purpose {
    /// It is the best one.
    pub best: bool,
    /// It is one of those that are kept beside the last one; how many of them.
    pub keep: usize,
}

/// States that wait to be written, and how the last one went.
#[derive(Default)]
struct Queue {
    last: Option<Arc<TrainingState>>,
    best: Option<Arc<TrainingState>>,
    kept: Vec<(Arc<TrainingState>, usize)>,
    busy: bool,
    closed: bool,
    failure: Option<danlu::Error>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.last.is_none() && self.best.is_none() && self.kept.is_empty()
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the states that it is given, in the background. Of states that wait at the same time only the newest becomes the last one:
/// a disk that is slower than the training costs checkpoints, not time.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// As many states as may wait to be kept; whoever has one more waits for the disk.
const MOST_WAITING: usize = 2;

impl Writer {
    /// A writer for a run folder.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(folder: &Path) -> danlu::Result<Writer> {
        let shared = Arc::new(Shared::default());
        let (own, folder) = (shared.clone(), folder.to_owned());
        let thread = std::thread::Builder::new().name("checkpoints".to_owned());
        let thread = thread
            .spawn(move || work(&own, &folder))
            .map_err(|error| format!("cannot start the thread that writes checkpoints: {error}"))?;
        Ok(Writer {
            shared,
            thread: Some(thread),
        })
    }

    /// Takes a state to be written soon.
    ///
    /// # Errors
    /// One before it could not be written.
    pub fn put(&self, state: &Arc<TrainingState>, purpose: Purpose) -> danlu::Result<()> {
        let mut queue = self.shared.lock();
        while queue.kept.len() >= MOST_WAITING && queue.failure.is_none() {
            queue = self.wait(queue);
        }
        if let Some(failure) = queue.failure.take() {
            return Err(failure);
        }
        queue.last = Some(state.clone());
        if purpose.best {
            queue.best = Some(state.clone());
        }
        if purpose.keep > 0 {
            queue.kept.push((state.clone(), purpose.keep));
        }
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn finish(&self) -> danlu::Result<()> {
        let mut queue = self.shared.lock();
        while (queue.busy || !queue.is_empty()) && queue.failure.is_none() {
            queue = self.wait(queue);
        }
        queue.failure.take().map_or(Ok(()), Err)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let waited = self.shared.changed.wait(queue);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, this is no place to say so.
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, folder: &Path) {
    loop {
        let mut queue = shared.lock();
        queue.busy = false;
        shared.changed.notify_all();
        while queue.is_empty() && !queue.closed {
            queue = shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if queue.is_empty() {
            return;
        }
        queue.busy = true;
        let last = queue.last.take();
        let best = queue.best.take();
        let kept = std::mem::take(&mut queue.kept);
        drop(queue);
        shared.changed.notify_all();
        if let Err(failure) = write(folder, best, kept, last) {
            let mut queue = shared.lock();
            // Those that wait would leave the folder in disorder: after the first failure nothing is written.
            *queue = Queue {
                closed: true,
                failure: Some(failure),
                ..Queue::default()
            };
            shared.changed.notify_all();
            return;
        }
    }
}

/// The last one comes last: what it says about the others is true on the disk.
fn write(
    folder: &Path,
    best: Option<Arc<TrainingState>>,
    kept: Vec<(Arc<TrainingState>, usize)>,
    last: Option<Arc<TrainingState>>,
) -> danlu::Result<()> {
    if let Some(best) = best {
        best.save(folder.join(BEST))?;
    }
    for (state, count) in kept {
        keep(&folder.join(KEPT), &state, count)?;
    }
    if let Some(last) = last {
        last.save(folder.join(LAST))?;
    }
    Ok(())
}

/// Keeps a state under its step, and as many in all as asked for.
///
/// # Errors
/// It cannot be written, or one too many not removed.
pub fn keep(folder: &Path, state: &TrainingState, count: usize) -> danlu::Result<()> {
    let failed = |error: std::io::Error| {
        danlu::data::Error::file("write", folder.display().to_string(), error)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    state.save(folder.join(state.iteration().to_string()))?;
    let kept = steps(folder);
    for (_, old) in kept.iter().rev().skip(count) {
        std::fs::remove_dir_all(old).map_err(failed)?;
    }
    Ok(())
}

/// The kept states, the oldest first, with the step of each.
pub fn steps(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let step = |entry: std::fs::DirEntry| {
        let step = entry.file_name().to_str()?.parse().ok()?;
        Some((step, entry.path()))
    };
    let mut steps: Vec<(u64, PathBuf)> = entries.filter_map(step).collect();
    steps.sort_unstable();
    steps
}
