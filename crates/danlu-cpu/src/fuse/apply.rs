//! One vector operation of a tape on one tile: from dtypes at run time to typed kernels.

use danlu_graph::DType;
use danlu_graph::operations::{BinaryKind, CompareKind, UnaryKind};

use crate::kernels::pooling::{Pool2d, spread_elements};
use crate::kernels::vector::{self, Affine, Chain, Integer, MOST_OPERANDS, Operand, Period};
use crate::simd::Isa;

/// What is computed element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Unary(UnaryKind),
    Binary(BinaryKind),
    Compare(CompareKind),
    Select,
    Cast,
    Copy,
    /// Vectors first, then what is one element for all.
    Chain(Chain),
    /// Every operand is a vector.
    Affine(Affine),
    /// The gradient of a max-pooling: of the places of the largest elements, and what is spread.
    Spread(Pool2d),
}

/// Operands and destination of one operation on one tile.
pub(crate) struct Operands {
    pub pointers: [*const u8; MOST_OPERANDS],
    /// Which operands are one element for all.
    pub scalars: [bool; MOST_OPERANDS],
    /// That the second operand of a chain repeats.
    pub period: Option<Period>,
    /// Which element of the whole result is the first.
    pub position: usize,
    pub operand: DType,
    pub result: DType,
    pub destination: *mut u8,
    /// Elements.
    pub length: usize,
}

impl Operands {
    /// # Safety
    /// The operand of this slot holds `length` elements of `T`, or one.
    unsafe fn get<T: Copy>(&self, slot: usize) -> Operand<'_, T> {
        let pointer = self.pointers[slot].cast::<T>();
        if self.scalars[slot] {
            // SAFETY: the operand holds one element.
            Operand::Scalar(unsafe { *pointer })
        } else {
            // SAFETY: the operand holds `length` elements.
            Operand::Vector(unsafe { std::slice::from_raw_parts(pointer, self.length) })
        }
    }

    /// # Safety
    /// The destination has room for `length` elements of `T` and is no operand.
    #[expect(
        clippy::mut_from_ref,
        reason = "the destination is no operand, and taken once"
    )]
    unsafe fn destination<T>(&self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.destination.cast(), self.length) }
    }

    /// Calls `body` with the operand of this slot as a slice; one element for all is repeated first.
    ///
    /// # Safety
    /// As [`get`](Self::get).
    #[inline(always)]
    unsafe fn with_vector<T: Copy>(&self, slot: usize, body: impl Fn(&[T])) {
        // SAFETY: as this function's.
        match unsafe { self.get::<T>(slot) } {
            Operand::Vector(values) => body(values),
            Operand::Scalar(value) => body(&[value; LONGEST][..self.length]),
        }
    }
}

/// Longest tile that may come; a single element repeated needs this much room.
const LONGEST: usize = 1024;

/// Runs one operation.
///
/// # Safety
/// Operands and destination hold what [`Operands`] says, and the destination overlaps no operand; that of a chain may be one.
pub(crate) unsafe fn apply(isa: Isa, function: Function, operands: &Operands) {
    // SAFETY (of every block below): the caller's promise, with the types that the dtypes stand for.
    match function {
        Function::Chain(chain) => unsafe {
            vector::chain(
                isa,
                chain,
                operands.pointers.map(<*const u8>::cast),
                operands.period,
                operands.destination.cast(),
                operands.length,
            );
        },
        Function::Affine(function) => unsafe {
            vector::affine(
                isa,
                function,
                operands.pointers.map(<*const u8>::cast),
                operands.destination.cast(),
                operands.length,
            );
        },
        Function::Spread(pool) => unsafe {
            let [places, gradient, ..] = operands.pointers;
            let range = operands.position..operands.position + operands.length;
            let destination = operands.destination.cast();
            spread_elements(isa, &pool, gradient.cast(), places, range, destination);
        },
        Function::Copy => unsafe { copy(operands) },
        Function::Cast => unsafe { cast(isa, operands) },
        Function::Select => unsafe { select(isa, operands) },
        Function::Compare(kind) => unsafe { compare(isa, kind, operands) },
        Function::Unary(kind) => match operands.operand {
            DType::F32 => unsafe { unary_float(isa, kind, operands) },
            DType::I32 => unsafe { unary_integer::<i32>(isa, kind, operands) },
            DType::I64 => unsafe { unary_integer::<i64>(isa, kind, operands) },
            DType::I8 => unsafe { unary_integer::<i8>(isa, kind, operands) },
            DType::U8 => unsafe { unary_integer::<u8>(isa, kind, operands) },
            _ => unsafe {
                operands.with_vector(0, |source| vector::not(isa, source, operands.destination()));
            },
        },
        Function::Binary(kind) => match operands.operand {
            DType::F32 => unsafe {
                vector::binary(
                    isa,
                    kind,
                    operands.get(0),
                    operands.get(1),
                    operands.destination(),
                );
            },
            DType::I32 => unsafe { binary_integer::<i32>(isa, kind, operands) },
            DType::I64 => unsafe { binary_integer::<i64>(isa, kind, operands) },
            DType::I8 => unsafe { binary_integer::<i8>(isa, kind, operands) },
            _ => unsafe { binary_integer::<u8>(isa, kind, operands) },
        },
    }
}

unsafe fn copy(operands: &Operands) {
    // SAFETY: the caller's promise; a copy is the same for all types of a size.
    unsafe {
        match operands.result.size() {
            1 => copy_as::<u8>(operands),
            2 => copy_as::<u16>(operands),
            4 => copy_as::<u32>(operands),
            _ => copy_as::<u64>(operands),
        }
    }
}

unsafe fn copy_as<T: Copy>(operands: &Operands) {
    // SAFETY: the caller's promise.
    unsafe {
        match operands.get::<T>(0) {
            Operand::Vector(values) => operands.destination().copy_from_slice(values),
            Operand::Scalar(value) => operands.destination().fill(value),
        }
    }
}

unsafe fn cast(isa: Isa, operands: &Operands) {
    let (from, to) = (operands.operand, operands.result);
    let bytes = operands.length * from.size();
    let mut source = operands.pointers[0];
    let mut room;
    if operands.scalars[0] {
        room = [0u64; LONGEST];
        let repeated = room.as_mut_ptr().cast::<u8>();
        for index in 0..operands.length {
            // SAFETY: the room holds the longest tile of the widest dtype.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    source,
                    repeated.add(index * from.size()),
                    from.size(),
                )
            };
        }
        source = repeated;
    }
    // SAFETY: the source has `bytes` bytes, the destination those of as many elements of the other dtype.
    unsafe {
        let source = std::slice::from_raw_parts(source, bytes);
        let destination =
            std::slice::from_raw_parts_mut(operands.destination, operands.length * to.size());
        vector::cast(isa, from, source, to, destination);
    }
}

unsafe fn select(isa: Isa, operands: &Operands) {
    // SAFETY: the caller's promise; a choice is the same for all types of a size.
    unsafe {
        match operands.operand {
            DType::F32 => select_as::<f32>(isa, operands),
            other => match other.size() {
                1 => select_as::<u8>(isa, operands),
                2 => select_as::<u16>(isa, operands),
                4 => select_as::<u32>(isa, operands),
                _ => select_as::<u64>(isa, operands),
            },
        }
    }
}

unsafe fn select_as<T: Copy>(isa: Isa, operands: &Operands) {
    // SAFETY: the caller's promise.
    unsafe {
        operands.with_vector(0, |condition| {
            vector::select::<T>(
                isa,
                condition,
                operands.get(1),
                operands.get(2),
                operands.destination(),
            );
        });
    }
}

unsafe fn compare(isa: Isa, kind: CompareKind, operands: &Operands) {
    // SAFETY: the caller's promise.
    unsafe {
        let destination = operands.destination();
        match operands.operand {
            DType::F32 => {
                vector::compare::<f32>(isa, kind, operands.get(0), operands.get(1), destination)
            }
            DType::I32 => {
                vector::compare::<i32>(isa, kind, operands.get(0), operands.get(1), destination)
            }
            DType::I64 => {
                vector::compare::<i64>(isa, kind, operands.get(0), operands.get(1), destination)
            }
            DType::I8 => {
                vector::compare::<i8>(isa, kind, operands.get(0), operands.get(1), destination)
            }
            _ => vector::compare::<u8>(isa, kind, operands.get(0), operands.get(1), destination),
        }
    }
}

unsafe fn unary_float(isa: Isa, kind: UnaryKind, operands: &Operands) {
    // SAFETY: the caller's promise.
    unsafe {
        operands.with_vector(0, |source| match kind {
            UnaryKind::IsFinite => vector::is_finite(isa, source, operands.destination()),
            _ => vector::unary(isa, kind, source, operands.destination()),
        });
    }
}

unsafe fn unary_integer<T: Integer>(isa: Isa, kind: UnaryKind, operands: &Operands) {
    // SAFETY: the caller's promise.
    unsafe {
        operands.with_vector(0, |source| {
            vector::unary_integer::<T>(isa, kind, source, operands.destination());
        });
    }
}

unsafe fn binary_integer<T: Integer>(isa: Isa, kind: BinaryKind, operands: &Operands) {
    // SAFETY: the caller's promise.
    unsafe {
        vector::binary_integer::<T>(
            isa,
            kind,
            operands.get(0),
            operands.get(1),
            operands.destination(),
        );
    }
}
