//! Layers of several inputs on the CPU.

use danlu_graph::executor::output_tensors;

use super::*;
use crate::layers::Effects;

/// Checks that a layer does not take inputs whose examples have these shapes, and that the error says `part`.
pub fn refuses_merge(mut layer: impl Layer, examples: &[&[usize]], part: &str) {
    let built = layer.build(&mut BuildContext::default(), &batches_of(examples));
    let error = built.unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

/// The layer's output for these inputs by one thread, and the gradients of its sum of squares with respect to each.
pub fn merge(layer: impl Layer, inputs: &[Array]) -> Vec<Tensor> {
    let mut layer: Box<dyn Layer> = Box::new(layer);
    let examples: Vec<&[usize]> = inputs.iter().map(|input| &input.shape[1..]).collect();
    layer
        .build(&mut BuildContext::default(), &batches_of(&examples))
        .unwrap();
    run(&*layer, &examples, inputs, 1)
}

/// As [`merge`], of a layer that is built, by this number of threads.
fn run(layer: &dyn Layer, examples: &[&[usize]], inputs: &[Array], threads: usize) -> Vec<Tensor> {
    let program = with_gradients(layer, examples);
    let inputs: Vec<Tensor> = inputs.iter().map(|x| x.to_tensor().unwrap()).collect();
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let bindings = Bindings::batch(inputs[0].shape()[0]);
    let options = danlu_cpu::CpuOptions {
        threads: Some(threads),
        ..Default::default()
    };
    let mut executor = crate::cpu_executor(options).unwrap();
    let plan = executor.compile(&program, &bindings).unwrap();
    let mut outputs = output_tensors(&program, &bindings).unwrap();
    executor.run(plan, &inputs, &mut outputs).unwrap();
    outputs
}

fn with_gradients(layer: &dyn Layer, examples: &[&[usize]]) -> Program {
    let graph = Graph::new();
    let inputs = inputs_of(&graph, &batches_of(examples));
    let effects = Effects::default();
    let context = CallContext::new(&graph, "layer", &[], &effects);
    let y = layer.call(&context, &inputs).unwrap();
    let loss = y.square().unwrap().sum_all().unwrap();
    let inputs: Vec<&Value> = inputs.iter().collect();
    let slopes = gradients(&loss, &inputs).unwrap();
    let mut outputs = vec![("y", &y)];
    outputs.extend(slopes.iter().map(|slope| ("slope", slope)));
    Program::new(&graph, &inputs, &outputs, &[]).unwrap()
}

/// The same bits by one and three threads and for an example alone or in a batch, and what the reference says. The examples are
/// many enough for work to be split.
pub fn threads_and_batches_change_nothing(layer: &mut dyn Layer, examples: &[&[usize]]) {
    const COUNT: usize = 700;
    let class = layer.class_name().to_owned();
    assert_eq!(build(layer, examples).len(), 0, "{class}: parameters");
    let shaped = |count: usize, example: &[usize]| [&[count], example].concat();
    let places = examples.iter().enumerate();
    let inputs: Vec<Array> = places
        .map(|(place, example)| numbers(&shaped(COUNT, example), 17 * place))
        .collect();
    let found = run(layer, examples, &inputs, 1);
    assert_eq!(found, run(layer, examples, &inputs, 3), "{class}: threads");

    let program = with_gradients(layer, examples);
    let values = ReferenceExecutor::new()
        .evaluate(&program, &Bindings::batch(COUNT), &inputs)
        .unwrap();
    for (output, found) in program.outputs().iter().zip(&found) {
        let expected = &values[output.node];
        assert_eq!(found.shape(), expected.shape, "{class}");
        crate::golden::assert_near(&class, &found.to_f64(), &expected.data, 1e-5);
    }

    for row in [0, COUNT / 2, COUNT - 1] {
        let alone = |tensor: &Array| {
            let width = tensor.data.len() / COUNT;
            let data = tensor.data[row * width..(row + 1) * width].to_vec();
            Array::new(shaped(1, &tensor.shape[1..]), DType::F32, data)
        };
        let alone: Vec<Array> = inputs.iter().map(alone).collect();
        for (alone, together) in run(layer, examples, &alone, 1).iter().zip(&found) {
            assert_eq!(
                *alone,
                together.rows(row, row + 1).unwrap(),
                "{class}: row {row}"
            );
        }
    }
}
