//! The edges of padded images: how many bands an image is cut into, so that few rows are copied twice, and which rows of the kernel lie in
//! the padding for a row of the result, so that they can be left out.

use super::super::block::Zone;
use super::correlation::Geometry;

/// Shorter parts of a contraction are not worth leaving out.
const LEAST_LEFT_OUT: usize = 32;
/// A band has so many times the rows that its neighbours copy as well.
const BAND_ROWS: usize = 6;
/// Unless there are no more tasks than this,
const LEAST_TASKS: usize = 24;
/// or copy and result of a band have so many elements, which stay in the second-level cache.
const BAND_ELEMENTS: usize = 64 * 1024;

/// The most bands that are good for an image whose bands are copied.
pub(super) fn few_bands(geometry: &Geometry) -> usize {
    let Geometry {
        images,
        output,
        kernel,
        stride,
        dilation,
        ..
    } = geometry;
    let extent = (kernel[0] - 1) * dilation[0] + 1;
    let overlap = extent.saturating_sub(stride[0]);
    let good = (BAND_ROWS * overlap).div_ceil(stride[0]).max(1);
    let elements = output[0] * stride[0] * images.row_stride()
        + output[0] * output[1] * geometry.columns * geometry.groups;
    (output[0] / good)
        .max(LEAST_TASKS.div_ceil(geometry.batch.max(1)))
        .max(elements.div_ceil(BAND_ELEMENTS))
        .max(1)
}

/// For each band of an image the zones of a task with so many images; nothing if no window has a row of its kernel in the padding, or
/// leaving it out is not worth while.
pub(super) fn zones(geometry: &Geometry, band: usize, images_per_task: usize) -> Vec<Vec<Zone>> {
    let Geometry {
        images,
        output,
        kernel,
        ..
    } = geometry;
    let row_length = kernel[1] * geometry.group_channels();
    let all = 0..kernel[0];
    let needed = |y: usize| needed_rows(geometry, y);
    if geometry.depthwise
        || images.spread != [1, 1]
        || row_length < LEAST_LEFT_OUT
        || (0..output[0]).all(|y| needed(y) == all)
    {
        return Vec::new();
    }
    (0..output[0])
        .step_by(band)
        .map(|first| {
            let mut of_image: Vec<Zone> = Vec::new();
            for y in first..(first + band).min(output[0]) {
                let rows = needed(y);
                let zone = Zone {
                    rows: output[1],
                    from: rows.start * row_length,
                    to: rows.end * row_length,
                };
                match of_image.last_mut() {
                    Some(last) if (last.from, last.to) == (zone.from, zone.to) => {
                        last.rows += zone.rows;
                    }
                    _ => of_image.push(zone),
                }
            }
            of_image.repeat(images_per_task)
        })
        .collect()
}

/// The rows of the kernel that lie inside the image, for a row of the result.
fn needed_rows(geometry: &Geometry, y: usize) -> std::ops::Range<usize> {
    let inside = |row: usize| {
        let position = (y * geometry.stride[0] + row * geometry.dilation[0]) as isize
            - geometry.images.origin[0];
        (0..geometry.images.size[0] as isize).contains(&position)
    };
    let rows = 0..geometry.kernel[0];
    let start = rows.clone().find(|&row| inside(row)).unwrap_or(rows.end);
    let end = rows
        .rev()
        .find(|&row| inside(row))
        .map_or(start, |row| row + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::super::Convolution2dShape;
    use super::*;

    fn geometry(padding: usize) -> Geometry {
        let shape = Convolution2dShape {
            batch: 32,
            height: 28,
            width: 28,
            channels: 64,
            filters: 64,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            padding: [[padding; 2]; 2],
            groups: 1,
        };
        Geometry {
            batch: shape.batch,
            images: shape.images(),
            output: shape.output_size(),
            columns: shape.filters,
            groups: 1,
            depthwise: false,
            kernel: shape.kernel,
            stride: shape.stride,
            dilation: shape.dilation,
            pooled: None,
            followed: None,
            steady: false,
            whole_rows: true,
        }
    }

    #[test]
    fn the_first_and_the_last_row_leave_out_a_third_of_the_kernel() {
        let zone = |rows, from, to| Zone { rows, from, to };
        assert_eq!(
            zones(&geometry(1), 10, 1),
            [
                vec![zone(28, 192, 576), zone(9 * 28, 0, 576)],
                vec![zone(280, 0, 576)],
                vec![zone(7 * 28, 0, 576), zone(28, 0, 384)],
            ]
        );
        assert_eq!(zones(&geometry(1), 28, 2)[0].len(), 6);
    }

    #[test]
    fn there_is_nothing_to_leave_out_without_padding_or_between_spread_pixels() {
        assert!(zones(&geometry(0), 10, 1).is_empty());
        let mut spread = geometry(1);
        spread.images.spread = [2, 2];
        assert!(zones(&spread, 10, 1).is_empty());
        let mut narrow = geometry(1);
        narrow.images.channels = 8;
        assert!(zones(&narrow, 10, 1).is_empty());
    }

    #[test]
    fn bands_are_high_unless_tasks_become_few_or_do_not_stay_in_the_cache() {
        assert_eq!(few_bands(&geometry(1)), 2);
        let alone = Geometry {
            batch: 1,
            ..geometry(1)
        };
        assert_eq!(few_bands(&alone), LEAST_TASKS);
        let mut wide = geometry(1);
        wide.output = [112, 112];
        assert!(few_bands(&wide) > 12);
    }
}
