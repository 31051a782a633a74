//! Losses by name.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{
    BinaryCrossentropy, BinaryFocalCrossentropy, CTC, CategoricalCrossentropy,
    CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle,
    CosineSimilarity, Dice, FromConfig, Hinge, Huber, KLDivergence, LogCosh, Loss,
    MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError,
    Poisson, SparseCategoricalCrossentropy, SquaredHinge, Tversky,
};
use crate::config::snake_case;
use crate::{Arguments, Error, Result};

type Make = fn(&mut Arguments) -> Result<Loss>;
type OwnMake = Arc<dyn Fn(&mut Arguments) -> Result<Loss> + Send + Sync>;

/// One of Danlu's own losses.
pub(super) struct Entry {
    /// Keras' class.
    class_name: &'static str,
    /// Keras' function, which is the name to write.
    function: &'static str,
    /// Shorter names, which Keras has too.
    short: &'static [&'static str],
    make: Make,
}

const fn entry(
    class_name: &'static str,
    function: &'static str,
    short: &'static [&'static str],
    make: Make,
) -> Entry {
    Entry {
        class_name,
        function,
        short,
        make,
    }
}

fn make<L: FromConfig>(arguments: &mut Arguments) -> Result<Loss> {
    Ok(Loss::new(L::from_config(arguments)?))
}

const LOSSES: [Entry; 22] = [
    entry(
        "BinaryCrossentropy",
        "binary_crossentropy",
        &["bce"],
        make::<BinaryCrossentropy>,
    ),
    entry(
        "BinaryFocalCrossentropy",
        "binary_focal_crossentropy",
        &[],
        make::<BinaryFocalCrossentropy>,
    ),
    entry("CTC", "ctc", &[], make::<CTC>),
    entry(
        "CategoricalCrossentropy",
        "categorical_crossentropy",
        &[],
        make::<CategoricalCrossentropy>,
    ),
    entry(
        "CategoricalFocalCrossentropy",
        "categorical_focal_crossentropy",
        &[],
        make::<CategoricalFocalCrossentropy>,
    ),
    entry(
        "CategoricalGeneralizedCrossEntropy",
        "categorical_generalized_cross_entropy",
        &[],
        make::<CategoricalGeneralizedCrossEntropy>,
    ),
    entry(
        "CategoricalHinge",
        "categorical_hinge",
        &[],
        make::<CategoricalHinge>,
    ),
    entry("Circle", "circle", &[], make::<Circle>),
    entry(
        "CosineSimilarity",
        "cosine_similarity",
        &[],
        make::<CosineSimilarity>,
    ),
    entry("Dice", "dice", &[], make::<Dice>),
    entry("Hinge", "hinge", &[], make::<Hinge>),
    entry("Huber", "huber", &[], make::<Huber>),
    entry(
        "KLDivergence",
        "kl_divergence",
        &["kld"],
        make::<KLDivergence>,
    ),
    entry("LogCosh", "log_cosh", &[], make::<LogCosh>),
    entry(
        "MeanAbsoluteError",
        "mean_absolute_error",
        &["mae"],
        make::<MeanAbsoluteError>,
    ),
    entry(
        "MeanAbsolutePercentageError",
        "mean_absolute_percentage_error",
        &["mape"],
        make::<MeanAbsolutePercentageError>,
    ),
    entry(
        "MeanSquaredError",
        "mean_squared_error",
        &["mse"],
        make::<MeanSquaredError>,
    ),
    entry(
        "MeanSquaredLogarithmicError",
        "mean_squared_logarithmic_error",
        &["msle"],
        make::<MeanSquaredLogarithmicError>,
    ),
    entry("Poisson", "poisson", &[], make::<Poisson>),
    entry(
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        &[],
        make::<SparseCategoricalCrossentropy>,
    ),
    entry("SquaredHinge", "squared_hinge", &[], make::<SquaredHinge>),
    entry("Tversky", "tversky", &[], make::<Tversky>),
];

/// Names that Keras 3 does not read from files, and what it calls the same.
const ALSO: [(&str, &str); 5] = [
    ("cce", "categorical_crossentropy"),
    ("huber_loss", "huber"),
    ("kullback_leibler_divergence", "kl_divergence"),
    ("logcosh", "log_cosh"),
    ("scce", "sparse_categorical_crossentropy"),
];

fn registry() -> &'static RwLock<BTreeMap<String, OwnMake>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, OwnMake>>> = OnceLock::new();
    REGISTRY.get_or_init(RwLock::default)
}

/// Makes a loss of your own known, so that `compile`, files and recipes can name it. `make` takes its arguments from those
/// that are given. The same name may be given again.
///
/// ```
/// use danlu::losses::{Loss, register_loss};
/// register_loss("cubic", |_| {
///     Ok(Loss::custom("cubic", |y_true, y_pred| {
///         let size = y_pred.subtract(y_true)?.abs()?;
///         size.square()?.multiply(&size)?.mean(&[-1], false)
///     }))
/// })?;
/// assert!(Loss::from_name("cubic").is_ok());
/// # Ok::<(), danlu::Error>(())
/// ```
///
/// # Errors
/// The name is one of Danlu's own losses.
pub fn register_loss<F>(name: &str, make: F) -> Result<()>
where
    F: Fn(&mut Arguments) -> Result<Loss> + Send + Sync + 'static,
{
    if builtin(name).is_some() {
        return Err(Error::mismatch(
            "register_loss",
            "a name that none of Danlu's own losses has",
            format!("`{name}`"),
            "choose another name",
        ));
    }
    let mut own = registry().write().unwrap_or_else(PoisonError::into_inner);
    own.insert(name.to_owned(), Arc::new(make));
    Ok(())
}

/// The names of all losses that `compile`, files and recipes can name: functions, short names, then your own.
pub fn names() -> Vec<String> {
    let own = registry().read().unwrap_or_else(PoisonError::into_inner);
    let builtin = LOSSES.iter().flat_map(|entry| {
        let short = entry.short.iter().copied();
        std::iter::once(entry.function)
            .chain(short)
            .map(str::to_owned)
    });
    builtin.chain(own.keys().cloned()).collect()
}

/// One of Danlu's own, by class, function or short name.
pub(super) fn builtin(name: &str) -> Option<&'static Entry> {
    let name = snake_case(name);
    let name = ALSO
        .iter()
        .find(|(other, _)| *other == name)
        .map_or(name.as_str(), |(_, name)| name);
    LOSSES.iter().find(|entry| {
        snake_case(entry.class_name) == name
            || entry.function == name
            || entry.short.contains(&name)
    })
}

/// The name of Keras' function, where the name is one of Danlu's own losses.
pub(crate) fn function_name(name: &str) -> Option<&'static str> {
    Some(builtin(name)?.function)
}

/// The name by which Keras reads a loss from a file, where it is one that Keras has.
pub(super) fn name_in_files(name: &str) -> String {
    let short = snake_case(name);
    let other = ALSO.iter().find(|(other, _)| *other == short);
    other.map_or(name.to_owned(), |(_, name)| (*name).to_owned())
}

/// A loss of this name, with arguments.
pub(super) fn make_loss(name: &str, arguments: &mut Arguments) -> Result<Loss> {
    let own = {
        let own = registry().read().unwrap_or_else(PoisonError::into_inner);
        own.get(name).cloned()
    };
    if let Some(make) = own {
        return make(arguments);
    }
    if let Some(entry) = builtin(name) {
        return (entry.make)(arguments);
    }
    let names = names();
    let classes = LOSSES.iter().map(|entry| entry.class_name);
    let names = names.iter().map(String::as_str).chain(classes);
    Err(Error::unknown("loss", name, names))
}
