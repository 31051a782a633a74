//! Functions on blocks against the same functions on whole slices.

use super::*;

/// Places of three streams that are read, one that is written, and two constants.
const WRITTEN: u8 = 3;
const CONSTANTS: [f32; 2] = [0.37, -1.5];

/// Runs instructions over rows; gives the written stream, in which -7 stands where nothing was written.
fn run(
    isa: Isa,
    instructions: &[BlockInstruction],
    streams: &[Vec<f32>; 3],
    shape: [usize; 3],
) -> Vec<f32> {
    let mut result = vec![-7.0; streams[0].len()];
    let [a, b, c] = streams;
    let read = [a, b, c].map(|stream| stream.as_ptr().cast_mut());
    let streams = [read[0], read[1], read[2], result.as_mut_ptr()];
    let run = BlockRun {
        instructions,
        streams: &streams,
        constants: &CONSTANTS,
        shape,
    };
    // SAFETY: all streams have the same length, which holds the shape; only the result is written.
    unsafe { run_blocks(isa, run) };
    result
}

fn instruction(function: BlockFunction, sources: &[u8], destination: u8) -> BlockInstruction {
    let mut places = [0; MOST_OPERANDS];
    places[..sources.len()].copy_from_slice(sources);
    BlockInstruction {
        function,
        sources: places,
        destination,
    }
}

fn streams(length: usize) -> [Vec<f32>; 3] {
    let mut third = samples(length);
    third.rotate_left(5.min(length));
    let mut second = samples(length);
    second.reverse();
    [samples(length), second, third]
}

const LENGTHS: [usize; 4] = [0, BLOCK, 2 * BLOCK, 7 * BLOCK];

#[test]
fn functions_have_the_bits_that_they_have_on_slices() {
    for isa in Isa::available() {
        for length in LENGTHS {
            let streams = streams(length);
            let [a, b, _] = &streams;
            let (x, y) = (Operand::Vector(a.as_slice()), Operand::Vector(b.as_slice()));
            let check = |what: &str, function, sources: &[u8], expected: &[f32]| {
                let one = [instruction(function, sources, WRITTEN)];
                let found = run(isa, &one, &streams, [1, length / BLOCK, 0]);
                assert_eq!(bits(&found), bits(expected), "{what}, {length}, {isa}");
            };
            let mut expected = vec![0.0; length];
            for &kind in UnaryKind::ALL {
                unary(isa, kind, a, &mut expected);
                check(kind.name(), BlockFunction::Unary(kind), &[0], &expected);
            }
            for &kind in BinaryKind::ALL {
                binary(isa, kind, x, y, &mut expected);
                check(kind.name(), BlockFunction::Binary(kind), &[0, 1], &expected);
                binary(isa, kind, x, Operand::Scalar(CONSTANTS[1]), &mut expected);
                check(kind.name(), BlockFunction::Binary(kind), &[0, 5], &expected);
            }
            for &kind in CompareKind::ALL {
                let mut truths = vec![0; length];
                compare(isa, kind, x, y, &mut truths);
                let expected: Vec<f32> = truths.iter().map(|&truth| f32::from(truth)).collect();
                check(
                    kind.name(),
                    BlockFunction::Compare(kind),
                    &[0, 1],
                    &expected,
                );
            }
            let chosen = a.iter().zip(b);
            let chosen = chosen.map(|(&a, &b)| if a != 0.0 { b } else { CONSTANTS[0] });
            let chosen: Vec<f32> = chosen.collect();
            check("select", BlockFunction::Select, &[0, 1, 4], &chosen);
            check("copy", BlockFunction::Copy, &[1], b);
        }
    }
}

#[test]
fn rows_and_registers() {
    // (a + b) * s - c, through two registers.
    let program = [
        instruction(BlockFunction::Binary(BinaryKind::Add), &[0, 1], 6),
        instruction(BlockFunction::Binary(BinaryKind::Multiply), &[6, 4], 7),
        instruction(
            BlockFunction::Binary(BinaryKind::Subtract),
            &[7, 2],
            WRITTEN,
        ),
    ];
    for isa in Isa::available() {
        for [rows, blocks, stride] in [
            [3, 1, BLOCK + 7],
            [2, 2, 2 * BLOCK],
            [4, 3, 1000],
            [5, 0, 1],
        ] {
            let streams = streams(rows * stride);
            let found = run(isa, &program, &streams, [rows, blocks, stride]);
            for (place, &found) in found.iter().enumerate() {
                let [a, b, c] = [0, 1, 2].map(|stream: usize| streams[stream][place]);
                let expected = match place % stride < blocks * BLOCK {
                    true => (a + b) * CONSTANTS[0] - c,
                    false => -7.0,
                };
                assert_eq!(bits(&[found]), bits(&[expected]), "{blocks} {place} {isa}");
            }
        }
    }
}

#[test]
fn a_stream_may_be_written_where_it_is_read() {
    for isa in Isa::available() {
        for length in LENGTHS {
            let mut data = samples(length);
            let mut expected = vec![0.0; length];
            let square = Operand::Vector(data.as_slice());
            binary(isa, BinaryKind::Multiply, square, square, &mut expected);
            let start = data.as_mut_ptr();
            let multiply = BlockFunction::Binary(BinaryKind::Multiply);
            let run = BlockRun {
                instructions: &[instruction(multiply, &[0, 0], 1)],
                streams: &[start, start],
                constants: &[],
                shape: [1, length / BLOCK, 0],
            };
            // SAFETY: the stream holds so many elements.
            unsafe { run_blocks(isa, run) };
            assert_eq!(bits(&data), bits(&expected), "{length} {isa}");
        }
    }
}
