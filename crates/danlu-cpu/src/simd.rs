//! Instruction sets: which ones this machine has, and how a kernel runs on one of them.
//!
//! A kernel is written once, as a [`pulp::WithSimd`] operation, and [`Isa::dispatch`] runs it with the vectors of the chosen set.

use std::fmt;

use pulp::{Scalar, Simd, WithSimd};

/// An instruction set that kernels can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX-512 (F, BW, CD, DQ, VL): 16 lanes of f32, 32 registers.
    Avx512,
    /// x86-64 with AVX2 and FMA: 8 lanes of f32, 16 registers.
    Avx2,
    /// 64-bit ARM: 4 lanes of f32, 32 registers.
    Neon,
    /// Plain Rust, on any machine: 1 lane. See [`multiply_add`] for how its sums differ.
    Portable,
}

/// An instruction set was asked for that does not exist or that this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instruction set `{requested}` is {reason}; this machine has: {}", names(.available))]
pub struct IsaError {
    /// What was asked for.
    pub requested: String,
    /// Why it cannot be had.
    pub reason: &'static str,
    /// What can be had here, the fastest first.
    pub available: Vec<Isa>,
}

fn names(sets: &[Isa]) -> String {
    let names: Vec<&str> = sets.iter().map(|isa| isa.name()).collect();
    names.join(", ")
}

impl Isa {
    /// Every set, the fastest first.
    const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

    /// The fastest set that this machine has.
    pub fn detect() -> Isa {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.is_available())
            .unwrap_or(Isa::Portable)
    }

    /// The sets that this machine has, the fastest first; the last is always [`Isa::Portable`].
    pub fn available() -> Vec<Isa> {
        Isa::ALL
            .into_iter()
            .filter(|isa| isa.is_available())
            .collect()
    }

    /// Whether this machine has the set. The processor is asked once; later calls read a cached answer.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => pulp::x86::V4::is_available(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => pulp::x86::V3::is_available(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => pulp::aarch64::Neon::is_available(),
            Isa::Portable => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// The set of that name (`avx512`, `avx2`, `neon`, `portable`).
    ///
    /// # Errors
    /// If there is no such set, or this machine lacks it; the error lists what it has.
    pub fn from_name(name: &str) -> Result<Isa, IsaError> {
        let error = |reason| IsaError {
            requested: name.to_owned(),
            reason,
            available: Isa::available(),
        };
        let isa = Isa::ALL
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| error("unknown"))?;
        if isa.is_available() {
            Ok(isa)
        } else {
            Err(error("not available"))
        }
    }

    /// The name that [`Isa::from_name`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
            Isa::Portable => "portable",
        }
    }

    /// Lanes of f32 in one vector.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            Isa::Avx2 => 8,
            Isa::Neon => 4,
            Isa::Portable => 1,
        }
    }

    /// Runs an operation with this set's vectors; a set that the machine lacks runs as [`Isa::Portable`].
    ///
    /// Costs a few nanoseconds: one cached check and one call. The operation and what it calls should be `#[inline(always)]`,
    /// so that they are compiled for the set.
    #[inline]
    pub fn dispatch<Op: WithSimd>(self, operation: Op) -> Op::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                if let Some(simd) = pulp::x86::V4::try_new() {
                    return Simd::vectorize(simd, operation);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                if let Some(simd) = pulp::x86::V3::try_new() {
                    return Simd::vectorize(simd, operation);
                }
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => {
                if let Some(simd) = pulp::aarch64::Neon::try_new() {
                    return Simd::vectorize(simd, operation);
                }
            }
            _ => {}
        }
        Scalar.vectorize(operation)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// `a * b + c`: one rounding where the hardware has fused multiply-add, two on [`Isa::Portable`].
///
/// Without hardware, a fused multiply-add is a slow call into the C library, and whether it is hardware would depend on how the
/// program was compiled; two roundings are fast and the same everywhere.
#[inline(always)]
pub fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if S::IS_SCALAR {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_e_f32s(a, b, c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lanes;

    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F32_LANES
        }
    }

    #[test]
    fn every_available_set_runs_with_its_own_vectors() {
        let available = Isa::available();
        assert_eq!(available.first(), Some(&Isa::detect()));
        assert_eq!(available.last(), Some(&Isa::Portable));
        for isa in available {
            assert_eq!(isa.dispatch(Lanes), isa.lanes(), "{isa}");
            assert_eq!(Isa::from_name(isa.name()), Ok(isa));
        }
    }

    #[test]
    fn an_error_lists_what_the_machine_has() {
        let message = Isa::from_name("avx1024").unwrap_err().to_string();
        assert!(message.contains("`avx1024` is unknown"), "{message}");
        assert!(message.contains("portable"), "{message}");
        if let Some(missing) = Isa::ALL.into_iter().find(|isa| !isa.is_available()) {
            let error = Isa::from_name(missing.name()).unwrap_err();
            assert_eq!(error.reason, "not available");
        }
    }
}
