//! Whatever the bytes of a model file are: a model or an error, in little memory and little time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use danlu::files;

/// Counts what is allocated, and its peak.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counters are everybody's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const MOST_MEMORY: usize = 16 << 20;
const MOST_TIME: Duration = Duration::from_secs(5);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/keras_files")
        .join(name)
}

/// A folder in memory where there is one: tens of thousands of files are written.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// xorshift64*: the same mutations every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn mutated(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match random.below(4) {
        0 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        1 => bytes.truncate(random.below(bytes.len())),
        2 => {
            let start = random.below(bytes.len());
            let end = (start + 1 + random.below(32)).min(bytes.len());
            let value = [0, 0xff, random.next() as u8][random.below(3)];
            bytes[start..end].fill(value);
        }
        _ => {
            // Something from elsewhere in the file: an address that leads to the wrong place, a loop.
            let count = 8.min(bytes.len());
            let (from, to) = (
                random.below(bytes.len() - count),
                random.below(bytes.len() - count),
            );
            bytes.copy_within(from / 8 * 8..from / 8 * 8 + count, to / 8 * 8);
        }
    }
    bytes
}

/// Reads bytes as a model file and holds memory and time to the limits; whether they were accepted.
fn bounded_read(path: &Path, bytes: &[u8], what: &str) -> bool {
    fs::write(path, bytes).unwrap();
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let start = Instant::now();
    let result = files::read(path);
    let peak = PEAK.load(Ordering::Relaxed) - before;
    assert!(peak < MOST_MEMORY, "{what}: {peak} bytes");
    assert!(start.elapsed() < MOST_TIME, "{what}: {:?}", start.elapsed());
    if let Err(error) = &result {
        assert!(error.to_string().len() < 4000, "{what}: a long error");
    }
    result.is_ok()
}

fn mutations(name: &str, whole: &[u8], count: usize) {
    let folder = quick_folder();
    let path = folder.path().join(name);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    assert!(bounded_read(&path, whole, name), "{name} itself");
    let accepted = (0..count)
        .filter(|number| {
            bounded_read(
                &path,
                &mutated(whole, &mut random),
                &format!("{name}, mutation {number}"),
            )
        })
        .count();
    println!("{name}: {accepted} of {count} mutations accepted");
    assert!(accepted < count);
}

#[test]
fn ten_thousand_mutations_of_keras_files() {
    let _alone = ALONE.lock().unwrap();
    for name in ["binary.h5", "dropout.keras"] {
        mutations(name, &fs::read(fixture(name)).unwrap(), 10_000);
    }
}

#[test]
fn ten_thousand_mutations_of_our_files() {
    let _alone = ALONE.lock().unwrap();
    let folder = quick_folder();
    for name in ["model.h5", "model.keras"] {
        let file = files::read(fixture("binary.keras")).unwrap();
        let path = folder.path().join(name);
        files::write(&path, &file).unwrap();
        mutations(name, &fs::read(&path).unwrap(), 10_000);
    }
}

#[test]
fn mutations_behind_the_checksum_of_the_archive() {
    // The zip's checksum finds every change of its entries; here the HDF5 file in it is changed and packed again.
    let _alone = ALONE.lock().unwrap();
    let whole = fs::read(fixture("dropout.keras")).unwrap();
    let folder = quick_folder();
    let path = folder.path().join("inner.keras");
    let mut random = Random(7);
    let hdf5 = whole
        .windows(8)
        .position(|bytes| bytes == b"\x89HDF\r\n\x1a\n")
        .unwrap();
    let directory = whole
        .windows(4)
        .rposition(|bytes| bytes == b"PK\x05\x06")
        .unwrap();
    let directory =
        u32::from_le_bytes(whole[directory + 16..directory + 20].try_into().unwrap()) as usize;
    let entry = whole
        .windows(16)
        .rposition(|bytes| bytes == b"model.weights.h5")
        .unwrap()
        - 46;
    let mut accepted = 0;
    for number in 0..3_000 {
        let mut bytes = whole.clone();
        let mut inner = mutated(&whole[hdf5..directory], &mut random);
        inner.resize(directory - hdf5, 0);
        bytes[hdf5..directory].copy_from_slice(&inner);
        let checksum = crc32fast::hash(&inner).to_le_bytes();
        bytes[entry + 16..entry + 20].copy_from_slice(&checksum);
        accepted += usize::from(bounded_read(
            &path,
            &bytes,
            &format!("inner mutation {number}"),
        ));
    }
    println!("{accepted} of 3000 inner mutations accepted");
    assert!((1..3_000).contains(&accepted));
}

#[test]
fn mutations_of_safetensors() {
    let _alone = ALONE.lock().unwrap();
    let folder = quick_folder();
    let path = folder.path().join("weights.safetensors");
    let file = files::read(fixture("binary.keras")).unwrap();
    files::safetensors::write_weights(&path, &file.layers).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut random = Random(3);
    for _ in 0..5_000 {
        fs::write(&path, mutated(&whole, &mut random)).unwrap();
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let _ = files::safetensors::read_weights(&path);
        assert!(PEAK.load(Ordering::Relaxed) - before < MOST_MEMORY);
    }
}
