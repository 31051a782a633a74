//! Sums of what a convolution read and what it made, and a pooling of that: the gradient by the sum goes several ways.

use danlu_graph::operations::PoolingWindow;

use super::*;

/// Two convolutions with bias and ReLU, the second beside a way past it, then a max-pooling; the gradients by all states
/// and by the images.
fn block(channels: usize) -> Result<Program> {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[8, 8, 3]), DType::F32)?;
    let weights = graph.input("w", Shape::batch_of(&[4, 4, channels]), DType::F32)?;
    let state = |name: &str, shape: &[usize]| graph.state(name, shape, DType::F32);
    let states = [
        state("k", &[3, 3, 3, channels])?,
        state("b", &[channels])?,
        state("l", &[3, 3, channels, channels])?,
        state("c", &[channels])?,
    ];
    let options = ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[1, 1]; 2],
        groups: 1,
    };
    let first = x.conv2d(&states[0], options)?.add(&states[1])?.relu()?;
    let second = first.conv2d(&states[2], options)?.add(&states[3])?.relu()?;
    let pooled = first.add(&second)?.max_pool2d(PoolingWindow {
        size: [2, 2],
        strides: [2, 2],
        padding: [[0, 0]; 2],
    })?;
    let loss = pooled.multiply(&weights)?.sum_all()?;
    let mut by: Vec<&Value> = states.iter().collect();
    by.push(&x);
    let gradients = danlu_graph::gradients(&loss, &by)?;
    let names = ["dk", "db", "dl", "dc", "dx"];
    let mut outputs: Vec<(&str, &Value)> = names.into_iter().zip(&gradients).collect();
    outputs.push(("y", &pooled));
    Program::new(&graph, &[&x, &weights], &outputs, &[])
}

#[test]
fn the_gradient_goes_past_a_convolution_and_through_it() {
    for channels in [8, 32] {
        let program = block(channels).unwrap();
        let square = [3, 3, channels, channels];
        let states: [(&str, &[usize]); 4] = [
            ("k", &[3, 3, 3, channels]),
            ("b", &[channels]),
            ("l", &square),
            ("c", &[channels]),
        ];
        for batch in [1, 5, 32] {
            let (x, w) = ([batch, 8, 8, 3], [batch, 4, 4, channels]);
            let inputs: [&[usize]; 2] = [&x, &w];
            let expected = reference(&program, &states, &inputs, batch);
            for isa in Isa::available() {
                let [one, others @ ..] =
                    [1, 2, 3].map(|threads| run(&program, &states, &inputs, batch, isa, threads));
                let what = format!("{channels} channels, {batch} examples, {isa}: {:?}", one.0);
                assert_close(&one.1, &expected, 2e-5, &what);
                for other in others {
                    assert!(other == one, "{what}: other bits than 1 thread");
                }
            }
        }
    }
}
