use proptest::prelude::*;

use super::*;

/// Contiguous strides of a shape.
fn contiguous(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

fn memory(length: usize, element_size: usize) -> Vec<u8> {
    (0..length * element_size)
        .map(|i| (i * 31 + i / 251) as u8)
        .collect()
}

/// What any copy is, an element at a time.
fn gathered(layout: Strided, source: &[u8], range: Range<usize>) -> Vec<u8> {
    let size = layout.element_size;
    range
        .flat_map(|index| {
            let place = place_of(layout.shape, layout.strides, layout.offset, index) as usize;
            source[place * size..(place + 1) * size].to_vec()
        })
        .collect()
}

fn check(layout: Strided, memory_length: usize) {
    let source = memory(memory_length, layout.element_size);
    let length = layout.length();
    let repeats = layout.strides.contains(&0);
    for range in [
        0..length,
        0..length / 2,
        length / 3..length,
        length / 2..length / 2,
    ] {
        let expected = gathered(layout, &source, range.clone());
        let mut result = vec![0; range.len() * layout.element_size];
        copy_strided(layout, &source, range.clone(), &mut result);
        assert_eq!(result, expected, "{layout:?} {range:?}");
        if !repeats {
            // Back to where it came from: the rest stays as it is.
            let mut target = vec![0xee; source.len()];
            copy_into_strided(layout, &result, range.clone(), &mut target);
            assert_eq!(gathered(layout, &target, range.clone()), expected);
            let touched = target.iter().zip(&source).filter(|(t, s)| t == s).count();
            assert!(touched >= expected.len());
            let untouched = target.iter().filter(|&&byte| byte == 0xee).count();
            assert!(untouched >= source.len() - expected.len());
        }
    }
}

#[test]
fn transposes_broadcasts_and_flips() {
    for element_size in [1, 2, 4, 8, 3, 12] {
        let layout = |shape: &'static [usize], strides: &'static [isize], offset: usize| Strided {
            element_size,
            shape,
            strides,
            offset,
        };
        check(layout(&[], &[], 3), 4);
        check(layout(&[5, 7], &[7, 1], 0), 35);
        check(layout(&[7, 5], &[1, 7], 0), 35);
        check(layout(&[40, 33], &[1, 40], 0), 40 * 33);
        check(layout(&[3, 20, 18], &[360, 1, 20], 0), 1080);
        check(layout(&[4, 3, 5], &[1, 4, 12], 0), 60);
        check(layout(&[5, 7], &[0, 1], 0), 7);
        check(layout(&[5, 7], &[1, 0], 0), 5);
        check(layout(&[5, 7], &[0, 0], 2), 3);
        check(layout(&[5, 7], &[-7, -1], 34), 35);
        check(layout(&[3, 4], &[10, 2], 5), 40);
        check(layout(&[2, 1, 0, 4], &[4, 4, 4, 1], 0), 8);
        check(
            layout(&[2; 10], &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512], 0),
            1024,
        );
    }
}

#[test]
fn lines_of_every_length() {
    for element_size in [1, 2, 4, 8, 3] {
        for width in (1..40).chain([63, 64, 65, 127, 128, 255, 256, 257]) {
            let wide = (width + 3) as isize;
            for (shape, strides) in [([4, width], [wide, 1]), ([4, width], [2 * wide, 2])] {
                let layout = Strided {
                    element_size,
                    shape: &shape,
                    strides: &strides,
                    offset: 2,
                };
                check(layout, 9 * wide as usize);
            }
        }
    }
}

#[test]
fn fills_repeat_the_element() {
    let mut result = [0; 6];
    fill(&[1, 2, 3], &mut result);
    assert_eq!(result, [1, 2, 3, 1, 2, 3]);
    fill(&[7, 7], &mut result);
    assert_eq!(result, [7; 6]);
}

#[test]
#[should_panic(expected = "extent")]
fn a_value_outside_its_memory_is_refused() {
    let layout = Strided {
        element_size: 4,
        shape: &[2, 2],
        strides: &[2, 1],
        offset: 1,
    };
    copy_strided(layout, &[0; 16], 0..4, &mut [0; 16]);
}

proptest! {
    #[test]
    fn any_permutation_of_any_shape(
        shape in prop::collection::vec(1_usize..8, 1..5), order in any::<prop::sample::Index>(), element in 0_usize..4,
        repeated in 0_usize..16,
    ) {
        let strides = contiguous(&shape);
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        // The order's index picks one permutation.
        let mut index = order.index(24);
        for i in (1..axes.len()).rev() {
            axes.swap(i, index % (i + 1));
            index /= i + 1;
        }
        let length: usize = shape.iter().product();
        let permuted: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
        let mut new: Vec<isize> = axes.iter().map(|&axis| strides[axis]).collect();
        for (axis, stride) in new.iter_mut().enumerate() {
            if repeated == axis {
                *stride = 0;
            }
        }
        check(Strided { element_size: [1, 2, 4, 8][element], shape: &permuted, strides: &new, offset: 0 }, length);
    }
}
