//! What is computed twice rather than kept.

use super::*;

/// A mask that a pass makes and another one, behind a wall, reads beside what the mask is made of.
fn masked(slow: bool, seen: bool, other: bool) -> Result<Program> {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[300]), DType::F32)?;
    let factor = graph.input("f", Shape::new([300]), DType::F32)?;
    let zero = graph.scalar(0.0, DType::F32)?;
    let scaled = x.multiply(&factor)?.add(&factor)?;
    let scaled = if slow { scaled.tanh()? } else { scaled };
    let mask = scaled.greater(&zero)?;
    let first = mask.select(&x, &zero)?;
    let late = after(true, Ok(first))?;
    let beside = if other { late.clone() } else { x.clone() };
    let y = mask.select(&late, &beside)?;
    let mut outputs = vec![("y", &y)];
    if seen {
        outputs.push(("mask", &mask));
    }
    Program::new(&graph, &[&x, &factor], &outputs, &[])
}

/// Steps that make the mask.
fn makers(slow: bool, seen: bool, other: bool) -> usize {
    let program = masked(slow, seen, other).unwrap();
    let inputs: [&[usize]; 2] = [&[7, 300], &[300]];
    let expected = reference(&program, &[], &inputs, 7);
    let mut makers = 0;
    for isa in Isa::available() {
        let [one, others @ ..] =
            [1, 2, 3].map(|threads| run(&program, &[], &inputs, 7, isa, threads));
        assert_close(&one.1, &expected, 1e-6, &format!("{isa}"));
        for other in others {
            assert!(other == one, "{isa}: other bits than 1 thread");
        }
        makers = one.0.iter().filter(|name| name.contains("greater")).count();
    }
    makers
}

#[test]
fn a_mask_is_made_again_beside_what_it_is_made_of() {
    assert_eq!(makers(false, false, false), 2);
}

#[test]
fn what_is_kept_takes_long_or_needs_other_values_is_read() {
    // The mask is an output.
    assert_eq!(makers(false, true, false), 1);
    // A function that takes long.
    assert_eq!(makers(true, false, false), 1);
    // The second pass does not read what the mask is made of.
    assert_eq!(makers(false, false, true), 1);
}
