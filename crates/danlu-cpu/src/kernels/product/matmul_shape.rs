//! The shape of a matrix product.

/// A leading axis of a product. A stride of 0 repeats the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAxis {
    /// Its length.
    pub size: usize,
    /// Elements from one of A's matrices to the next.
    pub a_stride: isize,
    /// Elements from one of B's matrices to the next.
    pub b_stride: isize,
}

/// The shape of `C = A * B`. C is contiguous, row-major: `[batch..., m, n]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatmulShape {
    /// Leading axes, outermost first.
    pub batch: Vec<BatchAxis>,
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Elements from one row of A to the next, and from one column to the next.
    pub a: [isize; 2],
    /// Elements from one row of B to the next, and from one column to the next.
    pub b: [isize; 2],
}

impl MatmulShape {
    /// One product of row-major matrices.
    pub fn row_major(m: usize, n: usize, k: usize) -> MatmulShape {
        MatmulShape {
            batch: Vec::new(),
            m,
            n,
            k,
            a: [k as isize, 1],
            b: [n as isize, 1],
        }
    }

    /// How many products.
    pub fn batch_size(&self) -> usize {
        self.batch.iter().map(|axis| axis.size).product()
    }

    /// Batch axes that repeat B and continue A's rows become rows.
    pub(super) fn folded(mut self) -> MatmulShape {
        while let Some(axis) = self.batch.last().copied() {
            let continues = axis.a_stride == self.m as isize * self.a[0];
            if axis.size == 1 || (axis.b_stride == 0 && continues) {
                self.m *= axis.size;
                self.batch.pop();
            } else {
                break;
            }
        }
        self
    }

    /// Offsets of the batch's `index`-th matrices.
    pub(super) fn matrix(&self, mut index: usize) -> (isize, isize) {
        let (mut a, mut b) = (0, 0);
        for axis in self.batch.iter().rev() {
            let position = (index % axis.size) as isize;
            index /= axis.size;
            a += position * axis.a_stride;
            b += position * axis.b_stride;
        }
        (a, b)
    }
}
