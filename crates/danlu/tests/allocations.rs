//! A training step allocates nothing, on any thread, from the third step of an epoch to its last.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use danlu::optimizers::schedules::{CosineDecay, Warmup};
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
    /// A step of the first epoch in which something is allocated, by a thread of its own.
    disturbed: Option<usize>,
}

impl Callback for Watch {
    fn watches_batches(&self) -> bool {
        true
    }
    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> danlu::Result<Control> {
        let calls = CALLS.load(Ordering::Relaxed);
        if step.phase == danlu::training::Phase::Training {
            self.calls.push((step.epoch, step.step, calls));
            // What comes after the count of a step belongs to the next.
            if step.epoch == 0 && Some(step.step + 1) == self.disturbed {
                let other = std::thread::spawn(|| std::hint::black_box(vec![1_u8; 10]));
                other.join().unwrap();
            }
        }
        Ok(Control::Continue)
    }
}

/// The epochs and steps, from the third of an epoch, in which anything was allocated.
fn steps_that_allocate(
    model: &mut Sequential,
    data: ArrayDataset,
    disturbed: Option<usize>,
) -> Vec<(usize, usize)> {
    let mut watch = Watch {
        calls: Vec::with_capacity(200),
        disturbed,
    };
    let options = FitOptions::new()
        .epochs(2)
        .batch_size(8)
        .verbose(false)
        .callback(&mut watch);
    model.fit(data, options).unwrap();
    let calls = watch.calls;
    assert_eq!(calls.len(), 102);
    let pairs = calls.windows(2);
    pairs
        .filter(|pair| pair[0].0 == pair[1].0 && pair[1].1 >= 3 && pair[0].2 != pair[1].2)
        .map(|pair| (pair[1].0, pair[1].1))
        .collect()
}

/// One test: allocations are counted for the whole process.
#[test]
fn steps_allocate_nothing() {
    a_step_allocates_nothing();
    a_step_of_a_table_allocates_nothing();
}

fn a_step_allocates_nothing() {
    let mut model = Sequential::new();
    model.add(Input::new([12, 12, 1]));
    model.add(Conv2D::new(4, [3, 3]).activation("relu"));
    model.add(MaxPooling2D::new([2, 2]));
    model.add(Flatten::new());
    model.add(Dropout::new(0.25));
    model.add(Dense::new(16).activation("relu"));
    model.add(Dense::new(10).activation("softmax"));
    let metrics = ["accuracy", "sparse_top_k_categorical_accuracy"]
        .map(|name| Metric::from_name(name).unwrap());
    let metrics: Vec<Metric> = metrics
        .into_iter()
        .chain([
            Metric::new(danlu::metrics::MeanIoU::new(10).sparse_y_pred(false)),
            Metric::custom("largest", |_, y_pred| y_pred.max(&[-1], false)),
        ])
        .collect();
    model
        .compile(
            Adam::default(),
            "sparse_categorical_crossentropy",
            metrics.clone(),
        )
        .unwrap();
    let x: Vec<u8> = (0..408 * 144).map(|i| (i * 7919 % 251) as u8).collect();
    let y: Vec<u8> = (0..408).map(|i| (i * 31 % 10) as u8).collect();
    let x = Tensor::from_u8(&[408, 12, 12, 1], x).unwrap();
    let y = Tensor::from_u8(&[408], y).unwrap();
    let data = ArrayDataset::new(x, y)
        .unwrap()
        .with_pixel_scale(1.0 / 255.0);
    let none: [(usize, usize); 0] = [];
    assert_eq!(steps_that_allocate(&mut model, data.clone(), None), none);
    // That this would be seen.
    assert_eq!(
        steps_that_allocate(&mut model, data.clone(), Some(20)),
        [(0, 20)]
    );
    // A schedule is part of the step, as are averages and gradients that wait.
    let decay = CosineDecay::new(1e-3, 500.0);
    let optimizer = Nadam::new(Warmup::new(decay, 20.0))
        .use_ema(true)
        .gradient_accumulation_steps(2)
        .weight_decay(1e-4);
    model
        .compile(optimizer, "sparse_categorical_crossentropy", metrics)
        .unwrap();
    assert_eq!(steps_that_allocate(&mut model, data, None), none);
}

fn a_step_of_a_table_allocates_nothing() {
    let mut model = Sequential::new();
    model.add(Input::new([5]));
    model.add(Embedding::new(50, 4));
    model.add(Flatten::new());
    model.add(Dense::new(1));
    let x = (0..408 * 5).map(|i| (i * 7919 % 50) as f32).collect();
    let y = (0..408).map(|i| (i * 31 % 10) as f32).collect();
    let x = Tensor::from_f32(&[408, 5], x).unwrap();
    let y = Tensor::from_f32(&[408, 1], y).unwrap();
    let data = ArrayDataset::new(x, y).unwrap();
    for optimizer in ["sgd", "sparse_adam"] {
        let metrics = Vec::<&str>::new();
        model.compile(optimizer, "mse", metrics).unwrap();
        assert_eq!(steps_that_allocate(&mut model, data.clone(), None), []);
    }
}
