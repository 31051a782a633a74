//! A persistent worker pool for regions of tens of microseconds.
//!
//! [`Pool::run`] splits tasks `0..n` into one contiguous range per thread, the same ranges every time, so a thread meets the same data in
//! step after step. A region is announced by a counter (the epoch). A thread takes the tasks of its own range from the front; when they
//! are all taken, it takes those of the others from the back, so that nobody waits long for a thread that is slow, or that the
//! operating system has not scheduled. What is left of a range is one word with the epoch in it (`Range`), and a task is
//! taken by a compare-and-swap of that word. The job is read only after a task was taken: a region cannot end before its tasks are
//! done, so what is read then is alive.
//!
//! Idle workers spin for a bounded time and then park. No more workers are woken than the machine runs at once: with more threads than
//! cores the surplus sleeps, and its tasks are taken by those awake. A pool is there when all its workers have started; in a run nothing is allocated.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How a [`Pool`] waits.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Threads that share a region, the caller included; at least 1.
    pub threads: usize,
    /// How long an idle worker spins before it parks. A parked worker takes 20-70 microseconds to wake.
    pub spin: Duration,
    /// How many threads are kept busy at once, the caller included; `None` is the machine's parallelism.
    pub awake: Option<usize>,
}

impl PoolOptions {
    /// The defaults for a number of threads.
    pub fn new(threads: usize) -> PoolOptions {
        PoolOptions {
            threads,
            spin: Duration::from_millis(2),
            awake: None,
        }
    }
}

/// Two cache lines (processors prefetch lines in pairs), so that neighbours do not share one.
#[repr(align(128))]
struct Padded<T>(T);

/// What a region runs: `run(slot, task)` for every task.
#[derive(Clone, Copy)]
struct Job {
    run: *const (dyn Fn(usize, usize) + Sync),
    tasks: usize,
}

impl Job {
    /// The tasks of a thread.
    fn range(&self, slot: usize, threads: usize) -> std::ops::Range<usize> {
        slot * self.tasks / threads..(slot + 1) * self.tasks / threads
    }

    /// How many tasks are taken at once.
    fn bundle(&self, threads: usize) -> usize {
        self.tasks.div_ceil(threads).div_ceil(Range::MOST).max(1)
    }
}

fn nothing(_slot: usize, _task: usize) {}

/// What the caller writes to begin a region.
struct Announcement {
    epoch: AtomicU64,
    job: UnsafeCell<Job>,
}

struct Worker {
    parked: AtomicBool,
}

/// What is left of a range of tasks: the region's epoch, the tasks taken from the front and those left (in bundles, where a range has more
/// than 65,535), packed into one word. Epochs count on by 32 bits.
struct Range(AtomicU64);

/// Which end a task is taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

impl Range {
    const MOST: usize = u16::MAX as usize;

    fn set(&self, epoch: u64, count: usize) {
        self.0.store(epoch << 32 | count as u64, Ordering::Release);
    }

    /// The number of a bundle that nobody else takes, if the range is still of that epoch and has one left.
    fn take(&self, epoch: u64, end: End) -> Option<usize> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (front, left) = (word >> 16 & 0xFFFF, word & 0xFFFF);
            if word >> 32 != epoch & 0xFFFF_FFFF || left == 0 {
                return None;
            }
            let (taken, rest) = match end {
                End::Front => (front, (front + 1) << 16 | (left - 1)),
                End::Back => (front + left - 1, front << 16 | (left - 1)),
            };
            let next = word >> 32 << 32 | rest;
            let exchange =
                self.0
                    .compare_exchange_weak(word, next, Ordering::Acquire, Ordering::Relaxed);
            match exchange {
                Ok(_) => return Some(taken as usize),
                Err(now) => word = now,
            }
        }
    }
}

struct Shared {
    announcement: Padded<Announcement>,
    /// Bundles of tasks that are not done.
    remaining: Padded<AtomicUsize>,
    ranges: Box<[Padded<Range>]>,
    workers: Box<[Padded<Worker>]>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    spin: Duration,
    awake: usize,
    measuring: AtomicBool,
    /// Nanoseconds that threads worked, and that regions took times the threads that share them, while measuring.
    worked: AtomicU64,
    taken: AtomicU64,
}

// SAFETY: `job` is written only by the thread that holds `Pool::busy`, while no task is taken and unfinished, and is read only between
// the taking of a task and its end (see `Shared::work`); everything else is atomic or locked.
unsafe impl Sync for Shared {}
// SAFETY: the raw pointer in `job` is not owned; it is only followed while the region that lent it runs.
unsafe impl Send for Shared {}

/// A fixed set of threads that run regions together. Shared freely between threads: a region begun while another one runs (also from
/// inside a task) runs on the calling thread alone.
pub struct Pool {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    unpark: Vec<Thread>,
    busy: AtomicBool,
    threads: usize,
}

impl Pool {
    /// A pool of that many threads, the caller of [`Pool::run`] included (0 counts as 1). If the operating system refuses a thread,
    /// the pool works with those it has: results do not depend on it.
    pub fn new(threads: usize) -> Pool {
        Pool::with_options(PoolOptions::new(threads))
    }

    /// A pool with its own waiting times.
    pub fn with_options(options: PoolOptions) -> Pool {
        let threads = options.threads.max(1);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let shared = Arc::new(Shared {
            announcement: Padded(Announcement {
                epoch: AtomicU64::new(0),
                job: UnsafeCell::new(Job {
                    run: &nothing,
                    tasks: 0,
                }),
            }),
            remaining: Padded(AtomicUsize::new(0)),
            ranges: (0..threads)
                .map(|_| Padded(Range(AtomicU64::new(0))))
                .collect(),
            workers: (1..threads)
                .map(|_| {
                    Padded(Worker {
                        parked: AtomicBool::new(false),
                    })
                })
                .collect(),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
            spin: options.spin,
            awake: options.awake.unwrap_or(cores).max(1),
            measuring: AtomicBool::new(false),
            worked: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        });
        let mut handles = Vec::with_capacity(threads - 1);
        // Nothing is sent: that every sender is gone says that every worker runs.
        let (starting, started) = mpsc::channel::<()>();
        for slot in 1..threads {
            let shared = Arc::clone(&shared);
            let starting = starting.clone();
            let spawned = std::thread::Builder::new()
                .name(format!("danlu-worker-{slot}"))
                .spawn(move || {
                    drop(starting);
                    shared.serve(slot);
                });
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(_) => break,
            }
        }
        drop(starting);
        // A thread allocates when it starts, which the system may put off until regions have long been running.
        let _ = started.recv();
        let unpark = handles
            .iter()
            .map(|handle| handle.thread().clone())
            .collect();
        Pool {
            shared,
            handles,
            unpark,
            busy: AtomicBool::new(false),
            threads,
        }
    }

    /// The number of ranges that a region is split into: the `threads` that the pool was made with.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Measures from now on how long threads wait for each other within regions, or no longer.
    pub fn measure(&self, on: bool) {
        self.shared.measuring.store(on, Ordering::Relaxed);
    }

    /// Nanoseconds that threads stood still within the regions that were measured, summed over the threads.
    pub fn waited(&self) -> u64 {
        let taken = self.shared.taken.load(Ordering::Relaxed);
        taken.saturating_sub(self.shared.worked.load(Ordering::Relaxed))
    }

    /// Runs `task` for `0..tasks`; thread `t` of `T` has the range `t * tasks / T .. (t + 1) * tasks / T`, in order, but for what others
    /// take who are done with theirs.
    ///
    /// Returns when all are done. With one thread, one task, or from inside another region, they run here, in order.
    ///
    /// # Panics
    /// If a task panics, the others are done all the same, and the (first) panic goes on here. The pool stays usable.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        self.run_with_slot(tasks, &|_, index| task(index));
    }

    /// As [`Pool::run`], with the thread's number, its slot (below [`Pool::threads`]), before the task's: no two threads have the same slot
    /// within a region, so scratch memory can be kept per slot.
    pub fn run_with_slot(&self, tasks: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        if tasks <= 1 || self.threads == 1 || self.busy.swap(true, Ordering::Acquire) {
            for index in 0..tasks {
                task(0, index);
            }
            return;
        }
        let begin = self.shared.begin();
        let panic = self.region(tasks, task);
        let busy = self.threads.min(self.shared.awake) as u64;
        self.shared.add(&self.shared.taken, begin, busy);
        self.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// One region; `busy` is held. Returns the first panic.
    fn region(
        &self,
        tasks: usize,
        task: &(dyn Fn(usize, usize) + Sync),
    ) -> Option<Box<dyn Any + Send>> {
        let shared = &*self.shared;
        let announcement = &shared.announcement.0;
        let epoch = announcement.epoch.load(Ordering::Relaxed) + 1;
        // SAFETY: only the lifetime changes; the pointer is followed only for tasks taken in this region, and this function returns
        // after all of them are done.
        let run = unsafe {
            std::mem::transmute::<
                *const (dyn Fn(usize, usize) + Sync + '_),
                *const (dyn Fn(usize, usize) + Sync + 'static),
            >(task)
        };
        let job = Job { run, tasks };
        let bundles = |slot: usize| {
            job.range(slot, self.threads)
                .len()
                .div_ceil(job.bundle(self.threads))
        };
        let all = (0..self.threads).map(bundles).sum();
        // SAFETY: the last region is over (`remaining` was 0), and nobody reads the job without a task of the new epoch, which there are
        // only after it is written.
        unsafe { *announcement.job.get() = job };
        shared.remaining.0.store(all, Ordering::Relaxed);
        for (slot, range) in shared.ranges.iter().enumerate() {
            range.0.set(epoch, bundles(slot));
        }
        announcement.epoch.store(epoch, Ordering::SeqCst);
        let wake = (self.unpark.len()).min(shared.awake - 1);
        for (worker, thread) in shared.workers.iter().zip(&self.unpark).take(wake) {
            let parked = &worker.0.parked;
            if parked.load(Ordering::SeqCst) && parked.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        shared.work(0, epoch);
        shared.wait_for_the_others();
        shared
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A worker catches the panics of its tasks, so joining cannot fail.
            let _ = handle.join();
        }
    }
}

impl Shared {
    /// A worker's life.
    fn serve(&self, slot: usize) {
        let mut seen = 0;
        while let Some(epoch) = self.next_epoch(slot, seen) {
            seen = epoch;
            self.work(slot, epoch);
        }
    }

    /// Waits for an epoch after `seen`; `None` when the pool is dropped.
    fn next_epoch(&self, slot: usize, seen: u64) -> Option<u64> {
        let epoch = &self.announcement.0.epoch;
        // The surplus of an oversubscribed pool does not take time from those who work.
        if slot < self.awake {
            let begin = Instant::now();
            loop {
                for _ in 0..128 {
                    let now = epoch.load(Ordering::Acquire);
                    if now != seen {
                        return Some(now);
                    }
                    std::hint::spin_loop();
                }
                if self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                if begin.elapsed() > self.spin {
                    break;
                }
            }
        }
        let parked = &self.workers[slot - 1].0.parked;
        loop {
            // The order matters: the caller announces and then looks at `parked`; here it is the other way round (all sequentially
            // consistent), so one of the two sees the other.
            parked.store(true, Ordering::SeqCst);
            let now = epoch.load(Ordering::SeqCst);
            let stop = self.stop.load(Ordering::SeqCst);
            if stop || now != seen {
                parked.store(false, Ordering::SeqCst);
                return (!stop).then_some(now);
            }
            std::thread::park();
        }
    }

    /// Runs the tasks of the own range, then what is left of the others'.
    fn work(&self, own: usize, epoch: u64) {
        let mut begin = None;
        let mut done = 0;
        let count = self.ranges.len();
        for step in 0..count {
            let of = if own + step < count {
                own + step
            } else {
                own + step - count
            };
            let end = if step == 0 { End::Front } else { End::Back };
            while let Some(bundle) = self.ranges[of].0.take(epoch, end) {
                if done == 0 {
                    begin = self.begin();
                }
                // SAFETY: the task that was taken is of the region that wrote the job, and the job stays as it is, and its closure
                // borrowed, until `remaining` reaches 0, which this task's end is needed for.
                let (job, run) = unsafe {
                    let job = *self.announcement.0.job.get();
                    (job, &*job.run)
                };
                let range = job.range(of, count);
                let size = job.bundle(count);
                let from = range.start + bundle * size;
                let result = catch_unwind(AssertUnwindSafe(|| {
                    for task in from..(from + size).min(range.end) {
                        run(own, task);
                    }
                }));
                if let Err(panic) = result {
                    self.panic
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(panic);
                }
                done += 1;
            }
        }
        if done > 0 {
            self.add(&self.worked, begin, 1);
            self.remaining.0.fetch_sub(done, Ordering::Release);
        }
    }

    /// Now, where it is measured.
    fn begin(&self) -> Option<Instant> {
        self.measuring.load(Ordering::Relaxed).then(Instant::now)
    }

    fn add(&self, sum: &AtomicU64, begin: Option<Instant>, times: u64) {
        if let Some(begin) = begin {
            sum.fetch_add(begin.elapsed().as_nanos() as u64 * times, Ordering::Relaxed);
        }
    }

    /// Waits until every task is done. All are taken by now; who took one may have lost its core, so after a while the caller offers its
    /// own.
    fn wait_for_the_others(&self) {
        let mut spins = 0_u32;
        while self.remaining.0.load(Ordering::Acquire) != 0 {
            spins += 1;
            if spins < 4096 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}
