//! A training step allocates nothing, on any thread, from the third step of an epoch to its last.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use danlu::prelude::*;
use danlu::training::StepLogs;

struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is an atomic number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Of every step, how many calls there had been when it ended.
struct Watch {
    calls: Vec<(usize, usize, u64)>,
}

impl Observer for Watch {
    fn on_batch_end(&mut self, step: &StepLogs<'_>) -> Control {
        let calls = CALLS.load(Ordering::Relaxed);
        if step.phase == danlu::training::Phase::Training {
            self.calls.push((step.epoch, step.step, calls));
        }
        Control::Continue
    }
}

#[test]
fn a_step_allocates_nothing() {
    let mut model = Sequential::new();
    model.add(Input::new([12, 12, 1]));
    model.add(Conv2D::new(4, [3, 3]).activation("relu"));
    model.add(MaxPooling2D::new([2, 2]));
    model.add(Flatten::new());
    model.add(Dropout::new(0.25));
    model.add(Dense::new(16).activation("relu"));
    model.add(Dense::new(10).activation("softmax"));
    let metrics = ["accuracy"];
    model
        .compile(Adam::default(), "sparse_categorical_crossentropy", metrics)
        .unwrap();
    let x: Vec<u8> = (0..408 * 144).map(|i| (i * 7919 % 251) as u8).collect();
    let y: Vec<u8> = (0..408).map(|i| (i * 31 % 10) as u8).collect();
    let x = Tensor::from_u8(&[408, 12, 12, 1], x).unwrap();
    let y = Tensor::from_u8(&[408], y).unwrap();
    let data = ArrayDataset::new(x, y)
        .unwrap()
        .with_pixel_scale(1.0 / 255.0);
    let mut watch = Watch {
        calls: Vec::with_capacity(200),
    };
    let options = FitOptions::new()
        .epochs(2)
        .batch_size(8)
        .observer(&mut watch);
    model.fit(data, options).unwrap();
    for pair in watch.calls.windows(2) {
        let [(epoch, _, before), (same_epoch, step, after)] = pair else {
            continue;
        };
        if epoch == same_epoch && *step >= 3 {
            assert_eq!(
                after - before,
                0,
                "allocations in epoch {epoch}, step {step}"
            );
        }
    }
}
