//! An opened file, standard input or bytes in memory, and what it holds by its first bytes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::stream::Stream;
use crate::{Error, Result};

/// Bytes that decide the format.
const HEAD: usize = 8;

pub(crate) trait ReadSeek: BufRead + Seek {}
impl<T: BufRead + Seek> ReadSeek for T {}

/// Bytes to read a source from, with a name for errors.
pub struct Input {
    name: String,
    file: Box<dyn ReadSeek>,
    length: u64,
}

/// What the first bytes of a file (of what is in it, where it is gzipped) say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// IDX, MNIST's own format.
    Idx,
    /// One NumPy array.
    Npy,
    /// A zip archive, such as several NumPy arrays.
    Zip,
    /// A PNG picture.
    Png,
    /// A JPEG picture.
    Jpeg,
    /// HDF5, such as a model of Keras'.
    Hdf5,
    /// Nothing at all.
    Empty,
    /// None of these.
    Other,
}

impl Input {
    /// Opens a file. A pipe is read into memory once its first bytes belong to a format that can be read.
    ///
    /// # Errors
    /// There is no such file, it is a folder, or the system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Input> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let failed = |error| Error::file("open", name.clone(), error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let error = std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder");
            return Err(failed(error));
        }
        if !metadata.is_file() {
            return Input::from_stream(&name, file);
        }
        Ok(Input {
            name,
            length: metadata.len(),
            file: Box::new(BufReader::with_capacity(64 << 10, file)),
        })
    }

    /// Reads standard input to its end, once its first bytes belong to a format that can be read.
    ///
    /// # Errors
    /// The format is none of ours, or reading fails.
    pub fn standard_input() -> Result<Input> {
        Input::from_stream("standard input", std::io::stdin().lock())
    }

    /// Bytes in memory; `name` is what errors call them.
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Input {
        let bytes = bytes.into();
        Input {
            name: name.to_owned(),
            length: bytes.len() as u64,
            file: Box::new(Cursor::new(bytes)),
        }
    }

    fn from_stream(name: &str, mut stream: impl Read) -> Result<Input> {
        let failed = |error| Error::file("read", name, error);
        let mut bytes = Vec::new();
        let head = stream.by_ref().take(HEAD as u64).read_to_end(&mut bytes);
        head.map_err(failed)?;
        // An endless stream of something else is refused here and not collected.
        if !bytes.starts_with(GZIP) && sniff(&bytes) == Format::Other {
            return Err(unsupported(name, Format::Other));
        }
        stream.read_to_end(&mut bytes).map_err(failed)?;
        Ok(Input::from_bytes(name, bytes))
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Length in bytes, compressed as it is.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What the first bytes say.
    ///
    /// # Errors
    /// Reading fails.
    pub fn format(&mut self) -> Result<Format> {
        let (head, gzipped) = self.head()?;
        if !gzipped {
            return Ok(sniff(&head));
        }
        self.rewind()?;
        let mut inner = Vec::new();
        let decoder = MultiGzDecoder::new(&mut self.file);
        // A damaged member is reported by the reader of the format, which knows what it expects.
        match decoder.take(HEAD as u64).read_to_end(&mut inner) {
            Ok(_) => Ok(sniff(&inner)),
            Err(_) => Ok(Format::Idx),
        }
    }

    /// The content from the start, unzipped where it is gzipped.
    pub(crate) fn stream(&mut self) -> Result<Stream<'_>> {
        let (_, gzipped) = self.head()?;
        self.rewind()?;
        let (name, length) = (self.name.clone(), self.length);
        Ok(match gzipped {
            true => Stream::packed(name, "gzip", MultiGzDecoder::new(&mut self.file), length),
            false => Stream::plain(name, &mut self.file, length),
        })
    }

    /// The bytes from the start, as they are.
    pub(crate) fn rewound(&mut self) -> Result<&mut dyn ReadSeek> {
        self.rewind()?;
        Ok(&mut *self.file)
    }

    /// The bytes from the start, for a reader that keeps them.
    pub(crate) fn into_parts(mut self) -> Result<(String, Box<dyn ReadSeek>, u64)> {
        self.rewind()?;
        Ok((self.name, self.file, self.length))
    }

    fn head(&mut self) -> Result<(Vec<u8>, bool)> {
        self.rewind()?;
        let mut head = Vec::new();
        let read = (&mut self.file).take(HEAD as u64).read_to_end(&mut head);
        read.map_err(|error| Error::file("read", &self.name, error))?;
        let gzipped = head.starts_with(GZIP);
        Ok((head, gzipped))
    }

    fn rewind(&mut self) -> Result<()> {
        let sought = self.file.seek(SeekFrom::Start(0));
        sought.map_err(|error| Error::file("read", &self.name, error))?;
        Ok(())
    }
}

const GZIP: &[u8] = &[0x1f, 0x8b];

fn sniff(head: &[u8]) -> Format {
    match head {
        [] => Format::Empty,
        [0, 0, 8 | 9 | 11..=14, 1..=255, ..] => Format::Idx,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Format::Npy,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Format::Zip,
        [0x89, b'P', b'N', b'G', ..] => Format::Png,
        [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
        [0x89, b'H', b'D', b'F', ..] => Format::Hdf5,
        _ => Format::Other,
    }
}

/// The error for a file whose format cannot be read where it was given.
pub(crate) fn unsupported(name: &str, format: Format) -> Error {
    let (received, advice) = match format {
        Format::Empty => {
            return Error::Empty {
                subject: format!("`{name}`, a file of 0 bytes,"),
            };
        }
        Format::Idx => ("an IDX file", ""),
        Format::Npy => ("a NumPy array", ""),
        Format::Zip => ("a zip archive", ""),
        Format::Png => ("a PNG picture", ""),
        Format::Jpeg => ("a JPEG picture", "save it as PNG; "),
        Format::Hdf5 => ("an HDF5 file", "it may be a model rather than data; "),
        Format::Other => ("a file of another kind", ""),
    };
    Error::Unsupported {
        subject: name.to_owned(),
        received: received.to_owned(),
        supported: format!(
            "{advice}inputs are PNG, IDX (plain or gzipped), NPY and NPZ files; data for training is a folder with IDX files, or an NPZ file"
        ),
    }
}
