//! What is written is read, and what is made to hurt is refused.

use danlu_graph::{Tensor, TensorData};

use super::checksum::checksum;
use super::{Attribute, Group, Reader, Source, write};

/// Bytes of a reference to a text.
const REFERENCE: usize = 16;

#[test]
fn what_is_written_is_read() {
    let shape = [2, 3];
    let tensors = [
        Tensor::from_f32(&shape, vec![0.0, -1.5, f32::MAX, 3.0, 4.0, 5.0]).unwrap(),
        Tensor::new(&shape, TensorData::F16(vec![1, 2, 3, 4, 5, 6])).unwrap(),
        Tensor::new(&shape, TensorData::BF16(vec![1, 2, 3, 4, 5, 6])).unwrap(),
        Tensor::from_i32(&shape, vec![1, -2, 3, -4, 5, i32::MIN]).unwrap(),
        Tensor::from_i64(&shape, vec![1, -2, 3, -4, 5, i64::MIN]).unwrap(),
        Tensor::from_u8(&shape, vec![0, 1, 2, 3, 4, 255]).unwrap(),
        Tensor::from_i8(&shape, vec![0, 1, 2, 3, 4, -128]).unwrap(),
        Tensor::from_bool(&shape, vec![true, false, true, true, false, false]).unwrap(),
        Tensor::scalar(0.5),
        Tensor::from_f32(&[0, 4], Vec::new()).unwrap(),
    ];
    let mut root = Group::default();
    root.attribute("empty", Attribute::Text(String::new()));
    root.attribute("long", Attribute::Text("丹炉".repeat(50_000)));
    let names: Vec<String> = (0..9000).map(|index| format!("name {index}")).collect();
    root.attribute("names", Attribute::Texts(names.clone()));
    root.attribute("none", Attribute::Texts(Vec::new()));
    for (index, tensor) in tensors.iter().enumerate() {
        root.array(&format!("a/b{index}/c"), tensor).unwrap();
    }
    assert!(root.array("a/b1/c", &tensors[0]).is_err());
    assert!(root.array("a/b1/c/d", &tensors[0]).is_err());
    let bytes = write(&root).unwrap();
    assert_eq!(bytes, write(&root).unwrap());

    let reader = Reader::open(Source::Bytes(bytes)).unwrap();
    let root = reader.root().unwrap();
    assert_eq!(root.text("empty").unwrap().unwrap(), "");
    assert_eq!(root.text("long").unwrap().unwrap().len(), 300_000);
    assert_eq!(root.texts("names").unwrap().unwrap(), names);
    assert!(root.texts("none").unwrap().unwrap().is_empty());
    assert_eq!(root.texts("nothing").unwrap(), None);
    assert_eq!(root.names().unwrap(), ["a"]);
    for (index, tensor) in tensors.iter().enumerate() {
        let found = root.find(&format!("a/b{index}/c")).unwrap().unwrap();
        assert_eq!(&found.tensor().unwrap(), tensor);
    }
    assert!(root.find("a/c").unwrap().is_none());
    assert!(root.find("a/b0/c/d").is_err());
}

/// A hundred bytes for each text that is the same megabyte again: what lets a library allocate gigabytes.
#[test]
fn texts_that_multiply_are_refused() {
    let mut texts = vec![String::from("y"); 4000];
    texts[0] = "x".repeat(1 << 20);
    let mut root = Group::default();
    root.attribute("names", Attribute::Texts(texts));
    let mut bytes = write(&root).unwrap();
    // The root's header is the last thing in the file, and its references are the last thing in it.
    let header = bytes
        .windows(4)
        .rposition(|window| window == b"OHDR")
        .unwrap();
    let end = bytes.len() - 4;
    let references = end - 4000 * REFERENCE;
    let first: Vec<u8> = bytes[references..references + REFERENCE].to_vec();
    for reference in bytes[references..end].chunks_exact_mut(REFERENCE) {
        reference.copy_from_slice(&first);
    }
    let sum = checksum(&bytes[header..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
    let reader = Reader::open(Source::Bytes(bytes)).unwrap();
    let error = reader.root().unwrap().texts("names").unwrap_err();
    assert!(error.to_string().contains("over and over"), "{error}");
}
