//! How a smaller value is repeated over a larger shape.

/// Loops over an index range, outermost first: sizes and the value's element strides, neighbours joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    loops: Vec<(usize, usize)>,
}

/// What a pattern amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Element for element.
    Contiguous,
    /// One element for all.
    Scalar,
    /// Anything else.
    Pattern(Pattern),
}

/// How a value of shape `from` is read along `to`, to which it broadcasts.
pub(crate) fn access(from: &[usize], to: &[usize]) -> Access {
    let missing = to.len() - from.len();
    let mut loops: Vec<(usize, usize)> = Vec::new();
    let mut stride = 1;
    // From the innermost axis out; joined where an outer axis continues the inner one.
    for axis in (0..to.len()).rev() {
        let size = if axis < missing {
            1
        } else {
            from[axis - missing]
        };
        let own = if size == 1 { 0 } else { stride };
        stride *= size;
        if to[axis] == 1 {
            continue;
        }
        match loops.last_mut() {
            Some((length, inner)) if own == *inner * *length => *length *= to[axis],
            _ => loops.push((to[axis], own)),
        }
    }
    loops.reverse();
    match loops.as_slice() {
        [] | [(_, 0)] => Access::Scalar,
        [(_, 1)] => Access::Contiguous,
        _ => Access::Pattern(Pattern { loops }),
    }
}

impl Pattern {
    /// The length after which the elements repeat, where the value is just repeated as a whole.
    pub fn period(&self) -> Option<usize> {
        match self.loops.as_slice() {
            [(_, 0), (length, 1)] => Some(*length),
            _ => None,
        }
    }

    /// Copies the elements that stand at `start..start + count` of the larger shape.
    ///
    /// # Safety
    /// `source` holds the value, `destination` has room for `count` elements, and they do not overlap.
    pub unsafe fn load<T: Copy>(
        &self,
        source: *const T,
        start: usize,
        count: usize,
        destination: *mut T,
    ) {
        let Some(&(inner_size, inner_stride)) = self.loops.last() else {
            return;
        };
        if let Some(period) = self.period().filter(|&period| 2 * period <= count) {
            // Once, and then what is there already, again and again.
            let mut done = period;
            // SAFETY: the first part is shorter than `count`, and the later ones end there.
            unsafe {
                self.load(source, start, period, destination);
                while done < count {
                    let more = done.min(count - done);
                    std::ptr::copy_nonoverlapping(destination, destination.add(done), more);
                    done += more;
                }
            }
            return;
        }
        let mut done = 0;
        while done < count {
            let mut rest = start + done;
            let within = rest % inner_size;
            rest /= inner_size;
            let mut offset = within * inner_stride;
            for &(size, stride) in self.loops[..self.loops.len() - 1].iter().rev() {
                offset += rest % size * stride;
                rest /= size;
            }
            let run = (inner_size - within).min(count - done);
            // SAFETY: `offset` and the run after it lie inside the value, `done + run` inside the destination.
            unsafe {
                let from = source.add(offset);
                let to = destination.add(done);
                match inner_stride {
                    0 => std::slice::from_raw_parts_mut(to, run).fill(*from),
                    1 => std::ptr::copy_nonoverlapping(from, to, run),
                    stride => {
                        for index in 0..run {
                            *to.add(index) = *from.add(index * stride);
                        }
                    }
                }
            }
            done += run;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_repetitions_are_known() {
        assert_eq!(access(&[4, 5], &[4, 5]), Access::Contiguous);
        assert_eq!(access(&[1, 1], &[4, 5]), Access::Scalar);
        assert_eq!(access(&[], &[4, 5]), Access::Scalar);
        let Access::Pattern(bias) = access(&[32], &[2, 3, 32]) else {
            panic!("a bias is a pattern")
        };
        assert_eq!(bias.period(), Some(32));
        let Access::Pattern(column) = access(&[6, 1], &[6, 10]) else {
            panic!("a column is a pattern")
        };
        assert_eq!(column.period(), None);
    }

    proptest! {
        #[test]
        fn any_part_of_any_repetition_is_loaded(
            to in prop::collection::vec(1usize..5, 0..5),
            keep in prop::collection::vec(any::<bool>(), 5),
            drop in 0usize..3,
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let drop = drop.min(to.len());
            let from: Vec<usize> = to[drop..]
                .iter()
                .zip(&keep)
                .map(|(&size, &keep)| if keep { size } else { 1 })
                .collect();
            let values: Vec<i32> = (0..from.iter().product::<usize>() as i32).collect();
            let count: usize = to.iter().product();
            let expected: Vec<i32> = (0..count)
                .map(|flat| {
                    let mut rest = flat;
                    let mut index = vec![0; to.len()];
                    for axis in (0..to.len()).rev() {
                        index[axis] = rest % to[axis];
                        rest /= to[axis];
                    }
                    let mut offset = 0;
                    for (axis, &size) in from.iter().enumerate() {
                        offset = offset * size + if size == 1 { 0 } else { index[axis + drop] };
                    }
                    values[offset]
                })
                .collect();
            let (a, b) = (cut.0.index(count + 1), cut.1.index(count + 1));
            let (start, end) = (a.min(b), a.max(b));
            match access(&from, &to) {
                Access::Contiguous => prop_assert_eq!(&values, &expected),
                Access::Scalar => prop_assert!(expected.iter().all(|&value| value == values[0])),
                Access::Pattern(pattern) => {
                    let mut loaded = vec![-1; end - start];
                    // SAFETY: the vectors have the sizes that the pattern was made for.
                    unsafe { pattern.load(values.as_ptr(), start, end - start, loaded.as_mut_ptr()) };
                    prop_assert_eq!(&loaded[..], &expected[start..end]);
                }
            }
        }
    }
}
