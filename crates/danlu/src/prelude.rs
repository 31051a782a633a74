//! What a program usually needs: `use danlu::prelude::*;`.

pub use danlu_data::{ArrayDataset, Batch, BatchSource, Dataset, IteratorSource, Subset};
pub use danlu_graph::{DType, Tensor};

pub use crate::activations::Activation;
pub use crate::constraints::{Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm};
pub use crate::initializers::Initializer;
pub use crate::layers::{
    ActivationLayer, ActivityRegularization, AveragePooling2D, BatchNormalization, Conv2D, Dense,
    Dropout, Flatten, GroupNormalization, Input, Layer, LayerNormalization, LayerSpec,
    MaxPooling2D, Normalization, PReLU, Padding, RMSNormalization, Rescaling, Reshape,
    UnitNormalization,
};
pub use crate::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanAbsoluteError, MeanSquaredError,
    SparseCategoricalCrossentropy,
};
pub use crate::metrics::{BinaryAccuracy, CategoricalAccuracy, Metric, SparseCategoricalAccuracy};
pub use crate::model::{LoadOptions, Model, Sequential};
pub use crate::optimizers::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Clipping, Ftrl, Lamb, LearningRate, Lion,
    Muon, Nadam, Optimizer, RMSprop, SGD,
};
pub use crate::regularizers::{L1, L1L2, L2, OrthogonalRegularizer, Regularizer};
pub use crate::training::{
    Control, EvaluateOptions, FitOptions, History, Observer, PredictOptions, Results,
};
