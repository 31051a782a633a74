//! The one error of this crate.

use crate::diagnosis::Diagnosis;

/// What went wrong with a model: what failed and at which layer, what was expected, what was received, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer that could not be made, built or called.
    #[error("{layer}: {source}")]
    Layer {
        /// The layer: its place, its name or its type.
        layer: String,
        /// What went wrong in it.
        source: Box<Error>,
    },
    /// A name that stands for nothing.
    #[error("there is no {kind} named `{name}`{suggestion}")]
    Unknown {
        /// What kind of thing was looked for, such as `activation`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// As [`danlu_data::suggest::hint`] makes it, or nothing.
        suggestion: String,
    },
    /// An argument that its owner does not have.
    #[error("{owner} has no argument `{argument}`{suggestion}")]
    UnknownArgument {
        /// The layer, optimizer, loss, ... by its type.
        owner: String,
        /// The argument that was given.
        argument: String,
        /// As [`danlu_data::suggest::hint`] makes it, or nothing.
        suggestion: String,
    },
    /// An argument with a value that it cannot have.
    #[error("{owner}: `{argument}` must be {expected}, received {received}")]
    Argument {
        /// The layer, optimizer, loss, method, ...
        owner: String,
        /// The argument.
        argument: String,
        /// What it may be.
        expected: String,
        /// What it is.
        received: String,
    },
    /// A valid thing of Keras' that this version does not have.
    #[error("{owner}: {feature} is not supported; {advice}")]
    Unsupported {
        /// The layer, optimizer, file, ...
        owner: String,
        /// What is asked for.
        feature: String,
        /// What to do instead.
        advice: String,
    },
    /// Two things that must fit do not.
    #[error("{subject}: expected {expected}, received {received}{advice}")]
    Mismatch {
        /// What is wrong.
        subject: String,
        /// What it should be.
        expected: String,
        /// What it is.
        received: String,
        /// What to do, beginning with `; `, or nothing.
        advice: String,
    },
    /// Something was asked of a model that is not ready for it.
    #[error("{action}: {problem}; {advice}")]
    NotReady {
        /// The method that was called.
        action: &'static str,
        /// What is missing.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// A label that is no class of the model.
    #[error(
        "{dataset}: example {example} has the label {value}, but the model has {classes} classes, whose labels are 0 to \
         {last}; correct the label or give the model's last layer more units",
        last = classes.saturating_sub(1)
    )]
    Label {
        /// The dataset or the batch.
        dataset: String,
        /// Which example, counted from 0.
        example: usize,
        /// Its label.
        value: f64,
        /// How many classes the model has.
        classes: usize,
    },
    /// The loss, or a parameter, became infinite or NaN; the weights are not to be trusted any more.
    #[error("{what} became {value} in epoch {epoch}{}", why(*.step, *.learning_rate, .diagnosis.as_deref()))]
    NotFinite {
        /// `the loss`, or a parameter's name.
        what: String,
        /// Which epoch, counted from 1.
        epoch: usize,
        /// Which step of the epoch, counted from 1, where it is known.
        step: Option<usize>,
        /// What the loss was.
        value: f64,
        /// The learning rate at that step.
        learning_rate: f64,
        /// Where it began, and why, if that is known: see [`Model::find_non_finite`](crate::Model::find_non_finite).
        diagnosis: Option<Box<Diagnosis>>,
    },
    /// The graph or the executor.
    #[error(transparent)]
    Graph(#[from] danlu_graph::Error),
    /// The data.
    #[error(transparent)]
    Data(#[from] danlu_data::Error),
    /// A model file.
    #[error(transparent)]
    File(#[from] crate::files::Error),
    /// What a user's own layer, loss, metric or callback reported.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// The step in which a number became infinite or NaN, and what there is to say about it.
fn why(step: Option<usize>, learning_rate: f64, diagnosis: Option<&Diagnosis>) -> String {
    let step = match step {
        Some(step) => format!(", step {step} (both counted from 1)"),
        None => " (counted from 1)".to_owned(),
    };
    match diagnosis {
        Some(diagnosis) => format!("{step}: {diagnosis}"),
        None => format!(
            "{step}; try a smaller learning rate (now {learning_rate}), clipping (clipnorm), or look for infinite or unscaled \
             numbers in the data"
        ),
    }
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<String> for Error {
    /// What a program of a user's reports in its own words.
    fn from(message: String) -> Error {
        Error::Other(message.into())
    }
}

impl Error {
    /// An argument with a value that it cannot have.
    pub fn argument(
        owner: impl Into<String>,
        argument: impl Into<String>,
        expected: impl Into<String>,
        received: impl ToString,
    ) -> Error {
        Error::Argument {
            owner: owner.into(),
            argument: argument.into(),
            expected: expected.into(),
            received: received.to_string(),
        }
    }

    /// A name that stands for nothing, with the nearest of those that do.
    pub fn unknown<'a>(
        kind: &'static str,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    ) -> Error {
        Error::Unknown {
            kind,
            name: name.to_owned(),
            suggestion: danlu_data::suggest::hint(name, candidates),
        }
    }

    /// Two things that must fit do not; `advice` is a clause, or nothing.
    pub fn mismatch(
        subject: impl Into<String>,
        expected: impl Into<String>,
        received: impl Into<String>,
        advice: &str,
    ) -> Error {
        Error::Mismatch {
            subject: subject.into(),
            expected: expected.into(),
            received: received.into(),
            advice: match advice {
                "" => String::new(),
                advice => format!("; {advice}"),
            },
        }
    }

    /// A valid thing of Keras' that this version does not have.
    pub fn unsupported(
        owner: impl Into<String>,
        feature: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        Error::Unsupported {
            owner: owner.into(),
            feature: feature.into(),
            advice: advice.into(),
        }
    }

    /// The same error with the layer in which it happened; one that names its layer already stays as it is.
    #[must_use]
    pub fn in_layer(self, layer: &str) -> Error {
        match self {
            Error::Layer { .. } => self,
            Error::Graph(ref error) if error.path().is_some() => self,
            source => Error::Layer {
                layer: layer.to_owned(),
                source: Box::new(source),
            },
        }
    }
}
