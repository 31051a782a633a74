//! Conversions between dtypes, over raw bytes.

use danlu_graph::DType;

use super::comparison::Vectorized;
use crate::simd::Isa;

/// Converts elements of dtype `from` in `source` to dtype `to` in `destination`.
///
/// Floats become integers towards zero, saturating, NaN 0, as Rust's `as` does; integers become narrower integers by dropping
/// bits; to bool is `!= 0`; to f32, bf16 and f16 rounds to nearest, ties to even (from i64 to bf16 and f16 through f32).
///
/// # Panics
/// If the two slices are not whole numbers of elements, or not equally many.
pub fn cast(isa: Isa, from: DType, source: &[u8], to: DType, destination: &mut [u8]) {
    assert_eq!(source.len() % from.size(), 0, "whole elements");
    assert_eq!(destination.len() % to.size(), 0, "whole elements");
    let length = source.len() / from.size();
    assert_eq!(
        length,
        destination.len() / to.size(),
        "equally many elements"
    );
    if from == to && from != DType::Bool {
        destination.copy_from_slice(source);
        return;
    }
    match from {
        DType::F32 => cast_from::<f32>(isa, source, to, destination),
        DType::BF16 => cast_from::<Bf16>(isa, source, to, destination),
        DType::F16 => cast_from::<F16>(isa, source, to, destination),
        DType::I32 => cast_from::<i32>(isa, source, to, destination),
        DType::I64 => cast_from::<i64>(isa, source, to, destination),
        DType::U8 => cast_from::<u8>(isa, source, to, destination),
        DType::I8 => cast_from::<i8>(isa, source, to, destination),
        DType::Bool => cast_from::<Bool>(isa, source, to, destination),
    }
}

fn cast_from<A: Element>(isa: Isa, source: &[u8], to: DType, destination: &mut [u8]) {
    match to {
        DType::F32 => cast_between::<A, f32>(isa, source, destination),
        DType::BF16 => cast_between::<A, Bf16>(isa, source, destination),
        DType::F16 => cast_between::<A, F16>(isa, source, destination),
        DType::I32 => cast_between::<A, i32>(isa, source, destination),
        DType::I64 => cast_between::<A, i64>(isa, source, destination),
        DType::U8 => cast_between::<A, u8>(isa, source, destination),
        DType::I8 => cast_between::<A, i8>(isa, source, destination),
        DType::Bool => cast_between::<A, Bool>(isa, source, destination),
    }
}

fn cast_between<A: Element, B: Element>(isa: Isa, source: &[u8], destination: &mut [u8]) {
    let sources = source.chunks_exact(A::SIZE);
    let destinations = destination.chunks_exact_mut(B::SIZE);
    isa.dispatch(Vectorized(
        #[inline(always)]
        || {
            for (destination, source) in destinations.zip(sources) {
                let element = A::read(source);
                let converted = if A::IS_FLOAT {
                    B::from_f32(element.to_f32())
                } else {
                    B::from_i64(element.to_i64())
                };
                converted.write(destination);
            }
        },
    ));
}

/// An element of a dtype; floats go through f32, the others through i64.
trait Element: Copy {
    const SIZE: usize = size_of::<Self>();
    const IS_FLOAT: bool = false;
    fn read(bytes: &[u8]) -> Self;
    fn write(self, bytes: &mut [u8]);
    fn to_f32(self) -> f32;
    fn to_i64(self) -> i64;
    fn from_f32(value: f32) -> Self;
    fn from_i64(value: i64) -> Self;
}

macro_rules! read_and_write {
    ($name:ident) => {
        #[inline(always)]
        fn read(bytes: &[u8]) -> Self {
            let mut array = [0; size_of::<Self>()];
            array.copy_from_slice(bytes);
            $name::from_ne_bytes(array)
        }
        #[inline(always)]
        fn write(self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.to_ne_bytes());
        }
    };
}

macro_rules! number {
    ($($name:ident $is_float:literal)*) => {$(
        impl Element for $name {
            const IS_FLOAT: bool = $is_float;
            read_and_write!($name);
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn from_f32(value: f32) -> Self {
                value as $name
            }
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                value as $name
            }
        }
    )*};
}

number!(f32 true i32 false i64 false u8 false i8 false);

/// A truth value: any byte but 0 is true.
#[derive(Clone, Copy)]
struct Bool(u8);

impl Bool {
    #[inline(always)]
    fn from_ne_bytes(bytes: [u8; 1]) -> Self {
        Bool(bytes[0])
    }
    #[inline(always)]
    fn to_ne_bytes(self) -> [u8; 1] {
        [self.0]
    }
}

impl Element for Bool {
    read_and_write!(Bool);
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self.0 != 0))
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        i64::from(self.0 != 0)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Bool(u8::from(value != 0.0))
    }
    #[inline(always)]
    fn from_i64(value: i64) -> Self {
        Bool(u8::from(value != 0))
    }
}

macro_rules! half {
    ($name:ident $from:ident $to:ident) => {
        #[derive(Clone, Copy)]
        struct $name(u16);

        impl $name {
            #[inline(always)]
            fn from_ne_bytes(bytes: [u8; 2]) -> Self {
                $name(u16::from_ne_bytes(bytes))
            }
            #[inline(always)]
            fn to_ne_bytes(self) -> [u8; 2] {
                self.0.to_ne_bytes()
            }
        }

        impl Element for $name {
            const IS_FLOAT: bool = true;
            read_and_write!($name);
            #[inline(always)]
            fn to_f32(self) -> f32 {
                $from(self.0)
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self.to_f32() as i64
            }
            #[inline(always)]
            fn from_f32(value: f32) -> Self {
                $name($to(value))
            }
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                $name($to(value as f32))
            }
        }
    };
}

half!(Bf16 bf16_to_f32 f32_to_bf16);
half!(F16 f16_to_f32 f32_to_f16);

#[inline(always)]
fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[inline(always)]
fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    // Rounding could carry a NaN's payload into infinity: keep it and make it quiet.
    let quiet = bits | 0x0040_0000;
    ((if value.is_nan() { quiet } else { rounded }) >> 16) as u16
}

#[inline(always)]
fn f16_to_f32(bits: u16) -> f32 {
    // Exponent and fraction in place, then the difference of the biases (112) as a multiplication, which also makes denormals
    // normal: Fabian Giesen, "Half to float done quick".
    let size = f32::from_bits(u32::from(bits & 0x7fff) << 13);
    let scaled = (size * f32::from_bits((254 - 15) << 23)).to_bits();
    let special = u32::from((bits & 0x7c00) == 0x7c00) * 0x7f80_0000;
    f32::from_bits(scaled | special | (u32::from(bits & 0x8000) << 16))
}

#[inline(always)]
fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let size = bits & 0x7fff_ffff;
    // Normal results: rebias the exponent and round the 13 bits that go, ties to even; the carry may reach infinity.
    let normal = size
        .wrapping_sub(112 << 23)
        .wrapping_add(0xfff + ((size >> 13) & 1))
        >> 13;
    // Denormal results: adding 1/2 puts the unit of the sum's last place at 2^-24, that of denormals; the processor rounds.
    let denormal = (f32::from_bits(size) + 0.5)
        .to_bits()
        .wrapping_sub(0.5_f32.to_bits());
    // 65520 and above round to infinity.
    let infinity = 0x7c00;
    let nan = 0x7e00 | ((size >> 13) & 0x3ff);
    let result = if size < 113 << 23 { denormal } else { normal };
    let result = if size >= 0x477f_f000 {
        infinity
    } else {
        result
    };
    let result = if size > 0x7f80_0000 { nan } else { result };
    (sign | result) as u16
}
