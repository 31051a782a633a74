//! Intersections over unions, as segmentations are judged.

use danlu_graph::{DType, Dim, Shape, Value};

use super::mean::of_elements;
use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::losses::{EPSILON, axis_of_example, last_is_one, shapes_differ, squeeze};
use crate::{Arguments, Config, Error, Result, config};

/// How targets or predictions say classes.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Class indices.
    Sparse,
    /// The place of the largest along an axis.
    Largest,
    /// 1 from this threshold on, else 0.
    From(f64),
}

/// What all of them have: `(classes, classes)` counts of targets and predictions.
#[derive(Clone, Debug)]
struct Matrix {
    classes: usize,
    /// The classes whose mean is taken; `None` for all.
    targets: Option<Vec<usize>>,
    ignored: Option<i64>,
    truth: Form,
    prediction: Form,
    axis: isize,
    /// Keras counts in whole numbers, and so cuts weights to such, unless the dtype is a float.
    dtype: String,
}

impl Matrix {
    fn new(classes: usize, truth: Form, prediction: Form) -> Matrix {
        Matrix {
            classes,
            targets: None,
            ignored: None,
            truth,
            prediction,
            axis: -1,
            dtype: "int64".to_owned(),
        }
    }

    fn check(&self, owner: &str) -> Result<()> {
        if self.classes == 0 {
            return Err(Error::argument(owner, "num_classes", "at least 1", 0));
        }
        let targets = self.targets.as_deref();
        if targets.is_some_and(<[usize]>::is_empty) {
            return Err(Error::argument(
                owner,
                "target_class_ids",
                "at least one class",
                "none",
            ));
        }
        match targets
            .into_iter()
            .flatten()
            .find(|&&class| class >= self.classes)
        {
            Some(class) => {
                let expected = format!("classes below {}", self.classes);
                Err(Error::argument(owner, "target_class_ids", expected, class))
            }
            None => Ok(()),
        }
    }

    fn read(&mut self, arguments: &mut Arguments) -> Result<()> {
        self.ignored = arguments.integer("ignore_class")?;
        self.axis = arguments.integer("axis")?.map_or(-1, |axis| axis as isize);
        if let Some(sparse) = arguments.boolean("sparse_y_pred")? {
            self.prediction = form(sparse);
        }
        self.read_dtype(arguments)
    }

    fn read_dtype(&mut self, arguments: &mut Arguments) -> Result<()> {
        match arguments.string("dtype")?.as_deref() {
            None | Some("int" | "int64") => {}
            Some(dtype @ ("int32" | "float32")) => self.dtype = dtype.to_owned(),
            Some(other) => {
                let expected = "`int`, `int32`, `int64` or `float32`";
                return Err(arguments.wrong("dtype", expected, &other.into()));
            }
        }
        Ok(())
    }

    fn totals(
        &self,
        owner: &str,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Vec<Value>> {
        self.check(owner)?;
        let classes = |value: &Value, form: Form| -> Result<Value> {
            let graph = value.graph();
            Ok(match form {
                Form::Sparse => value.cast(DType::I32)?,
                Form::From(threshold) => {
                    let value = value.cast(DType::F32)?;
                    let threshold = graph.scalar(threshold, DType::F32)?;
                    value.greater_equal(&threshold)?.cast(DType::I32)?
                }
                Form::Largest => {
                    axis_of_example(owner, self.axis, value)?;
                    value.argmax(self.axis)?
                }
            })
        };
        let mut truth = classes(y_true, self.truth)?;
        let mut said = classes(y_pred, self.prediction)?;
        let has_more = |longer: &Value, shorter: &Value| {
            longer.shape().rank() == shorter.shape().rank() + 1 && last_is_one(longer)
        };
        if has_more(&truth, &said) {
            truth = squeeze(&truth)?;
        } else if has_more(&said, &truth) {
            said = squeeze(&said)?;
        }
        if truth.shape() != said.shape() {
            let advice = "targets and predictions must name a class for the same places";
            return Err(shapes_differ(owner, y_true, y_pred, advice));
        }
        let graph = truth.graph();
        let mut weights = of_elements(weights, &truth)?;
        if self.dtype != "float32" {
            weights = weights.cast(DType::I32)?.cast(DType::F32)?;
        }
        if let Some(ignored) = self.ignored {
            let ignored = graph.scalar(ignored as f64, DType::I32)?;
            weights = weights.multiply(&truth.not_equal(&ignored)?.cast(DType::F32)?)?;
        }
        // A class that is none has a row of zeros, and so counts for nothing.
        let column = Shape::from(vec![truth.shape().element_count(), Dim::fixed(1)]);
        let places = graph.iota(Shape::from([self.classes].as_slice()), 0, DType::I32)?;
        let one_hot = |classes: &Value| -> Result<Value> {
            Ok(classes.reshape(&column)?.equal(&places)?.cast(DType::F32)?)
        };
        let truth = one_hot(&truth)?.multiply(&weights.reshape(&column)?)?;
        Ok(vec![truth.matmul_with(&one_hot(&said)?, true, false)?])
    }

    fn result(&self, totals: Totals<'_>) -> f64 {
        let (matrix, classes) = (totals.get(0), self.classes);
        let of = |class: usize| -> Option<f64> {
            let both = matrix[class * classes + class];
            let row: f64 = matrix[class * classes..(class + 1) * classes].iter().sum();
            let column: f64 = (0..classes)
                .map(|other| matrix[other * classes + class])
                .sum();
            let either = row + column - both;
            (either > 1e-9).then(|| both / (either + EPSILON))
        };
        let add = |(sum, count): (f64, f64), class: usize| match of(class) {
            Some(value) => (sum + value, count + 1.0),
            None => (sum, count),
        };
        let (sum, count) = match &self.targets {
            Some(targets) => targets.iter().copied().fold((0.0, 0.0), add),
            None => (0..classes).fold((0.0, 0.0), add),
        };
        sum / (count + EPSILON)
    }

    fn config(&self, arguments: &[&str]) -> Config {
        let mut config = config! {
            "num_classes": self.classes,
            "target_class_ids": self.targets,
            "dtype": self.dtype,
            "ignore_class": self.ignored,
            "sparse_y_true": matches!(self.truth, Form::Sparse),
            "sparse_y_pred": matches!(self.prediction, Form::Sparse),
            "axis": self.axis,
        };
        config.retain(|argument, _| argument == "dtype" || arguments.contains(&argument.as_str()));
        config
    }
}

fn form(sparse: bool) -> Form {
    match sparse {
        true => Form::Sparse,
        false => Form::Largest,
    }
}

fn read_targets(arguments: &mut Arguments) -> Result<Option<Vec<usize>>> {
    let Some(given) = arguments.integers("target_class_ids")? else {
        return Ok(None);
    };
    let targets = given
        .iter()
        .map(|&class| usize::try_from(class).ok())
        .collect::<Option<_>>();
    match targets {
        Some(targets) => Ok(Some(targets)),
        None => Err(arguments.wrong("target_class_ids", "numbers of 0 or above", &given.into())),
    }
}

macro_rules! intersection {
    ($(#[$meta:meta])* $name:ident, $key:literal, $arguments:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name(Matrix);

        impl MetricFunction for $name {
            fn class_name(&self) -> &str {
                stringify!($name)
            }
            fn name(&self) -> &str {
                $key
            }
            fn config(&self) -> Config {
                let mut config = self.0.config(&$arguments);
                if let Form::From(threshold) = self.0.prediction {
                    config.insert("threshold".to_owned(), threshold.into());
                }
                config
            }
            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
            fn totals(
                &self,
                y_true: &Value,
                y_pred: &Value,
                weights: Option<&Value>,
            ) -> Result<Vec<Value>> {
                self.0.totals(stringify!($name), y_true, y_pred, weights)
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                self.0.result(totals)
            }
        }
    };
}

macro_rules! of_classes {
    ($name:ident) => {
        impl $name {
            /// A class that counts for nothing as a target. Default: none.
            #[must_use]
            pub fn ignore_class(mut self, class: i64) -> $name {
                self.0.ignored = Some(class);
                self
            }

            /// Whether predictions are class indices, instead of a number for each class.
            #[must_use]
            pub fn sparse_y_pred(mut self, sparse: bool) -> $name {
                self.0.prediction = form(sparse);
                self
            }

            /// The axis of the classes, where there is a number for each. Default -1.
            #[must_use]
            pub fn axis(mut self, axis: isize) -> $name {
                self.0.axis = axis;
                self
            }
        }
    };
}

intersection! {
    /// Of some classes, the mean of: elements that are and were said to be of the class, over those that are or were said
    /// to be (Keras' `IoU`). Targets and predictions are class indices; classes that never come up are left out. As in
    /// Keras, weights are cut to whole numbers.
    IoU, "io_u",
    ["num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"]
}
intersection! {
    /// As [`IoU`], of all classes (Keras' `MeanIoU`).
    MeanIoU, "mean_io_u",
    ["num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"]
}
intersection! {
    /// As [`IoU`], with targets and predictions as a number for each class (Keras' `OneHotIoU`).
    OneHotIoU, "one_hot_io_u",
    ["num_classes", "target_class_ids", "ignore_class", "sparse_y_pred", "axis"]
}
intersection! {
    /// As [`MeanIoU`], with targets and predictions as a number for each class (Keras' `OneHotMeanIoU`).
    OneHotMeanIoU, "one_hot_mean_io_u", ["num_classes", "ignore_class", "sparse_y_pred", "axis"]
}
intersection! {
    /// As [`IoU`], of the classes 0 and 1, where predictions count as 1 from a threshold on (Keras' `BinaryIoU`).
    BinaryIoU, "binary_io_u", ["target_class_ids"]
}
of_classes!(IoU);
of_classes!(MeanIoU);
of_classes!(OneHotIoU);
of_classes!(OneHotMeanIoU);

impl IoU {
    /// Of these among so many classes.
    pub fn new(num_classes: usize, target_class_ids: &[usize]) -> IoU {
        let mut matrix = Matrix::new(num_classes, Form::Sparse, Form::Sparse);
        matrix.targets = Some(target_class_ids.to_vec());
        IoU(matrix)
    }

    /// Whether targets are class indices, instead of a number for each class. Default `true`.
    #[must_use]
    pub fn sparse_y_true(mut self, sparse: bool) -> IoU {
        self.0.truth = form(sparse);
        self
    }
}

impl MeanIoU {
    /// Of so many classes.
    pub fn new(num_classes: usize) -> MeanIoU {
        MeanIoU(Matrix::new(num_classes, Form::Sparse, Form::Sparse))
    }

    /// Whether targets are class indices, instead of a number for each class. Default `true`.
    #[must_use]
    pub fn sparse_y_true(mut self, sparse: bool) -> MeanIoU {
        self.0.truth = form(sparse);
        self
    }
}

impl OneHotIoU {
    /// Of these among so many classes.
    pub fn new(num_classes: usize, target_class_ids: &[usize]) -> OneHotIoU {
        let mut matrix = Matrix::new(num_classes, Form::Largest, Form::Largest);
        matrix.targets = Some(target_class_ids.to_vec());
        OneHotIoU(matrix)
    }
}

impl OneHotMeanIoU {
    /// Of so many classes.
    pub fn new(num_classes: usize) -> OneHotMeanIoU {
        OneHotMeanIoU(Matrix::new(num_classes, Form::Largest, Form::Largest))
    }
}

impl BinaryIoU {
    /// Of both classes, with the threshold 0.5.
    pub fn new() -> BinaryIoU {
        let mut matrix = Matrix::new(2, Form::Sparse, Form::From(0.5));
        matrix.targets = Some(vec![0, 1]);
        BinaryIoU(matrix)
    }

    /// The smallest number that counts as 1. Default 0.5.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> BinaryIoU {
        self.0.prediction = Form::From(threshold);
        self
    }

    /// The classes, 0 and 1 or one of them, whose mean is taken. Default: both.
    #[must_use]
    pub fn target_class_ids(mut self, classes: &[usize]) -> BinaryIoU {
        self.0.targets = Some(classes.to_vec());
        self
    }
}

impl Default for BinaryIoU {
    fn default() -> BinaryIoU {
        BinaryIoU::new()
    }
}

fn read_classes(arguments: &mut Arguments) -> Result<usize> {
    let classes = arguments.positive("num_classes")?;
    arguments.required("num_classes", classes)
}

fn read_required_targets(arguments: &mut Arguments) -> Result<Vec<usize>> {
    let targets = read_targets(arguments)?;
    arguments.required("target_class_ids", targets)
}

impl FromConfig for IoU {
    fn from_config(arguments: &mut Arguments) -> Result<IoU> {
        let classes = read_classes(arguments)?;
        let mut metric = IoU::new(classes, &read_required_targets(arguments)?);
        metric.0.truth = form(arguments.boolean("sparse_y_true")?.unwrap_or(true));
        metric.0.read(arguments)?;
        metric.0.check(arguments.owner())?;
        Ok(metric)
    }
}

impl FromConfig for MeanIoU {
    fn from_config(arguments: &mut Arguments) -> Result<MeanIoU> {
        let mut metric = MeanIoU::new(read_classes(arguments)?);
        metric.0.truth = form(arguments.boolean("sparse_y_true")?.unwrap_or(true));
        metric.0.read(arguments)?;
        Ok(metric)
    }
}

impl FromConfig for OneHotIoU {
    fn from_config(arguments: &mut Arguments) -> Result<OneHotIoU> {
        let classes = read_classes(arguments)?;
        let mut metric = OneHotIoU::new(classes, &read_required_targets(arguments)?);
        metric.0.read(arguments)?;
        metric.0.check(arguments.owner())?;
        Ok(metric)
    }
}

impl FromConfig for OneHotMeanIoU {
    fn from_config(arguments: &mut Arguments) -> Result<OneHotMeanIoU> {
        let mut metric = OneHotMeanIoU::new(read_classes(arguments)?);
        metric.0.read(arguments)?;
        Ok(metric)
    }
}

impl FromConfig for BinaryIoU {
    fn from_config(arguments: &mut Arguments) -> Result<BinaryIoU> {
        let mut metric = BinaryIoU::new();
        if let Some(targets) = read_targets(arguments)? {
            metric.0.targets = Some(targets);
        }
        if let Some(threshold) = arguments.number("threshold")? {
            metric.0.prediction = Form::From(threshold);
        }
        metric.0.read_dtype(arguments)?;
        metric.0.check(arguments.owner())?;
        Ok(metric)
    }
}
