//! What this machine can do at most, measured: multiply-adds in registers, and bytes through memory.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};

use crate::buffer::Buffer;
use crate::kernels::streams::{MOST_STREAMS, read_and_write};
use crate::simd::{Isa, multiply_add};
use crate::threads::Pool;

/// The most that threads reached together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// Billions of f32 operations a second; a multiply-add counts as two.
    pub gflops: f64,
    /// Billions of bytes a second, read and written, of arrays that fit into no cache; 0 where there is no memory for them.
    pub gigabytes_per_second: f64,
}

impl Peak {
    /// The better of two measurements of the same machine, each number for itself.
    #[must_use]
    pub fn better(self, other: Peak) -> Peak {
        Peak {
            gflops: self.gflops.max(other.gflops),
            gigabytes_per_second: self.gigabytes_per_second.max(other.gigabytes_per_second),
        }
    }
}

/// Measures the most that so many threads (0 counts as 1) reach with this instruction set: independent multiply-adds that never
/// leave the registers, and a stream that reads an array of several times the caches and writes it in place.
///
/// Both are the best of many short rounds, since other programs take cores away for a while. Takes about 0.3 s and at most 512 MiB.
pub fn measure_peak(isa: Isa, threads: usize) -> Peak {
    let pool = Pool::new(threads);
    Peak {
        gflops: arithmetic(isa, &pool),
        gigabytes_per_second: streaming(isa, &pool),
    }
}

/// Billions of bytes a second that so many threads move when they read some arrays of `elements` numbers (f32) side by side, and
/// write the first ones of them in place; 0 where there is no memory for them. At least one is read, and no more than 8.
///
/// What an elementwise pass over as many arrays can reach at most. The best of many rounds in about 0.3 s.
pub fn measure_streams(
    isa: Isa,
    threads: usize,
    elements: usize,
    [read, written]: [usize; 2],
) -> f64 {
    let read = read.clamp(1, MOST_STREAMS);
    let written = written.min(read);
    let pool = Pool::new(threads);
    let mut arrays = Vec::with_capacity(read);
    for _ in 0..read {
        let Ok(buffer) = Buffer::new(elements * size_of::<f32>()) else {
            return 0.0;
        };
        arrays.push(buffer);
    }
    let pieces = elements.div_ceil(STREAM_PIECE);
    let round = || {
        pool.run(pieces, &|piece| {
            let start = piece * STREAM_PIECE;
            let length = STREAM_PIECE.min(elements - start);
            let mut starts = [std::ptr::null_mut(); MOST_STREAMS];
            for (place, array) in starts.iter_mut().zip(&arrays) {
                *place = array.pointer().cast::<f32>().wrapping_add(start);
            }
            // SAFETY: the arrays hold the piece, and nobody else has it.
            unsafe { read_and_write(isa, &starts[..read], written, length) };
        });
    };
    // Memory is given when it is first written.
    for array in &arrays {
        // SAFETY: the block is that long, and nobody else has it.
        unsafe { array.pointer().write_bytes(0, array.bytes()) };
    }
    let begin = Instant::now();
    let mut best = Duration::MAX;
    while best == Duration::MAX || begin.elapsed() < 2 * LONGEST {
        let pass = Instant::now();
        round();
        best = best.min(pass.elapsed());
    }
    let moved = (read + written) * elements * size_of::<f32>();
    moved as f64 / best.as_secs_f64().max(1e-9) / 1e9
}

/// Chains of dependent multiply-adds, `COUNT` of them beside each other.
struct Chains<const COUNT: usize> {
    steps: usize,
}

impl<const COUNT: usize> WithSimd for Chains<COUNT> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        // x = x / 2 + 1 / 2 keeps 1, which is neither slow as denormal numbers are, nor known to the compiler.
        let factor = simd.splat_f32s(black_box(0.5));
        let summand = simd.splat_f32s(black_box(0.5));
        let mut values = [simd.splat_f32s(black_box(1.0)); COUNT];
        for _ in 0..self.steps {
            for value in &mut values {
                *value = multiply_add(simd, *value, factor, summand);
            }
        }
        let sum = values
            .into_iter()
            .fold(simd.splat_f32s(0.0), |sum, value| simd.add_f32s(sum, value));
        simd.reduce_sum_f32s(sum)
    }
}

/// Steps of a round, times the number of chains: about a quarter of a millisecond.
const STEPS: usize = 3 << 17;
/// No round, and no pass over memory, begins after this.
const LONGEST: Duration = Duration::from_millis(120);

/// Operations a second, in billions. How many chains hide the latency depends on the core and on its registers, so several
/// numbers are tried.
fn arithmetic(isa: Isa, pool: &Pool) -> f64 {
    let begin = Instant::now();
    let mut best: f64 = 0.0;
    while best == 0.0 || begin.elapsed() < LONGEST {
        best = best.max(chains::<8>(isa, pool));
        best = best.max(chains::<12>(isa, pool));
        best = best.max(chains::<24>(isa, pool));
    }
    best
}

fn chains<const COUNT: usize>(isa: Isa, pool: &Pool) -> f64 {
    let steps = STEPS / COUNT;
    let begin = Instant::now();
    pool.run(pool.threads(), &|_| {
        black_box(isa.dispatch(Chains::<COUNT> { steps }));
    });
    let operations = 2 * steps * COUNT * isa.lanes() * pool.threads();
    operations as f64 / begin.elapsed().as_secs_f64() / 1e9
}

/// Reads and writes a slice once.
struct Stream<'a>(&'a mut [f32]);

impl WithSimd for Stream<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        // Vectors of the set by way of the compiler: memory is much slower than either.
        for value in self.0 {
            *value = *value * 0.5 + 0.5;
        }
    }
}

/// Elements that a task of [`measure_streams`] works on.
const STREAM_PIECE: usize = 8192;

const LEAST_BYTES: usize = 64 << 20;
const MOST_BYTES: usize = 512 << 20;
/// An array is read and written in so many pieces, each timed on its own; a piece comes again when all the others were used.
const PIECES: usize = 8;

/// Bytes a second, in billions: the best piece.
fn streaming(isa: Isa, pool: &Pool) -> f64 {
    let bytes = (4 * last_level_caches()).clamp(LEAST_BYTES, MOST_BYTES);
    let threads = pool.threads();
    let piece = bytes / size_of::<f32>() / threads / PIECES;
    let mut parts = Vec::with_capacity(threads);
    for _ in 0..threads {
        let mut part: Vec<f32> = Vec::new();
        if part.try_reserve_exact(piece * PIECES).is_err() {
            return 0.0;
        }
        parts.push(Mutex::new(part));
    }
    let each = |work: &(dyn Fn(&mut Vec<f32>) + Sync)| {
        pool.run(threads, &|place| {
            if let Ok(mut part) = parts[place].lock() {
                work(&mut part);
            }
        });
    };
    // Every thread touches its own part first, so that it is in memory near to it.
    each(&|part| part.resize(piece * PIECES, 1.0));
    let begin = Instant::now();
    let mut best = Duration::MAX;
    while best == Duration::MAX || begin.elapsed() < LONGEST {
        for place in 0..PIECES {
            let range = place * piece..(place + 1) * piece;
            let pass = Instant::now();
            each(&|part| isa.dispatch(Stream(&mut part[range.clone()])));
            best = best.min(pass.elapsed());
        }
    }
    let moved = 2 * piece * threads * size_of::<f32>();
    moved as f64 / best.as_secs_f64() / 1e9
}

/// Bytes of the largest caches together, where the operating system says; 32 MiB where it does not.
fn last_level_caches() -> usize {
    const UNKNOWN: usize = 32 << 20;
    let Ok(cores) = std::fs::read_dir("/sys/devices/system/cpu") else {
        return UNKNOWN;
    };
    let mut caches: Vec<(String, usize)> = Vec::new();
    for core in cores.flatten() {
        // The third level, or, where there is none, the second.
        let own = ["index3", "index2"].iter().find_map(|index| {
            let folder = core.path().join("cache").join(index);
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
            Some((read("shared_cpu_list")?, kibibytes(&read("size")?)?))
        });
        if let Some(own) = own
            && caches.iter().all(|(shared, _)| *shared != own.0)
        {
            caches.push(own);
        }
    }
    match caches.iter().map(|(_, bytes)| bytes).sum() {
        0 => UNKNOWN,
        bytes => bytes,
    }
}

/// The bytes that a text such as `32768K` means.
fn kibibytes(text: &str) -> Option<usize> {
    let number: usize = text.trim().strip_suffix('K')?.parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_a_peak_that_a_machine_can_have() {
        for isa in Isa::available() {
            let peak = measure_peak(isa, 2);
            assert!((0.001..1e6).contains(&peak.gflops), "{isa}: {peak:?}");
            let bytes = peak.gigabytes_per_second;
            assert!((0.001..1e5).contains(&bytes), "{isa}: {peak:?}");
        }
        assert!(measure_peak(Isa::detect(), 0).gflops > 0.0);
    }

    #[test]
    fn streams_have_a_speed_for_every_number_of_arrays() {
        for isa in Isa::available() {
            for counts in [[1, 1], [2, 1], [5, 4], [3, 9], [0, 0]] {
                let speed = measure_streams(isa, 2, 20_000, counts);
                assert!((0.001..1e5).contains(&speed), "{isa} {counts:?}: {speed}");
            }
        }
    }

    #[test]
    fn sizes_of_caches() {
        assert_eq!(kibibytes("32768K\n"), Some(32 << 20));
        assert_eq!(kibibytes("many"), None);
        assert!(last_level_caches() > 0);
    }
}
