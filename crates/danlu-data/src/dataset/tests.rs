use std::sync::Arc;

use danlu_graph::TensorData;

use super::*;
use crate::Batches;

/// Five pictures of two bytes, 10 i and 10 i + 1, with the labels 0, 1, 2, 0, 1.
fn pictures() -> ArrayDataset {
    let pixels = (0..5u8).flat_map(|i| [10 * i, 10 * i + 1]).collect();
    let images = Tensor::from_u8(&[5, 2], pixels).unwrap();
    ArrayDataset::new(images, Tensor::from_u8(&[5], vec![0, 1, 2, 0, 1]).unwrap()).unwrap()
}

fn batch_of(dataset: &dyn Dataset, indices: &[usize]) -> Batch {
    let mut batch = Batch::default();
    dataset.get(indices, &mut batch).unwrap();
    batch
}

#[test]
fn bytes_are_scaled_and_labels_stay_whole_numbers() {
    let dataset = pictures().with_pixel_scale(0.5);
    let batch = batch_of(&dataset, &[4, 0, 4]);
    assert_eq!(batch.len(), 3);
    assert_eq!(
        batch.features[0].as_f32().unwrap(),
        [20.0, 20.5, 0.0, 0.5, 20.0, 20.5]
    );
    assert_eq!(batch.targets[0].as_i32().unwrap(), [1, 0, 1]);
    assert_eq!(dataset.specification().classes, Some(3));
    assert!(dataset.specification().features[0].pixels);
    assert!(matches!(
        dataset.get(&[5], &mut Batch::default()),
        Err(Error::Index {
            index: 5,
            length: 5
        })
    ));
}

#[test]
fn every_dtype_goes_into_a_batch_as_it_is() {
    for (data, target) in [
        (TensorData::F32(vec![1.0, 0.0]), DType::F32),
        (TensorData::F16(vec![0x3c00, 0]), DType::F32),
        (TensorData::BF16(vec![0x3f80, 0]), DType::F32),
        (TensorData::I32(vec![1, 0]), DType::I32),
        (TensorData::I64(vec![1, 0]), DType::I64),
        (TensorData::U8(vec![1, 0]), DType::I32),
        (TensorData::I8(vec![1, 0]), DType::I32),
        (TensorData::Bool(vec![true, false]), DType::I32),
    ] {
        let tensor = Arc::new(Tensor::new(&[2, 1], data).unwrap());
        let dataset = ArrayDataset::new(tensor.clone(), tensor).unwrap();
        let batch = batch_of(&dataset, &[1, 0]);
        assert_eq!(batch.features[0].as_f32().unwrap(), [0.0, 1.0]);
        assert_eq!(batch.targets[0].dtype(), target);
        assert_eq!(batch.targets[0].to_f64(), [0.0, 1.0]);
    }
}

#[test]
fn a_batch_changes_its_size_and_its_dataset() {
    let dataset = pictures();
    let mut batch = batch_of(&dataset, &[0, 1, 2]);
    dataset.get(&[3], &mut batch).unwrap();
    assert_eq!(batch, batch_of(&dataset, &[3]));
    dataset.get(&[1, 2, 3, 4], &mut batch).unwrap();
    assert_eq!(batch, batch_of(&dataset, &[1, 2, 3, 4]));
    let floats = Tensor::from_f32(&[1], vec![2.5]).unwrap();
    let other = ArrayDataset::new(floats.clone(), floats.clone()).unwrap();
    let other = other.with_weights(floats).unwrap();
    other.get(&[0], &mut batch).unwrap();
    assert_eq!(batch, batch_of(&other, &[0]));
    assert_eq!(batch.weights.unwrap().as_f32().unwrap(), [2.5]);
}

#[test]
fn arrays_must_have_as_many_examples() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32).unwrap();
    let error = ArrayDataset::new(zeros(&[3, 2]), zeros(&[4]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("as in `x`, 3, received 4"), "{error}");
    assert!(ArrayDataset::new(zeros(&[]), zeros(&[])).is_err());
    assert!(pictures().with_weights(zeros(&[4])).is_err());
}

#[test]
fn grey_pictures_lose_or_gain_an_axis_of_one_without_copying() {
    let dataset = pictures().with_example_shape(&[1, 2, 1]).unwrap();
    assert_eq!(batch_of(&dataset, &[0]).features[0].shape(), [1, 1, 2, 1]);
    let error = dataset.with_example_shape(&[3]).unwrap_err().to_string();
    assert!(
        error.contains("expected one input of shape [3], received `x` of shape [1, 2, 1]"),
        "{error}"
    );
}

#[test]
fn a_split_is_keras_split() {
    let dataset: Arc<dyn Dataset> = Arc::new(pictures());
    // floor(5 * 0.7) = 3
    let (train, validation) = validation_split(dataset.clone(), 0.3).unwrap();
    assert_eq!((train.len(), validation.len()), (3, 2));
    assert_eq!(validation.original(0), Some(3));
    assert_eq!(batch_of(&validation, &[1, 0]), batch_of(&*dataset, &[4, 3]));
    for fraction in [0.0, 1.0, -0.1, f64::NAN, 0.9] {
        assert!(
            validation_split(dataset.clone(), fraction).is_err(),
            "{fraction}"
        );
    }
    let list = Subset::list(Arc::new(validation), vec![1, 1]).unwrap();
    assert_eq!(batch_of(&list, &[0, 1]), batch_of(&*dataset, &[4, 4]));
    assert!(list.get(&[2], &mut Batch::default()).is_err());
    assert!(Subset::range(dataset.clone(), 3..6).is_err());
    assert!(Subset::list(dataset, vec![5]).is_err());
}

#[test]
fn a_label_that_is_no_class_is_named() {
    let dataset = pictures();
    check_labels(&dataset, 3).unwrap();
    let error = check_labels(&dataset, 2).unwrap_err().to_string();
    assert!(
        error.contains("example 2 has the label 2, but the labels of 2 classes are 0 to 1"),
        "{error}"
    );
    for bad in [
        TensorData::F32(vec![1.0, 0.5]),
        TensorData::F32(vec![1.0, f32::NAN]),
        TensorData::I32(vec![1, -1]),
        TensorData::I64(vec![1, i64::MIN]),
        TensorData::U8(vec![1, 255]),
    ] {
        let labels = Tensor::new(&[2, 1], bad).unwrap();
        let dataset = ArrayDataset::new(Tensor::zeros(&[2], DType::U8).unwrap(), labels).unwrap();
        let error = check_labels(&dataset, 2).unwrap_err();
        assert!(matches!(error, Error::Label { example: 1, .. }), "{error}");
    }
    let (_, part) = validation_split(Arc::new(dataset), 0.7).unwrap();
    assert!(matches!(
        check_labels(&part, 2),
        Err(Error::Label { example: 1, .. })
    ));
}

#[test]
fn batches_cover_the_dataset_in_order_or_shuffled() {
    let dataset: Arc<dyn Dataset> = Arc::new(pictures());
    let collect = |batches: &mut Batches| {
        let (mut batch, mut sizes, mut firsts) = (Batch::default(), Vec::new(), Vec::new());
        while batches.next_batch(&mut batch).unwrap() {
            sizes.push(batch.len());
            firsts.extend(batch.features[0].to_f64().chunks(2).map(|row| row[0]));
        }
        (sizes, firsts)
    };
    let mut plain = Batches::new(dataset.clone(), 2, None).unwrap();
    let in_order = vec![0.0, 10.0, 20.0, 30.0, 40.0];
    assert_eq!(collect(&mut plain), (vec![2, 2, 1], in_order.clone()));
    assert_eq!(plain.batches_per_pass(), Some(3));
    plain.reset().unwrap();
    assert_eq!(collect(&mut plain).1, in_order);

    let mut shuffled = Batches::new(dataset.clone(), 4, Some(3)).unwrap();
    let (_, first) = collect(&mut shuffled);
    shuffled.reset().unwrap();
    let (_, second) = collect(&mut shuffled);
    assert_ne!(first, second);
    let mut again = Batches::new(dataset.clone(), 1, Some(3)).unwrap();
    again.start_pass(1);
    assert_eq!(collect(&mut again).1, second);
    let mut sorted = first;
    sorted.sort_by(f64::total_cmp);
    assert_eq!(sorted, in_order);
    assert!(Batches::new(dataset, 0, None).is_err());
}

#[test]
fn batches_of_an_iterator_are_checked() {
    let dataset = Arc::new(pictures());
    let specification = dataset.specification().clone();
    let make = {
        let dataset = dataset.clone();
        move || {
            let dataset = dataset.clone();
            (0..2).map(move |i| Ok(batch_of(&*dataset, &[i, i + 1])))
        }
    };
    let mut source = IteratorSource::new(specification.clone(), make.clone());
    let mut batch = Batch::default();
    for _ in 0..2 {
        assert!(source.next_batch(&mut batch).unwrap());
        assert!(source.next_batch(&mut batch).unwrap());
        assert_eq!(batch, batch_of(&*dataset, &[1, 2]));
        assert!(!source.next_batch(&mut batch).unwrap());
        source.reset().unwrap();
    }
    let mut once = IteratorSource::once(specification.clone(), make());
    assert!(once.next_batch(&mut batch).unwrap());
    assert!(
        once.reset()
            .unwrap_err()
            .to_string()
            .contains("steps_per_epoch")
    );

    let empty = IteratorSource::once(specification.clone(), [Ok(Batch::default())].into_iter());
    let mut narrow = batch_of(&*dataset, &[0]);
    narrow.features[0] = Tensor::zeros(&[1, 3], DType::F32).unwrap();
    let narrow = IteratorSource::once(specification.clone(), [Ok(narrow)].into_iter());
    let mut heavy = batch_of(&*dataset, &[0]);
    heavy.weights = Some(Tensor::zeros(&[1], DType::F32).unwrap());
    let heavy = IteratorSource::once(specification.clone(), [Ok(heavy)].into_iter());
    let own: Box<dyn std::error::Error + Send + Sync> = "my own error".into();
    let own = IteratorSource::once(specification, [Err(own.into())].into_iter());
    for (mut source, expected) in [
        (empty, "holds no example"),
        (narrow, "float32 of shape [1, 3]"),
        (heavy, "weights: expected none"),
        (own, "my own error"),
    ] {
        let error = source.next_batch(&mut batch).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
