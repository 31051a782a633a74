use super::*;

/// Runs regions of varying sizes and counts how often each task ran.
fn stress(pool: &Pool, rounds: usize) {
    let counts: Vec<AtomicUsize> = (0..97).map(|_| AtomicUsize::new(0)).collect();
    let mut expected = vec![0; counts.len()];
    for round in 0..rounds {
        let tasks = (round * 7919) % (counts.len() + 1);
        pool.run(tasks, &|task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
        });
        expected[..tasks].iter_mut().for_each(|count| *count += 1);
    }
    let counted: Vec<usize> = counts
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .collect();
    assert_eq!(counted, expected);
}

fn all_awake(threads: usize, spin: Duration) -> Pool {
    Pool::with_options(PoolOptions {
        threads,
        spin,
        awake: Some(threads),
    })
}

#[test]
fn every_task_runs_once() {
    for threads in [1, 2, 3, 8] {
        stress(&Pool::new(threads), 20_000);
    }
}

#[test]
fn every_task_runs_once_when_oversubscribed_workers_all_take_part() {
    stress(&all_awake(3, Duration::from_micros(20)), 3_000);
    stress(&all_awake(8, Duration::ZERO), 1_000);
}

#[test]
fn parked_workers_wake_again() {
    let pool = all_awake(2, Duration::ZERO);
    for _ in 0..50 {
        stress(&pool, 3);
        std::thread::sleep(Duration::from_micros(300));
    }
}

#[test]
fn no_two_threads_have_one_slot() {
    let pool = all_awake(3, Duration::from_millis(1));
    let inside: Vec<AtomicBool> = (0..3).map(|_| AtomicBool::new(false)).collect();
    for _ in 0..1_000 {
        pool.run_with_slot(10, &|slot, _| {
            assert!(
                !inside[slot].swap(true, Ordering::SeqCst),
                "two threads in slot {slot}"
            );
            inside[slot].store(false, Ordering::SeqCst);
        });
    }
}

#[test]
fn ranges_are_taken_from_both_ends_and_only_in_their_epoch() {
    let range = Range(AtomicU64::new(0));
    range.set(7, 3);
    assert_eq!(range.take(6, End::Front), None);
    assert_eq!(range.take(7, End::Front), Some(0));
    assert_eq!(range.take(7, End::Back), Some(2));
    assert_eq!(range.take(7, End::Front), Some(1));
    assert_eq!(range.take(7, End::Front), None);
    assert_eq!(range.take(7, End::Back), None);
    // Epochs of more than 32 bits, and as many tasks as there can be.
    let epoch = (1 << 32) + 5;
    range.set(epoch, Range::MOST);
    assert_eq!(range.take(epoch, End::Back), Some(Range::MOST - 1));
    assert_eq!(range.take(epoch, End::Front), Some(0));
    assert_eq!(range.take(epoch + 1, End::Front), None);
}

#[test]
fn who_is_done_helps_a_slow_thread() {
    let pool = all_awake(2, Duration::from_millis(1));
    // Who meets task 0 goes on only when all the others are done, some of which are of the same range: without help it never ends.
    let others = AtomicUsize::new(0);
    pool.run(8, &|task| {
        if task == 0 {
            while others.load(Ordering::Acquire) < 7 {
                std::thread::yield_now();
            }
        } else {
            others.fetch_add(1, Ordering::Release);
        }
    });
    assert_eq!(others.load(Ordering::Relaxed), 7);
}

#[test]
fn more_tasks_than_a_range_counts_run_once() {
    let pool = all_awake(2, Duration::from_millis(1));
    let tasks = 2 * Range::MOST * 3 + 17;
    let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
    pool.run(tasks, &|task| {
        counts[task].fetch_add(1, Ordering::Relaxed);
    });
    assert!(
        counts
            .iter()
            .all(|count| count.load(Ordering::Relaxed) == 1)
    );
}

#[test]
fn a_region_inside_a_task_runs_inline() {
    let pool = all_awake(3, Duration::from_millis(1));
    let count = AtomicUsize::new(0);
    pool.run(6, &|_| {
        pool.run(5, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        })
    });
    assert_eq!(count.load(Ordering::Relaxed), 30);
}

#[test]
fn several_callers_share_a_pool() {
    let pool = all_awake(2, Duration::from_millis(1));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| stress(&pool, 3_000));
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = all_awake(3, Duration::from_millis(1));
    for bad in 0..6 {
        let done = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(6, &|task| {
                if task == bad {
                    std::panic::resume_unwind(Box::new("as planned"));
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        let panic = result.expect_err("the panic is passed on");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as planned"));
        assert!(
            done.load(Ordering::Relaxed) >= 4,
            "the other slots finished"
        );
        stress(&pool, 50);
    }
}

#[test]
fn zero_threads_count_as_one() {
    let pool = Pool::new(0);
    assert_eq!(pool.threads(), 1);
    stress(&pool, 10);
}
