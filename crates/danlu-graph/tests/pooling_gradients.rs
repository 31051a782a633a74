//! The rewrite of max-pooling's gradients: what is done to the spread gradient is done before it is spread, where that is
//! the same; elsewhere it stays as it was.

mod common;

use common::{close, evaluate, spread};
use danlu_graph::operations::PoolingWindow;
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::rewrite::{PoolingGradients, Rewrite, optimize};
use danlu_graph::{Bindings, DType, Dim, Graph, Program, Result, Shape, Value, gradients};

/// Sums in another order differ by less.
const TOLERANCE: f64 = 1e-12;

fn window(size: [usize; 2], strides: [usize; 2], padding: [[usize; 2]; 2]) -> PoolingWindow {
    PoolingWindow {
        size,
        strides,
        padding,
    }
}

/// Windows that do not overlap: side by side, with gaps, of other heights than widths, with padding.
fn apart() -> Vec<PoolingWindow> {
    vec![
        window([2, 2], [2, 2], [[0; 2]; 2]),
        window([2, 2], [3, 3], [[0; 2]; 2]),
        window([3, 2], [3, 4], [[0; 2]; 2]),
        window([2, 2], [2, 2], [[0, 1]; 2]),
        window([3, 3], [3, 3], [[1, 1], [2, 0]]),
        window([1, 1], [2, 1], [[0; 2]; 2]),
    ]
}

/// A block to train: `activation(x + bias)`, pooled and weighted, with the gradients by `x` and by the bias.
fn training(
    image: [usize; 2],
    channels: usize,
    window: PoolingWindow,
    activation: impl Fn(&Graph, &Value) -> Result<Value>,
) -> Result<Program> {
    let graph = Graph::new();
    let shape = Shape::batch_of(&[image[0], image[1], channels]);
    let x = graph.input("x", shape, DType::F32)?;
    let bias = graph.state("bias", &[channels], DType::F32)?;
    let pooled = activation(&graph, &x.add(&bias)?)?.max_pool2d(window)?;
    let weight = graph.input("weight", pooled.shape(), DType::F32)?;
    let loss = pooled.multiply(&weight)?.sum_all()?;
    let slopes = gradients(&loss, &[&x, &bias])?;
    let outputs = [("loss", &loss), ("dx", &slopes[0]), ("db", &slopes[1])];
    Program::new(&graph, &[&x, &weight], &outputs, &[])
}

/// The program's outputs in f64, on values without ties.
fn results(program: &Program, bindings: &Bindings) -> Vec<Array> {
    let array = |shape: Vec<usize>, salt: u64| {
        let data = spread(shape.iter().product(), -1.5, 1.5, salt);
        Array::new(shape, DType::F32, data)
    };
    let mut executor = ReferenceExecutor::new();
    for (salt, (name, value_type)) in (50..).zip(program.states()) {
        executor.set_state(&name, array(value_type.shape.as_fixed().unwrap(), salt));
    }
    let inputs = (0..).zip(program.inputs());
    let inputs: Vec<Array> = inputs
        .map(|(salt, spec)| array(spec.value_type.shape.evaluate(bindings).unwrap(), salt))
        .collect();
    evaluate(&executor, program, bindings, &inputs).unwrap()
}

fn assert_same(before: &Program, after: &Program, bindings: &Bindings) {
    let pairs = results(before, bindings)
        .into_iter()
        .zip(results(after, bindings));
    for (place, (old, new)) in pairs.enumerate() {
        assert_eq!(old.shape, new.shape);
        let what = format!("output {place}\nbefore\n{before}\nafter\n{after}");
        close(&new.data, &old.data, TOLERANCE, &what);
    }
}

/// What reads a spread gradient.
fn readers(program: &Program) -> Vec<String> {
    let nodes = program.nodes();
    let spread = |&input: &usize| nodes[input].operation.name() == "max_pool2d_gradient";
    let reading = nodes.iter().filter(|node| node.inputs.iter().any(spread));
    reading.map(|node| node.operation.name()).collect()
}

/// The optimized program, and that a second round finds nothing.
fn optimized(program: &Program) -> Program {
    let mut changed = program.clone();
    optimize(&mut changed).unwrap();
    let mut again = changed.clone();
    assert_eq!(PoolingGradients.apply(&mut again).unwrap(), 0);
    assert_eq!(again.to_string(), changed.to_string());
    changed
}

type Activation = fn(&Graph, &Value) -> Result<Value>;

#[test]
fn masks_scales_and_sums_move_before_the_spreading() {
    let activations: [(&str, Activation); 5] = [
        ("none", |_, x| Ok(x.clone())),
        ("relu", |_, x| x.relu()),
        ("tanh", |_, x| x.tanh()),
        ("sigmoid", |_, x| x.sigmoid()),
        // A function of the channel alone: the same for all elements of a window.
        ("scale", |graph, x| {
            let channels = x.shape().dims()[3].as_fixed().unwrap();
            x.multiply(&graph.state("scale", &[channels], DType::F32)?.square()?)
        }),
    ];
    for (name, activation) in activations {
        for window in apart() {
            for (image, channels, batch) in [([7, 9], 1, 3), ([8, 5], 3, 1), ([11, 6], 5, 2)] {
                let program = training(image, channels, window, activation).unwrap();
                let after = optimized(&program);
                assert!(!readers(&program).is_empty(), "{program}");
                assert_eq!(readers(&after), Vec::<String>::new(), "{name}\n{after}");
                assert_same(&program, &after, &Bindings::batch(batch));
            }
        }
    }
}

#[test]
fn the_rewrite_alone_fires_once_for_each_place() {
    let block = |activation: Activation| training([6, 6], 2, apart()[0], activation).unwrap();
    // The mask, then the sum over images of what it gave.
    let mut masked = block(|_, x| x.relu());
    assert_eq!(PoolingGradients.apply(&mut masked).unwrap(), 2);
    let mut summed = block(|_, x| Ok(x.clone()));
    assert_eq!(PoolingGradients.apply(&mut summed).unwrap(), 1);
}

#[test]
fn overlapping_windows_stay() {
    for window in [
        window([3, 3], [2, 2], [[0; 2]; 2]),
        window([2, 3], [2, 2], [[0; 2]; 2]),
        window([3, 2], [2, 2], [[1, 1], [0, 0]]),
    ] {
        let program = training([7, 7], 3, window, |_, x| x.relu()).unwrap();
        let after = optimized(&program);
        assert_eq!(readers(&after), ["select"], "{after}");
        let mut alone = program.clone();
        assert_eq!(PoolingGradients.apply(&mut alone).unwrap(), 0);
        assert_same(&program, &after, &Bindings::batch(2));
    }
}

#[test]
fn what_depends_on_more_than_the_pooled_value_stays() {
    let activations: [(&str, Activation); 3] = [
        // The factor of the gradient is another image.
        ("another image", |graph, x| {
            let image = Shape::new(x.shape().dims()[1..].iter().cloned());
            let image = image.as_fixed().unwrap();
            x.multiply(&graph.state("other", &image, DType::F32)?)
        }),
        // It is a function of what was squared, of which the pooled value does not tell the sign.
        ("square", |_, x| x.square()),
        // It differs from row to row.
        ("rows", |graph, x| {
            let rows = x.shape().dims()[1].as_fixed().unwrap();
            x.multiply(&graph.state("rows", &[rows, 1, 1], DType::F32)?)
        }),
    ];
    for (name, activation) in activations {
        let program = training([6, 7], 3, apart()[0], activation).unwrap();
        let after = optimized(&program);
        assert_eq!(readers(&after), ["multiply"], "{name}\n{after}");
        assert_same(&program, &after, &Bindings::batch(2));
    }
}

/// Who looks at the masked gradient itself gets it.
#[test]
fn a_moved_value_that_is_an_output_keeps_its_value() {
    let graph = Graph::new();
    let x = graph
        .input("x", Shape::batch_of(&[5, 6, 2]), DType::F32)
        .unwrap();
    let y = x.relu().unwrap();
    let pooled = y.max_pool2d(apart()[0]).unwrap();
    let weight = graph.input("weight", pooled.shape(), DType::F32).unwrap();
    let loss = pooled.multiply(&weight).unwrap().sum_all().unwrap();
    let slopes = gradients(&loss, &[&y, &x]).unwrap();
    let sum = slopes[1].sum(&[0, 1, 2], true).unwrap();
    let outputs = [("dy", &slopes[0]), ("dx", &slopes[1]), ("sum", &sum)];
    let program = Program::new(&graph, &[&x, &weight], &outputs, &[]).unwrap();
    let after = optimized(&program);
    assert_eq!(readers(&after), Vec::<String>::new(), "{after}");
    assert_same(&program, &after, &Bindings::batch(3));
}

/// An axis of no rows still has a window where there is padding: its gradient goes nowhere, and into no sum.
#[test]
fn windows_of_padding_only_count_for_nothing() {
    let graph = Graph::new();
    let dims = [
        Dim::batch(),
        Dim::named("height"),
        Dim::fixed(4),
        Dim::fixed(2),
    ];
    let x = graph.input("x", Shape::new(dims), DType::F32).unwrap();
    let bias = graph.state("bias", &[2], DType::F32).unwrap();
    let window = window([2, 2], [2, 2], [[1, 1], [0, 0]]);
    let pooled = x.add(&bias).unwrap().max_pool2d(window).unwrap();
    let weight = graph.input("weight", pooled.shape(), DType::F32).unwrap();
    let loss = pooled.multiply(&weight).unwrap().sum_all().unwrap();
    let slope = gradients(&loss, &[&bias]).unwrap().remove(0);
    let program = Program::new(&graph, &[&x, &weight], &[("db", &slope)], &[]).unwrap();
    let after = optimized(&program);
    for height in [0, 1, 4] {
        assert_same(&program, &after, &Bindings::batch(2).with("height", height));
    }
}
