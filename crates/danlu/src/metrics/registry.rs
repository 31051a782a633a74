//! Metrics by name.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{
    AUC, Accuracy, BinaryAccuracy, BinaryIoU, CategoricalAccuracy, ConcordanceCorrelation,
    CosineSimilarityMetric, F1Score, FBetaScore, FalseNegatives, FalsePositives, FromConfig, IoU,
    LossMetric, MeanAbsoluteErrorMetric, MeanIoU, MeanSquaredErrorMetric, Metric, OneHotIoU,
    OneHotMeanIoU, PearsonCorrelation, Precision, PrecisionAtRecall, R2Score, Recall,
    RecallAtPrecision, RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, TopKCategoricalAccuracy,
    TrueNegatives, TruePositives, loss_metrics,
};
use crate::config::snake_case;
use crate::losses::{
    CategoricalHinge, Hinge, KLDivergence, LogCosh, Loss, LossFunction,
    MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Poisson, SquaredHinge, function_name,
};
use crate::{Arguments, Error, Result};

type Make = fn(&mut Arguments) -> Result<Metric>;
type OwnMake = Arc<dyn Fn(&mut Arguments) -> Result<Metric> + Send + Sync>;

/// Keras' class, a shorter name that Keras has too, how it is made.
type Entry = (&'static str, Option<&'static str>, Make);

fn make<M: FromConfig>(arguments: &mut Arguments) -> Result<Metric> {
    Ok(Metric::new(M::from_config(arguments)?))
}

fn of_loss<L: LossFunction + Default>(_: &mut Arguments) -> Result<Metric> {
    Ok(Metric::of_loss(L::default()))
}

const METRICS: [Entry; 42] = [
    ("AUC", None, make::<AUC>),
    ("Accuracy", None, make::<Accuracy>),
    ("BinaryAccuracy", None, make::<BinaryAccuracy>),
    ("BinaryCrossentropy", Some("bce"), |arguments| {
        Ok(Metric::new(loss_metrics::binary(arguments)?))
    }),
    ("BinaryIoU", None, make::<BinaryIoU>),
    ("CategoricalAccuracy", None, make::<CategoricalAccuracy>),
    ("CategoricalCrossentropy", None, |arguments| {
        Ok(Metric::new(loss_metrics::categorical(arguments)?))
    }),
    ("CategoricalHinge", None, of_loss::<CategoricalHinge>),
    (
        "ConcordanceCorrelation",
        None,
        make::<ConcordanceCorrelation>,
    ),
    ("CosineSimilarity", None, make::<CosineSimilarityMetric>),
    ("F1Score", None, make::<F1Score>),
    ("FBetaScore", None, make::<FBetaScore>),
    ("FalseNegatives", None, make::<FalseNegatives>),
    ("FalsePositives", None, make::<FalsePositives>),
    ("Hinge", None, of_loss::<Hinge>),
    ("IoU", None, make::<IoU>),
    ("KLDivergence", None, of_loss::<KLDivergence>),
    ("LogCoshError", None, of_loss::<LogCosh>),
    (
        "MeanAbsoluteError",
        Some("mae"),
        make::<MeanAbsoluteErrorMetric>,
    ),
    (
        "MeanAbsolutePercentageError",
        Some("mape"),
        of_loss::<MeanAbsolutePercentageError>,
    ),
    ("MeanIoU", None, make::<MeanIoU>),
    (
        "MeanSquaredError",
        Some("mse"),
        make::<MeanSquaredErrorMetric>,
    ),
    (
        "MeanSquaredLogarithmicError",
        Some("msle"),
        of_loss::<MeanSquaredLogarithmicError>,
    ),
    ("OneHotIoU", None, make::<OneHotIoU>),
    ("OneHotMeanIoU", None, make::<OneHotMeanIoU>),
    ("PearsonCorrelation", None, make::<PearsonCorrelation>),
    ("Poisson", None, of_loss::<Poisson>),
    ("Precision", None, make::<Precision>),
    ("PrecisionAtRecall", None, make::<PrecisionAtRecall>),
    ("R2Score", None, make::<R2Score>),
    ("Recall", None, make::<Recall>),
    ("RecallAtPrecision", None, make::<RecallAtPrecision>),
    ("RootMeanSquaredError", None, make::<RootMeanSquaredError>),
    (
        "SensitivityAtSpecificity",
        None,
        make::<SensitivityAtSpecificity>,
    ),
    (
        "SparseCategoricalAccuracy",
        None,
        make::<SparseCategoricalAccuracy>,
    ),
    ("SparseCategoricalCrossentropy", None, |arguments| {
        Ok(Metric::new(loss_metrics::sparse(arguments)?))
    }),
    (
        "SparseTopKCategoricalAccuracy",
        None,
        make::<SparseTopKCategoricalAccuracy>,
    ),
    (
        "SpecificityAtSensitivity",
        None,
        make::<SpecificityAtSensitivity>,
    ),
    ("SquaredHinge", None, of_loss::<SquaredHinge>),
    (
        "TopKCategoricalAccuracy",
        None,
        make::<TopKCategoricalAccuracy>,
    ),
    ("TrueNegatives", None, make::<TrueNegatives>),
    ("TruePositives", None, make::<TruePositives>),
];

/// Classes whose names Keras counts where none is given: `precision`, `precision_1`.
const COUNTED: [&str; 16] = [
    "AUC",
    "BinaryIoU",
    "FalseNegatives",
    "FalsePositives",
    "IoU",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
];

pub(super) fn is_counted(class_name: &str) -> bool {
    COUNTED.contains(&class_name)
}

/// Metrics as Keras names those without a name of their own: `precision`, `precision_1`.
pub(crate) fn counted(metrics: Vec<Metric>, taken: &mut Vec<String>) -> Vec<Metric> {
    let name = |metric: Metric| {
        let free = match taken.iter().any(|name| name == metric.name()) && metric.is_counted() {
            true => (1..)
                .map(|number| format!("{}_{number}", metric.name()))
                .find(|name| !taken.contains(name)),
            false => None,
        };
        let metric = match free {
            Some(name) => metric.named(&name),
            None => metric,
        };
        taken.push(metric.name().to_owned());
        metric
    };
    metrics.into_iter().map(name).collect()
}

fn registry() -> &'static RwLock<BTreeMap<String, OwnMake>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, OwnMake>>> = OnceLock::new();
    REGISTRY.get_or_init(RwLock::default)
}

/// Makes a metric of your own known, so that `compile`, files and recipes can name it. `make` takes its arguments from those
/// that are given. The same name may be given again.
///
/// ```
/// use danlu::metrics::{Metric, register_metric};
/// register_metric("largest_error", |_| {
///     Ok(Metric::custom("largest_error", |y_true, y_pred| {
///         y_pred.subtract(y_true)?.abs()?.max(&[-1], false)
///     }))
/// })?;
/// assert!(Metric::from_name("largest_error").is_ok());
/// # Ok::<(), danlu::Error>(())
/// ```
///
/// # Errors
/// The name is one of Danlu's own metrics.
pub fn register_metric<F>(name: &str, make: F) -> Result<()>
where
    F: Fn(&mut Arguments) -> Result<Metric> + Send + Sync + 'static,
{
    if is_builtin(name) || ["accuracy", "acc"].contains(&name) {
        return Err(Error::mismatch(
            "register_metric",
            "a name that none of Danlu's own metrics has",
            format!("`{name}`"),
            "choose another name",
        ));
    }
    let mut own = registry().write().unwrap_or_else(PoisonError::into_inner);
    own.insert(name.to_owned(), Arc::new(make));
    Ok(())
}

/// The names of all metrics that `compile`, files and recipes can name: Keras' and short names, then your own. A loss can
/// be named as well.
pub fn names() -> Vec<String> {
    let own = registry().read().unwrap_or_else(PoisonError::into_inner);
    let builtin = METRICS.iter().flat_map(|(class, short, _)| {
        std::iter::once(snake_case(class)).chain(short.map(str::to_owned))
    });
    builtin
        .chain(["acc".to_owned()])
        .chain(own.keys().cloned())
        .collect()
}

fn builtin(name: &str) -> Option<Make> {
    let name = snake_case(name);
    let is_it = |(class, short, _): &&Entry| snake_case(class) == name || *short == Some(&name);
    METRICS.iter().find(is_it).map(|&(_, _, make)| make)
}

/// Whether a name or class is one of Danlu's own metrics.
pub(super) fn is_builtin(name: &str) -> bool {
    builtin(name).is_some()
}

/// Whether a name is one that a program registered.
pub(super) fn is_own(name: &str) -> bool {
    let own = registry().read().unwrap_or_else(PoisonError::into_inner);
    own.contains_key(name)
}

/// A metric of this name, with arguments.
pub(super) fn make_metric(name: &str, arguments: &mut Arguments) -> Result<Metric> {
    let own = {
        let own = registry().read().unwrap_or_else(PoisonError::into_inner);
        own.get(name).cloned()
    };
    if let Some(make) = own {
        return make(arguments);
    }
    if let Some(make) = builtin(name) {
        return make(arguments);
    }
    if function_name(name).is_some() {
        let loss = Loss::from_name(name)?;
        return Ok(Metric::new(LossMetric::of(&loss)));
    }
    let names = names();
    let classes = METRICS.iter().map(|(class, _, _)| *class);
    let names = names.iter().map(String::as_str).chain(classes);
    Err(Error::unknown("metric", name, names))
}
