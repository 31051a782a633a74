//! Counts of targets and predictions by class, and the intersections over unions that they give.

use danlu_graph::{DType, Dim, Shape, Value};

use super::Totals;
use super::mean::of_elements;
use crate::losses::{EPSILON, axis_of_example, last_is_one, shapes_differ, squeeze};
use crate::{Arguments, Config, Error, Result, config};

/// How targets or predictions say classes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Class indices.
    Sparse,
    /// The place of the largest along an axis.
    Largest,
    /// 1 from this threshold on, else 0.
    From(f64),
}

/// What all of them have: `(classes, classes)` counts of targets and predictions.
#[derive(Clone, Debug)]
pub(super) struct ClassMatrix {
    pub classes: usize,
    /// The classes whose mean is taken; `None` for all.
    pub targets: Option<Vec<usize>>,
    pub ignored: Option<i64>,
    pub truth: Form,
    pub prediction: Form,
    pub axis: isize,
    /// Keras counts in whole numbers, and so cuts weights to such, unless the dtype is a float.
    dtype: String,
}

impl ClassMatrix {
    pub fn new(classes: usize, truth: Form, prediction: Form) -> ClassMatrix {
        ClassMatrix {
            classes,
            targets: None,
            ignored: None,
            truth,
            prediction,
            axis: -1,
            dtype: "int64".to_owned(),
        }
    }

    pub fn check(&self, owner: &str) -> Result<()> {
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

    pub fn read(&mut self, arguments: &mut Arguments) -> Result<()> {
        self.ignored = arguments.integer("ignore_class")?;
        self.axis = arguments.integer("axis")?.map_or(-1, |axis| axis as isize);
        if let Some(sparse) = arguments.boolean("sparse_y_pred")? {
            self.prediction = form(sparse);
        }
        self.read_dtype(arguments)
    }

    pub fn read_dtype(&mut self, arguments: &mut Arguments) -> Result<()> {
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

    pub fn totals(
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

    pub fn result(&self, totals: Totals<'_>) -> f64 {
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

    pub fn config(&self, arguments: &[&str]) -> Config {
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

/// Class indices, or a number for each class.
pub(super) fn form(sparse: bool) -> Form {
    match sparse {
        true => Form::Sparse,
        false => Form::Largest,
    }
}
