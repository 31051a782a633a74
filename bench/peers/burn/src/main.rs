//! The article's model in Burn on its flex backend: training steps on random pictures in memory.
//!
//! `burn-mnist --batch-size 64 --steps 100 --passes 2`; threads are `RAYON_NUM_THREADS`. Prints one line of JSON.

use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};

#[derive(Module, Debug)]
struct Article {
    convolution: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Article {
    fn new(device: &Device) -> Article {
        Article {
            convolution: Conv2dConfig::new([1, 32], [3, 3]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            hidden: LinearConfig::new(5408, 128).init(device),
            output: LinearConfig::new(128, 10).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let x = self
            .pool
            .forward(self.relu.forward(self.convolution.forward(pictures)));
        let x = self.relu.forward(self.hidden.forward(x.flatten(1, 3)));
        self.output.forward(x)
    }
}

/// xorshift64: random enough for pictures whose content does not matter.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The pictures and labels of one batch.
type Batch = (Vec<f32>, Vec<i32>);

struct Training {
    device: Device,
    loss: CrossEntropyLoss,
    optimizer: ModuleOptimizer,
}

impl Training {
    fn step(&mut self, model: Article, (pictures, labels): &Batch) -> (Article, Tensor<1>) {
        let size = labels.len();
        let pictures = Tensor::<4>::from_data(
            TensorData::new(pictures.clone(), [size, 1, 28, 28]),
            &self.device,
        );
        let labels =
            Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [size]), &self.device);
        let loss = self.loss.forward(model.forward(pictures), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        (self.optimizer.step(1e-3, model, gradients), loss.detach())
    }
}

/// The number behind an option.
fn option(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    match arguments.nth(1) {
        Some(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} needs a whole number, not {text}")),
        None => default,
    }
}

fn main() {
    let (size, steps, passes) = (
        option("--batch-size", 64),
        option("--steps", 100),
        option("--passes", 2),
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let batches: Vec<Batch> = (0..steps.min(100))
        .map(|_| {
            let pictures = (0..size * 784)
                .map(|_| (random.next() % 256) as f32 / 255.0)
                .collect();
            (
                pictures,
                (0..size).map(|_| (random.next() % 10) as i32).collect(),
            )
        })
        .collect();
    let device = Device::flex().autodiff();
    let mut training = Training {
        loss: CrossEntropyLossConfig::new().init(&device),
        optimizer: AdamConfig::new().with_epsilon(1e-7).init(),
        device,
    };
    let mut model = Article::new(&training.device);
    for batch in batches.iter().cycle().take(5) {
        model = training.step(model, batch).0;
    }
    let mut times = Vec::new();
    for _ in 0..passes {
        let begin = Instant::now();
        let mut last = None;
        for batch in batches.iter().cycle().take(steps) {
            let (trained, loss) = training.step(model, batch);
            model = trained;
            last = Some(loss);
        }
        if let Some(loss) = last {
            assert!(loss.into_scalar::<f32>().is_finite());
        }
        times.push((begin.elapsed().as_secs_f64() * 1e6 / (steps * size) as f64).to_string());
    }
    println!(
        r#"{{"peer": "Burn flex", "version": "Burn 0.22.1", "us_per_sample": [{}]}}"#,
        times.join(", ")
    );
}
