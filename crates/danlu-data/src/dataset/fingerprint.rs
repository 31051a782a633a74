//! What identifies data: a hash of its dtypes, shapes and bytes.

use std::fmt;

use danlu_graph::{Tensor, TensorData};
use twox_hash::XxHash3_128;

/// Identifies data, so that a split can be found again and a run can be resumed: the XXH3-128 hash of dtypes, shapes and little-endian
/// bytes. It tells data apart by accident, not against an adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// Of the bytes of a file.
    pub fn of_bytes(bytes: &[u8]) -> Fingerprint {
        Fingerprint(XxHash3_128::oneshot(bytes))
    }
}

impl fmt::Display for Fingerprint {
    /// 32 hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Fingerprint)
    }
}

pub(crate) struct FingerprintBuilder {
    hasher: XxHash3_128,
}

impl Default for FingerprintBuilder {
    fn default() -> Self {
        FingerprintBuilder {
            hasher: XxHash3_128::new(),
        }
    }
}

impl FingerprintBuilder {
    pub(crate) fn number(&mut self, number: usize) {
        self.hasher.write(&(number as u64).to_le_bytes());
    }

    pub(crate) fn fingerprint(&mut self, fingerprint: Fingerprint) {
        self.hasher.write(&fingerprint.0.to_le_bytes());
    }

    pub(crate) fn tensor(&mut self, tensor: &Tensor) {
        let dtype = tensor.dtype().name();
        self.number(dtype.len());
        self.hasher.write(dtype.as_bytes());
        self.number(tensor.shape().len());
        for &size in tensor.shape() {
            self.number(size);
        }
        match tensor.data() {
            TensorData::U8(values) => self.hasher.write(values),
            TensorData::F32(values) => self.values(values, |v| v.to_bits().to_le_bytes()),
            TensorData::BF16(values) | TensorData::F16(values) => {
                self.values(values, |v| v.to_le_bytes());
            }
            TensorData::I32(values) => self.values(values, |v| v.to_le_bytes()),
            TensorData::I64(values) => self.values(values, |v| v.to_le_bytes()),
            TensorData::I8(values) => self.values(values, |v| v.to_le_bytes()),
            TensorData::Bool(values) => self.values(values, |v| [u8::from(v)]),
        }
    }

    pub(crate) fn finish(self) -> Fingerprint {
        Fingerprint(self.hasher.finish_128())
    }

    /// Hashes the elements by way of a small buffer.
    fn values<T: Copy, const SIZE: usize>(
        &mut self,
        values: &[T],
        bytes: impl Fn(T) -> [u8; SIZE],
    ) {
        let mut buffer = [0u8; 4096];
        for chunk in values.chunks(buffer.len() / SIZE) {
            for (slot, &value) in buffer.chunks_exact_mut(SIZE).zip(chunk) {
                slot.copy_from_slice(&bytes(value));
            }
            self.hasher.write(&buffer[..chunk.len() * SIZE]);
        }
    }
}
