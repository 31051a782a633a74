//! What a program usually needs: `use danlu::prelude::*;`.

pub use danlu_data::{ArrayDataset, Batch, BatchSource, Dataset, IteratorSource, Subset};
pub use danlu_graph::{DType, Tensor};

pub use crate::activations::Activation;
pub use crate::initializers::Initializer;
pub use crate::layers::{
    ActivationLayer, AveragePooling2D, Conv2D, Dense, Dropout, Flatten, Input, Layer, LayerSpec,
    MaxPooling2D, Padding, Rescaling, Reshape,
};
pub use crate::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
    SparseCategoricalCrossentropy,
};
pub use crate::metrics::{
    AUC, BinaryAccuracy, CategoricalAccuracy, F1Score, MeanIoU, Metric, Precision, Recall,
    SparseCategoricalAccuracy,
};
pub use crate::model::{LoadOptions, Model, Sequential};
pub use crate::optimizers::{Adam, Clipping, SGD};
pub use crate::training::{
    Control, EarlyStopping, EvaluateOptions, FitOptions, History, Observer, PredictOptions, Results,
};
