//! NPZ, several NumPy arrays by name in a zip archive, stored or deflated.

use std::io::{self, Seek, Write};

use danlu_graph::Tensor;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::input::ReadSeek;
use super::stream::{DEFLATE_RATIO, Stream};
use super::{Input, npy};
use crate::{Error, Result, suggest};

/// An opened NPZ file. Arrays are read one at a time, as they are asked for.
pub struct Npz {
    archive: ZipArchive<Box<dyn ReadSeek>>,
    name: String,
    length: u64,
    arrays: Vec<String>,
}

impl Npz {
    /// Opens an archive and reads the names of its arrays.
    ///
    /// # Errors
    /// It is no zip archive, or damaged.
    pub fn open(input: Input) -> Result<Npz> {
        let (name, file, length) = input.into_parts()?;
        let archive = ZipArchive::new(file).map_err(|error| damaged(&name, error))?;
        let names = archive.file_names();
        let arrays = names
            .filter_map(|entry| entry.strip_suffix(".npy"))
            .map(str::to_owned)
            .collect();
        Ok(Npz {
            archive,
            name,
            length,
            arrays,
        })
    }

    /// What errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the arrays, in the order of the archive.
    pub fn arrays(&self) -> &[String] {
        &self.arrays
    }

    /// Whether there is an array of this name.
    pub fn contains(&self, array: &str) -> bool {
        self.arrays.iter().any(|there| there == array)
    }

    /// Reads an array, as [`npy::read`] does.
    ///
    /// # Errors
    /// There is none of this name, the archive is damaged or encrypted, or the array is what [`npy::read`] refuses.
    pub fn read(&mut self, array: &str) -> Result<Tensor> {
        self.read_checked(array, |_| Ok(()))
    }

    pub(crate) fn read_checked(
        &mut self,
        array: &str,
        check: impl FnOnce(&[usize]) -> Result<()>,
    ) -> Result<Tensor> {
        if !self.contains(array) {
            return Err(Error::Unknown {
                kind: "array",
                name: format!("{array}` in `{}", self.name),
                suggestion: suggest::hint(array, self.arrays.iter().map(String::as_str)),
            });
        }
        let name = format!("{}, {array}", self.name);
        let entry = self
            .archive
            .by_name(&format!("{array}.npy"))
            .map_err(|error| damaged(&name, error))?;
        // Neither size that the archive states is trusted beyond what the whole file can hold.
        let packed = entry.compressed_size().min(self.length);
        let most = entry.size().min(packed.saturating_mul(DEFLATE_RATIO));
        npy::read_stream(Stream::bounded(name, "zip", entry, most, packed), check)
    }
}

/// Writes arrays by name, not compressed, as NumPy's `savez` does.
///
/// # Errors
/// The system refuses, or there are more or larger arrays than a zip archive holds.
pub fn write(writer: impl Write + Seek, arrays: &[(&str, &Tensor)]) -> io::Result<()> {
    let mut archive = ZipWriter::new(writer);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(true);
    for (name, tensor) in arrays {
        archive.start_file(format!("{name}.npy"), options)?;
        npy::write(&mut archive, tensor)?;
    }
    archive.finish()?;
    Ok(())
}

fn damaged(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) if error.raw_os_error().is_some() => Error::file("read", name, error),
        ZipError::UnsupportedArchive(reason) => Error::Unsupported {
            subject: name.to_owned(),
            received: format!("this zip archive ({reason})"),
            supported: "entries may be stored or deflated, as NumPy's `savez` and `savez_compressed` write them"
                .to_owned(),
        },
        error => Error::Format {
            file: name.to_owned(),
            offset: 0,
            expected: "a whole zip archive".to_owned(),
            received: format!("a damaged one ({error}); get the file again"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use danlu_graph::DType;

    use super::*;

    fn archive(method: zip::CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["x.npy", "notes.txt", "y.npy"] {
            let options = SimpleFileOptions::default().compression_method(method);
            writer.start_file(name, options).unwrap();
            match name {
                "notes.txt" => writer.write_all(b"not an array").unwrap(),
                _ => {
                    npy::write(&mut writer, &Tensor::zeros(&[30, 2], DType::F32).unwrap()).unwrap()
                }
            }
        }
        writer.finish().unwrap().into_inner()
    }

    fn open(bytes: Vec<u8>) -> Result<Npz> {
        Npz::open(Input::from_bytes("a.npz", bytes))
    }

    #[test]
    fn stored_and_deflated_arrays_are_read_by_name() {
        for method in [
            zip::CompressionMethod::Stored,
            zip::CompressionMethod::Deflated,
        ] {
            let mut npz = open(archive(method)).unwrap();
            assert_eq!(npz.arrays(), ["x", "y"]);
            assert_eq!(npz.read("y").unwrap().shape(), [30, 2]);
            let error = npz.read("X").unwrap_err().to_string();
            assert!(
                error.contains("`X` in `a.npz`; did you mean `x`?"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let first = Tensor::from_f32(&[2, 2], vec![1.0, -2.0, 3.5, f32::NAN]).unwrap();
        let second = Tensor::from_i32(&[1], vec![7]).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        write(&mut bytes, &[("a", &first), ("b c", &second)]).unwrap();
        let bytes = bytes.into_inner();
        let mut npz = open(bytes.clone()).unwrap();
        assert_eq!(npz.arrays(), ["a", "b c"]);
        let read = npz.read("a").unwrap();
        assert_eq!(read.shape(), [2, 2]);
        let bits = |tensor: &Tensor| -> Vec<u32> {
            tensor
                .as_f32()
                .unwrap()
                .iter()
                .map(|value| value.to_bits())
                .collect()
        };
        assert_eq!(bits(&read), bits(&first));
        assert_eq!(npz.read("b c").unwrap(), second);
        // Nothing in it depends on when it was written.
        let mut again = Cursor::new(Vec::new());
        write(&mut again, &[("a", &first), ("b c", &second)]).unwrap();
        assert_eq!(again.into_inner(), bytes);
    }

    #[test]
    fn damage_is_an_error() {
        let whole = archive(zip::CompressionMethod::Stored);
        for cut in 0..whole.len() {
            assert!(open(whole[..cut].to_vec()).is_err());
        }
        let mut bent = whole.clone();
        let elements = whole.windows(2).position(|pair| pair == b"}\x20").unwrap() + 150;
        bent[elements] ^= 1;
        let error = open(bent).unwrap().read("x").unwrap_err().to_string();
        assert!(
            error.contains("a.npz, x") && error.contains("damaged zip data"),
            "{error}"
        );
    }
}
