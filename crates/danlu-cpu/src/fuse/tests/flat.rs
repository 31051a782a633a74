//! Passes over the results of products: repeated operands, shapes changed on the way, pieces of all widths.

use super::*;

/// Of the largest element: sums of some hundred terms in f32.
const TOLERANCE: f64 = 5e-6;

/// Runs everywhere: close to the reference, the same bits on 1, 2 and 3 threads. Gives the steps' names.
fn check(
    program: &Program,
    states: &[(&str, &[usize])],
    inputs: &[&[usize]],
    what: &str,
) -> Vec<String> {
    let batch = inputs[0][0];
    let expected = reference(program, states, inputs, batch);
    let mut names = Vec::new();
    for isa in Isa::available() {
        let [one, others @ ..] =
            [1, 2, 3].map(|threads| run(program, states, inputs, batch, isa, threads));
        assert_close(&one.1, &expected, TOLERANCE, &format!("{what}, {isa}"));
        for other in others {
            assert!(other == one, "{what}, {isa}: other bits than 1 thread");
        }
        names = one.0;
    }
    names
}

/// A product, taken for images: a bias of the images' shape, a mask.
fn images(image: [usize; 3], bias: &[usize], learned: &[usize]) -> Result<Program> {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[13]), DType::F32)?;
    let mask = graph.input("mask", Shape::batch_of(&image), DType::F32)?;
    let zero = graph.scalar(0.0, DType::F32)?;
    let y = x.matmul(&graph.state("w", learned, DType::F32)?)?;
    let y = y.reshape(&Shape::batch_of(&image))?;
    let y = y.add(&graph.state("b", bias, DType::F32)?)?;
    let y = mask.greater(&zero)?.select(&y, &zero)?;
    Program::new(&graph, &[&x, &mask], &[("y", &y)], &[])
}

#[test]
fn a_pass_sees_the_result_of_a_product_in_another_shape() {
    for image in [[1, 1, 1], [2, 3, 1], [3, 1, 5], [4, 5, 17], [7, 6, 32]] {
        let [height, width, channels] = image;
        let learned = [13, height * width * channels];
        let biases: [&[usize]; 6] = [
            &[channels],
            &[width, 1],
            &[height, 1, channels],
            &[1, height, width, 1],
            &image,
            &[],
        ];
        for bias in biases {
            let program = images(image, bias, &learned).unwrap();
            let states: [(&str, &[usize]); 2] = [("w", &learned), ("b", bias)];
            for batch in [1, 6, 40] {
                let mask = [batch, height, width, channels];
                let what = format!("{mask:?}, bias {bias:?}");
                let names = check(&program, &states, &[&[batch, 13], &mask], &what);
                assert_eq!(names, [": matmul+add+greater+select"], "{what}");
            }
        }
    }
}

/// Images, taken for rows, and back.
#[test]
fn a_pass_goes_on_behind_a_flattening() {
    let graph = Graph::new();
    let build = || -> Result<Program> {
        let x = graph.input("x", Shape::batch_of(&[6, 5, 3]), DType::F32)?;
        let options = ConvolutionOptions {
            strides: [1, 1],
            dilations: [1, 1],
            padding: [[0; 2]; 2],
            groups: 1,
        };
        let y = x.conv2d(&graph.state("k", &[3, 3, 3, 9], DType::F32)?, options)?;
        let y = y.add(&graph.state("b", &[9], DType::F32)?)?.relu()?;
        let flat = y.reshape(&Shape::batch_of(&[4 * 3 * 9]))?;
        let flat = flat.multiply(&graph.state("scale", &[4 * 3 * 9], DType::F32)?)?;
        let y = flat.reshape(&y.shape())?.subtract(&y)?;
        Program::new(&graph, &[&x], &[("y", &y), ("flat", &flat)], &[])
    };
    let states: [(&str, &[usize]); 3] = [("k", &[3, 3, 3, 9]), ("b", &[9]), ("scale", &[108])];
    let names = check(&build().unwrap(), &states, &[&[7, 6, 5, 3]], "flattened");
    assert_eq!(names, [": conv2d+add+relu+multiply+subtract"]);
}

/// Dense layers forward and backward: biases and masks on pieces of all widths.
#[test]
fn biases_and_masks_follow_products_of_any_width() {
    for [rows, inner, columns] in [
        [1, 5, 1],
        [3, 20, 9],
        [70, 33, 17],
        [5, 300, 1100],
        [130, 40, 260],
    ] {
        let graph = Graph::new();
        let build = || -> Result<Program> {
            let x = graph.input("x", Shape::batch_of(&[inner]), DType::F32)?;
            let w = graph.state("w", &[inner, columns], DType::F32)?;
            let b = graph.state("b", &[columns], DType::F32)?;
            let v = graph.state("v", &[columns, columns.min(50)], DType::F32)?;
            let h = x.matmul(&w)?.add(&b)?.relu()?;
            let loss = h.matmul(&v)?.square()?.sum_all()?;
            let slopes = gradients(&loss, &[&x, &w, &b, &v])?;
            let outputs: Vec<(&str, &Value)> =
                slopes.iter().map(|slope| ("slope", slope)).collect();
            Program::new(&graph, &[&x], &outputs, &[])
        };
        let [w, b, v] = [
            vec![inner, columns],
            vec![columns],
            vec![columns, columns.min(50)],
        ];
        let states: [(&str, &[usize]); 3] = [("w", &w), ("b", &b), ("v", &v)];
        let what = format!("{rows} rows, {inner} x {columns}");
        let names = check(&build().unwrap(), &states, &[&[rows, inner]], &what);
        for fused in ["matmul+add+relu", "matmul+select"] {
            assert!(
                names.iter().any(|name| name.contains(fused)),
                "{what}: {names:?}"
            );
        }
    }
}
