//! What the command line may hold.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Trains, evaluates and runs neural networks; reads and writes Keras' model files.
#[derive(Debug, Parser)]
#[command(name = "danlu", version, propagate_version = false)]
#[command(
    after_help = "Results go to standard output, everything else to standard error.\n\
    Exit codes: 0 done, 1 failed, 2 usage or configuration, 130 interrupted."
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a recipe's model, or train a model on
    Train(TrainArguments),
    /// Loss and metrics of a model on data
    Evaluate(EvaluateArguments),
    /// Outputs of a model for pictures and arrays
    Predict(PredictArguments),
    /// The layers of a model or a recipe
    Summary(SummaryArguments),
    /// Write a model in another format
    Convert(ConvertArguments),
    /// Time a model, a recipe's model or one operation on random inputs
    Bench(BenchArguments),
    /// List the built-in recipes, or show one
    Recipes(RecipesArguments),
    /// List the trainings that were made: state, figures, time
    Runs(RunsArguments),
    /// Settings, figures and curves of trainings side by side
    Compare(CompareArguments),
    /// List the layers that recipes can name, or show one with its arguments
    Layers(LayersArguments),
    /// List the architectures that recipes can name, or show one with its arguments
    Architectures(ArchitecturesArguments),
}

/// Where a command runs.
#[derive(Args, Clone, Debug, Default)]
pub struct DeviceArguments {
    /// Number of threads; it never changes a result [default: the physical cores]
    #[arg(long, value_name = "N", value_parser = parse_threads, allow_negative_numbers = true)]
    pub threads: Option<usize>,
    /// Instruction set: avx512, avx2, neon or portable [default: the best of this machine]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<String>,
}

/// `danlu train`
#[derive(Args, Clone, Debug)]
pub struct TrainArguments {
    /// A built-in recipe's name, a recipe file (.toml), a model to train on (.keras, .h5, a run folder), or an architecture's name
    #[arg(value_name = "RECIPE|MODEL", required_unless_present = "resume")]
    pub subject: Option<String>,
    /// Go on with the run in this folder from its last checkpoint, as if it had never been cut
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// With --resume: go on with another instruction set than the run was begun with, though its numbers differ then
    #[arg(long, requires = "resume")]
    pub force: bool,
    /// Data: a built-in dataset's or recipe's name, a recipe file, a folder with IDX files, or an .npz file [default: the recipe's]
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Times that all examples are seen [default: the recipe's; 1 for a model]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    pub epochs: Option<i64>,
    /// Examples of a training step [default: the recipe's; 32 for a model]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    pub batch_size: Option<i64>,
    /// The optimizer's learning rate [default: the recipe's; a model's own]
    #[arg(long, value_name = "RATE", value_parser = parse_above_zero, allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    /// Share of the training examples, the last ones, kept for validation: from 0 up to, without, 1
    #[arg(long, value_name = "SHARE", value_parser = parse_share, allow_negative_numbers = true)]
    pub validation_split: Option<f64>,
    /// Seed of everything random: initial weights, shuffling, dropout
    #[arg(long, value_name = "N", value_parser = parse_seed, allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// Train N times, with this seed and the ones after it, each in <out>/seed-<seed>, and give mean and spread
    #[arg(long, value_name = "N", value_parser = parse_seeds, conflicts_with_all = ["save", "profile", "resume"], allow_negative_numbers = true)]
    pub seeds: Option<u64>,
    /// Factor of pictures' bytes, such as 0.00392156862745098 (1/255)
    #[arg(long, value_name = "FACTOR", value_parser = parse_above_zero, allow_negative_numbers = true)]
    pub pixel_scale: Option<f64>,
    /// Override any key of the recipe, such as training.optimizer.learning_rate=0.01 or model.layers.0.filters=16; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Begin with the weights of this model (.keras, .h5, a run folder, .safetensors)
    #[arg(long, value_name = "MODEL")]
    pub init: Option<String>,
    /// The run folder to make; it must not exist [default: runs/<recipe>-<n>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the trained model once more: .keras, .h5, or .safetensors (weights only)
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Measure where the time of the training steps goes, by operation and layer, beside what this machine can do at most
    #[arg(long)]
    pub profile: bool,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No progress and no notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// `danlu evaluate`
#[derive(Args, Debug)]
pub struct EvaluateArguments {
    /// A model: .keras, .h5, or a run folder
    pub model: String,
    /// Data: a built-in dataset's or recipe's name, a recipe file, a folder with IDX files, or an .npz file
    #[arg(long, value_name = "SOURCE")]
    pub data: String,
    /// Factor of pictures' bytes [default: the model's]
    #[arg(long, value_name = "FACTOR", value_parser = parse_above_zero, allow_negative_numbers = true)]
    pub pixel_scale: Option<f64>,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// `danlu predict`
#[derive(Args, Debug)]
pub struct PredictArguments {
    /// A model: .keras, .h5, or a run folder
    pub model: String,
    /// Files with examples (PNG, IDX, NPY, NPZ); - is standard input. For a model of several inputs each is an NPZ file with an array for each
    #[arg(required_unless_present = "named", value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// A file with examples of one input of a model of several; repeatable, one for each input
    #[arg(long = "input", value_name = "NAME=FILE", conflicts_with = "inputs")]
    pub named: Vec<String>,
    /// Write to this file instead: .npy (the outputs alone), .npz (each output alone, by its name), .csv or .jsonl
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Examples that are computed together; it never changes a result
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = parse_batch_size, allow_negative_numbers = true)]
    pub batch_size: usize,
    /// Factor of pictures' bytes [default: the model's]
    #[arg(long, value_name = "FACTOR", value_parser = parse_above_zero, allow_negative_numbers = true)]
    pub pixel_scale: Option<f64>,
    /// Print one JSON list on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// `danlu summary`
#[derive(Args, Debug)]
pub struct SummaryArguments {
    /// A model (.keras, .h5, a run folder), a built-in recipe's name, a recipe file, or an architecture's name
    #[arg(value_name = "MODEL|RECIPE")]
    pub subject: String,
    /// Data that gives a recipe's model its input shape [default: the recipe's]
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Print the operations of a training step (of a prediction, where the model is not compiled) instead
    #[arg(long)]
    pub graph: bool,
    /// Write a picture of the model to this file, an .svg, instead; one that is there is replaced
    #[arg(long, value_name = "FILE", conflicts_with = "graph")]
    pub svg: Option<PathBuf>,
}

/// `danlu convert`
#[derive(Args, Debug)]
pub struct ConvertArguments {
    /// The model to read: .keras, .h5, or a run folder
    #[arg(value_name = "IN")]
    pub input: String,
    /// The file to write: .keras, .h5, or .safetensors (weights only)
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
}

/// `danlu bench`
#[derive(Args, Debug)]
#[command(
    override_usage = "danlu bench [OPTIONS] <MODEL|RECIPE>\n       danlu bench [OPTIONS] --op <NAME> --shape <SIZES>",
    after_help = "Operations and their shapes (f32; axis 0 is the batch):\n  \
    conv2d            --shape 32x28x28x64 --kernel 64x3x3 [--stride 2] [--padding same] [--dilation 2] [--groups 4]\n  \
    matmul            --shape 64x5408x128, for (64, 5408) times (5408, 128)\n  \
    max_pool2d, average_pool2d  --shape 32x28x28x64 --kernel 2x2 [--stride 2] [--padding same]\n  \
    softmax, log_softmax        --shape 64x1000, over the last axis\n  \
    sum, mean, max, min, logsumexp  --shape 64x1000 [--axes 0,1]\n  \
    relu, exp, tanh, sigmoid, add, multiply, ...  --shape 64x1000\n  \
    optimizer         --optimizer adam --shape 10000000, the step on one parameter beside the speed of memory for as many arrays\n\n\
    conv2d and matmul are timed forward and for the gradients of input and weights, pooling for that of its input."
)]
pub struct BenchArguments {
    /// A model (.keras, .h5, a run folder), a built-in recipe's name, a recipe file, or an architecture's name
    #[arg(
        value_name = "MODEL|RECIPE",
        required_unless_present = "op",
        conflicts_with = "op"
    )]
    pub subject: Option<String>,
    /// Numbers of examples, separated by commas [default: 1,64; the shape's own for an operation]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = parse_batch_size, allow_negative_numbers = true)]
    pub batch: Vec<usize>,
    /// Time a training step instead of a prediction
    #[arg(long, conflicts_with = "op")]
    pub train: bool,
    /// Say where the time goes, by operation and by layer
    #[arg(long, conflicts_with = "op")]
    pub profile: bool,
    /// Data that gives a recipe's model its input shape [default: the recipe's]
    #[arg(long, value_name = "SOURCE", conflicts_with = "op")]
    pub data: Option<String>,
    #[command(flatten)]
    pub operation: OperationArguments,
    /// Run exactly so many times, without warming up [default: warm up, then about a second]
    #[arg(long, value_name = "N", value_parser = parse_iterations, allow_negative_numbers = true)]
    pub iterations: Option<usize>,
    /// Do not measure what this machine can do at most
    #[arg(long)]
    pub no_peak: bool,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// One operation, on the command line of `danlu bench`.
#[derive(Args, Clone, Debug, Default)]
pub struct OperationArguments {
    /// Time this operation instead of a model; see below
    #[arg(long, value_name = "NAME")]
    pub op: Option<String>,
    /// Sizes of what it works on, joined with x
    #[arg(long, value_name = "SIZES", conflicts_with = "subject")]
    pub shape: Option<String>,
    /// Filters, rows and columns of a convolution (64x3x3), or a pooling's window (2x2)
    #[arg(long, value_name = "SIZES", conflicts_with = "subject")]
    pub kernel: Option<String>,
    /// Distance between windows, such as 2 or 2x1 [default: 1; a pooling's window]
    #[arg(long, value_name = "SIZES", conflicts_with = "subject")]
    pub stride: Option<String>,
    /// What surrounds the input [default: valid]
    #[arg(long, value_parser = ["valid", "same"], conflicts_with = "subject")]
    pub padding: Option<String>,
    /// Distance between the kernel's taps, such as 2 or 2x1 [default: 1]
    #[arg(long, value_name = "SIZES", conflicts_with = "subject")]
    pub dilation: Option<String>,
    /// Into how many groups channels and filters are cut [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_batch_size, conflicts_with = "subject", allow_negative_numbers = true)]
    pub groups: Option<usize>,
    /// The axes that a reduction takes away, counted from 0 [default: all]
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        conflicts_with = "subject"
    )]
    pub axes: Vec<usize>,
    /// The optimizer whose step is timed, such as adam
    #[arg(long, value_name = "NAME", conflicts_with = "subject")]
    pub optimizer: Option<String>,
}

impl OperationArguments {
    /// The options that only some operations have, and whether each was given.
    pub fn given(&self) -> [(&'static str, bool); 6] {
        [
            ("--kernel", self.kernel.is_some()),
            ("--stride", self.stride.is_some()),
            ("--padding", self.padding.is_some()),
            ("--dilation", self.dilation.is_some()),
            ("--groups", self.groups.is_some()),
            ("--axes", !self.axes.is_empty()),
        ]
    }
}

/// `danlu runs`
#[derive(Debug, Args)]
pub struct RunsArguments {
    /// Folders with run folders, or run folders [default: runs]
    #[arg(value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Only runs of which this holds, such as val_accuracy>0.9, state=finished or training.batch_size=64; repeatable
    #[arg(long, value_name = "KEY>VALUE")]
    pub filter: Vec<String>,
    /// Sort by this key; with - before it, from the largest on: --sort=-val_accuracy
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// `danlu compare`
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// Run folders, or folders of several (of --seeds)
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Draw the curves of all into this file, an .svg
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// `danlu layers`
#[derive(Debug, Args)]
pub struct LayersArguments {
    /// A layer's type, such as Conv2D [default: list all]
    pub name: Option<String>,
    /// Print one JSON object (or list) on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// `danlu architectures`
#[derive(Debug, Args)]
pub struct ArchitecturesArguments {
    /// An architecture's name, such as resnet20 [default: list all]
    pub name: Option<String>,
    /// Print one JSON object (or list) on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// `danlu recipes`
#[derive(Args, Debug)]
pub struct RecipesArguments {
    #[command(subcommand)]
    pub action: Option<RecipesAction>,
}

/// What to do with the built-in recipes.
#[derive(Debug, Subcommand)]
pub enum RecipesAction {
    /// List the built-in recipes (the default)
    List,
    /// Print a built-in recipe, to be changed and trained: danlu recipes show mnist > mine.toml
    Show {
        /// The recipe's name
        name: String,
    },
}

fn parse_threads(text: &str) -> Result<usize, String> {
    parse_between(text, 1, 1024)
}

fn parse_batch_size(text: &str) -> Result<usize, String> {
    parse_between(text, 1, 1 << 20)
}

fn parse_iterations(text: &str) -> Result<usize, String> {
    parse_between(text, 1, 1_000_000_000)
}

fn parse_count(text: &str) -> Result<i64, String> {
    parse_between(text, 1, i64::from(i32::MAX))
}

fn parse_seeds(text: &str) -> Result<u64, String> {
    parse_between(text, 1, 10_000)
}

fn parse_seed(text: &str) -> Result<i64, String> {
    parse_between(text, 0, i64::MAX)
}

fn parse_above_zero(text: &str) -> Result<f64, String> {
    let fits = |number: &f64| number.is_finite() && *number > 0.0;
    let number = text.parse().ok().filter(fits);
    number.ok_or_else(|| "expected a number above 0, such as 0.001".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|share| (0.0..1.0).contains(share))
        .ok_or_else(|| "expected a number from 0 up to, without, 1, such as 0.2".to_owned())
}

fn parse_between<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}
