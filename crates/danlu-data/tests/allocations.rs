//! Gathering batches allocates nothing once the batch has its size.

mod memory;

use std::sync::Arc;

use danlu_data::{ArrayDataset, Batch, BatchSource, Batches, Dataset, validation_split};
use danlu_graph::{DType, Tensor};

#[test]
fn nothing_is_allocated_from_the_second_batch_on() {
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype).unwrap();
    let dataset = ArrayDataset::new(
        zeros(&[1000, 28, 28, 1], DType::U8),
        zeros(&[1000], DType::U8),
    );
    let dataset = dataset
        .unwrap()
        .with_weights(zeros(&[1000], DType::F32))
        .unwrap();
    let (train, _) = validation_split(Arc::new(dataset), 0.2).unwrap();
    let train: Arc<dyn Dataset> = Arc::new(train);
    let mut batches = Batches::new(train.clone(), 32, Some(1)).unwrap();
    let mut batch = Batch::default();
    assert!(batches.next_batch(&mut batch).unwrap());
    // Three passes of 25 whole batches, shuffled anew between them.
    let (count, calls, _) = memory::measured(|| {
        let mut count = 0;
        for _ in 0..3 {
            while batches.next_batch(&mut batch).unwrap() {
                count += 1;
            }
            batches.reset().unwrap();
        }
        count
    });
    assert_eq!((count, calls), (74, 0));

    // Another size costs no more than the new shapes.
    let (result, _, bytes) = memory::measured(|| train.get(&[1, 2, 3], &mut batch));
    result.unwrap();
    assert!(bytes < 1000, "{bytes}");
}
