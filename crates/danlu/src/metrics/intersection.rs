//! Intersections over unions, as segmentations are judged.

use danlu_graph::Value;

use super::class_matrix::{ClassMatrix, Form, form};
use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::{Arguments, Config, Result};

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
        pub struct $name(ClassMatrix);

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
        let mut matrix = ClassMatrix::new(num_classes, Form::Sparse, Form::Sparse);
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
        MeanIoU(ClassMatrix::new(num_classes, Form::Sparse, Form::Sparse))
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
        let mut matrix = ClassMatrix::new(num_classes, Form::Largest, Form::Largest);
        matrix.targets = Some(target_class_ids.to_vec());
        OneHotIoU(matrix)
    }
}

impl OneHotMeanIoU {
    /// Of so many classes.
    pub fn new(num_classes: usize) -> OneHotMeanIoU {
        OneHotMeanIoU(ClassMatrix::new(num_classes, Form::Largest, Form::Largest))
    }
}

impl BinaryIoU {
    /// Of both classes, with the threshold 0.5.
    pub fn new() -> BinaryIoU {
        let mut matrix = ClassMatrix::new(2, Form::Sparse, Form::From(0.5));
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
