//! What is computed in one step when well-known models train and predict.

use danlu::graph::StepProfile;
use danlu::prelude::*;

/// The operations of each step, such as `matmul+add+relu`.
struct Steps(Vec<String>);

impl Steps {
    fn new(model: &mut Sequential, examples: usize, training: bool) -> Steps {
        let mut benchmark = model.benchmark(examples, training).unwrap();
        let steps = benchmark.costs().unwrap().unwrap().steps;
        let label = |step: &StepProfile| {
            let names = step.operations.iter();
            let names: Vec<&str> = names.map(|operation| operation.name.as_str()).collect();
            names.join("+")
        };
        Steps(steps.iter().map(label).collect())
    }

    /// How many steps have this property.
    #[track_caller]
    fn expect(&self, count: usize, what: &str, property: impl Fn(&str) -> bool) {
        let found = self.0.iter().filter(|step| property(step)).count();
        assert_eq!(found, count, "{what}: {:#?}", self.0);
    }

    /// Every gradient of a weight is made in the step of its update, and no mask is a pass of its own.
    fn expect_training(&self, kernels: usize) {
        self.expect(kernels, "products that update", |step| {
            let product =
                step.starts_with("matmul+") || step.starts_with("conv2d_weight_gradient+");
            product && step.ends_with(ADAM)
        });
        self.expect(kernels, "biases' updates", |step| step == ADAM);
        self.expect(2 * kernels, "updates", |step| step.ends_with(ADAM));
        self.expect(0, "gradients without their update", |step| {
            step == "conv2d_weight_gradient"
        });
        self.expect(0, "masks of their own", |step| {
            step == "select" || step == "greater+select"
        });
        self.expect(0, "activations of their own", |step| {
            ["relu", "tanh", "add+relu", "add+tanh"].contains(&step)
        });
        self.expect(0, "spread gradients", |step| {
            step.contains("max_pool2d_gradient")
        });
    }
}

/// Adam's step, after the gradient.
const ADAM: &str = "subtract+multiply+add+flush_tiny+square+subtract+multiply+add+flush_tiny+sqrt+add+multiply+divide+subtract";

/// Sizes of batches: fusion does not depend on them.
const BATCHES: [usize; 3] = [1, 7, 64];

/// A model of digits, to be trained with Adam.
fn digits(layers: impl IntoIterator<Item = LayerSpec>) -> Sequential {
    let input = std::iter::once(Input::new([28, 28, 1]).into());
    let mut model = Sequential::from_layers(input.chain(layers));
    let metrics = ["accuracy"];
    model
        .compile(Adam::default(), "sparse_categorical_crossentropy", metrics)
        .unwrap();
    model
}

fn convolution(filters: usize, size: usize, activation: &str) -> LayerSpec {
    Conv2D::new(filters, [size, size])
        .activation(activation)
        .into()
}

fn dense(units: usize, activation: &str) -> LayerSpec {
    Dense::new(units).activation(activation).into()
}

#[test]
fn the_article_s_model() {
    let mut model = digits([
        convolution(32, 3, "relu"),
        MaxPooling2D::new([2, 2]).into(),
        Flatten::new().into(),
        dense(128, "relu"),
        dense(10, "softmax"),
    ]);
    for examples in BATCHES {
        let steps = Steps::new(&mut model, examples, true);
        steps.expect_training(3);
        steps.expect(1, "blocks", |step| step == "conv2d+add+relu+max_pool2d");
        steps.expect(1, "hidden layers", |step| {
            step.starts_with("matmul+add+relu")
        });
        steps.expect(1, "masks of the hidden layer", |step| {
            step == "matmul+select"
        });
        // The mask of the convolution, on what was pooled.
        steps.expect(1, "masks of the block", |step| {
            step == "matmul+greater+select"
        });

        let steps = Steps::new(&mut model, examples, false);
        let expected = [
            "conv2d+add+relu+max_pool2d",
            "matmul+add+relu",
            "matmul+add",
            "softmax",
        ];
        assert_eq!(steps.0, expected);
    }
}

#[test]
fn keras_example_of_a_convolutional_network() {
    let mut model = digits([
        convolution(32, 3, "relu"),
        MaxPooling2D::new([2, 2]).into(),
        convolution(64, 3, "relu"),
        MaxPooling2D::new([2, 2]).into(),
        Flatten::new().into(),
        Dropout::new(0.5).into(),
        dense(10, "softmax"),
    ]);
    for examples in BATCHES {
        let steps = Steps::new(&mut model, examples, true);
        steps.expect_training(3);
        steps.expect(2, "blocks", |step| step == "conv2d+add+relu+max_pool2d");
        steps.expect(1, "masks between the blocks", |step| {
            step == "conv2d_input_gradient+greater+select+sum"
        });
        // Behind the last product: dropout's gradient and the mask of the second block.
        steps.expect(1, "masks of the second block", |step| {
            step == "matmul+select+multiply+greater+select"
        });

        let steps = Steps::new(&mut model, examples, false);
        let block = "conv2d+add+relu+max_pool2d";
        assert_eq!(steps.0, [block, block, "matmul+add", "softmax"]);
    }
}

#[test]
fn lenet() {
    let mut model = digits([
        Conv2D::new(6, [5, 5])
            .padding(Padding::Same)
            .activation("tanh")
            .into(),
        AveragePooling2D::new([2, 2]).into(),
        convolution(16, 5, "tanh"),
        AveragePooling2D::new([2, 2]).into(),
        Flatten::new().into(),
        dense(120, "tanh"),
        dense(84, "tanh"),
        dense(10, "softmax"),
    ]);
    for examples in BATCHES {
        let steps = Steps::new(&mut model, examples, true);
        steps.expect_training(5);
        steps.expect(2, "convolutions", |step| {
            step.starts_with("conv2d+add+tanh")
        });
        steps.expect(2, "hidden layers", |step| {
            step.starts_with("matmul+add+tanh")
        });
        steps.expect(2, "slopes of hidden layers", |step| {
            step == "matmul+multiply"
        });

        let steps = Steps::new(&mut model, examples, false);
        let (convolution, hidden) = ("conv2d+add+tanh", "matmul+add+tanh");
        let pooling = "average_pool2d";
        let expected = [convolution, pooling, convolution, pooling, hidden, hidden];
        assert_eq!(steps.0[..6], expected);
        assert_eq!(steps.0[6..], ["matmul+add", "softmax"]);
    }
}

#[test]
fn a_perceptron() {
    let mut model = digits([
        Flatten::new().into(),
        dense(512, "relu"),
        dense(512, "relu"),
        dense(10, "softmax"),
    ]);
    for examples in BATCHES {
        let steps = Steps::new(&mut model, examples, true);
        steps.expect_training(3);
        steps.expect(2, "hidden layers", |step| {
            step.starts_with("matmul+add+relu")
        });
        steps.expect(2, "masks", |step| step == "matmul+select");

        let steps = Steps::new(&mut model, examples, false);
        let hidden = "matmul+add+relu";
        assert_eq!(steps.0, [hidden, hidden, "matmul+add", "softmax"]);
    }
}

#[test]
fn a_block_with_batch_normalization() {
    let mut model = digits([
        Conv2D::new(8, [3, 3]).use_bias(false).into(),
        BatchNormalization::new().into(),
        ActivationLayer::new("relu").into(),
        MaxPooling2D::new([2, 2]).into(),
        Flatten::new().into(),
        dense(10, "softmax"),
    ]);
    for examples in BATCHES {
        let steps = Steps::new(&mut model, examples, false);
        let expected = [
            // Once: until somebody writes the statistics.
            "add+sqrt+reciprocal+multiply+multiply+subtract",
            "multiply",
            "conv2d+add+relu+max_pool2d",
            "matmul+add",
            "softmax",
        ];
        assert_eq!(steps.0, expected);

        // The statistics follow the convolution; then one pass. Backwards the gradient is spread where it is summed, and in one pass.
        let steps = Steps::new(&mut model, examples, true);
        steps.expect(1, "statistics", |step| step == "conv2d+mean+mean");
        steps.expect(0, "squares", |step| step.starts_with("subtract+square"));
        steps.expect(1, "the normalization", |step| step == "multiply+add+relu");
        steps.expect(1, "the sum of products", |step| {
            step == "max_pool2d_gradient+multiply+sum"
        });
        steps.expect(1, "the way back", |step| {
            step == "subtract+max_pool2d_gradient+multiply+add+add"
        });
    }
}

/// Bytes between the steps of a training step, and bytes that its steps say they move, of a table with so many rows.
fn bytes_of_a_table(rows: usize, optimizer: &str) -> [u64; 2] {
    let mut model = Sequential::new();
    model.add(Input::new([3]));
    model.add(Embedding::new(rows, 8));
    model.add(Flatten::new());
    model.add(Dense::new(1));
    model.compile(optimizer, "mse", Vec::<&str>::new()).unwrap();
    let mut benchmark = model.benchmark(32, true).unwrap();
    let profile = benchmark.costs().unwrap().unwrap();
    let moved = profile.steps.iter().map(|step| step.bytes).sum();
    [profile.arena_bytes, moved]
}

#[test]
fn a_longer_table_costs_no_more() {
    for optimizer in ["sgd", "sparse_adam"] {
        let (short, long) = (
            bytes_of_a_table(10, optimizer),
            bytes_of_a_table(20_000, optimizer),
        );
        assert_eq!(short, long, "{optimizer}");
    }
    // Adam moves every row.
    assert!(bytes_of_a_table(20_000, "adam")[1] > 20_000 * 8 * 4 * 3);
}
