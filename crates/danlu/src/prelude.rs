//! What a program usually needs: `use danlu::prelude::*;`.

pub use danlu_data::{ArrayDataset, Batch, BatchSource, Dataset, IteratorSource, Subset};
pub use danlu_graph::{DType, Tensor};

pub use crate::activations::Activation;
pub use crate::callbacks::{Callback, EarlyStopping};
pub use crate::constraints::{Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm};
pub use crate::initializers::Initializer;
pub use crate::layers::{
    ActivationLayer, ActivityRegularization, Add, AlphaDropout, Average, AveragePooling1D,
    AveragePooling2D, AveragePooling3D, BatchNormalization, Concatenate, Conv1D, Conv1DTranspose,
    Conv2D, Conv2DTranspose, Conv3D, Cropping1D, Cropping2D, Cropping3D, Dense, DepthwiseConv1D,
    DepthwiseConv2D, Dot, Dropout, ELU, Embedding, Flatten, GaussianDropout, GaussianNoise,
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D,
    GlobalMaxPooling2D, GlobalMaxPooling3D, GroupNormalization, Identity, Input, Layer,
    LayerNormalization, LayerSpec, LeakyReLU, MaxPooling1D, MaxPooling2D, MaxPooling3D, Maximum,
    Minimum, Multiply, Normalization, PReLU, Padding, Permute, RMSNormalization, ReLU,
    RepeatVector, Rescaling, Reshape, SeparableConv1D, SeparableConv2D, Softmax, SpatialDropout1D,
    SpatialDropout2D, SpatialDropout3D, Subtract, UnitNormalization, UpSampling1D, UpSampling2D,
    UpSampling3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
};
pub use crate::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
    SparseCategoricalCrossentropy,
};
pub use crate::metrics::{
    AUC, BinaryAccuracy, CategoricalAccuracy, F1Score, MeanIoU, Metric, Precision, Recall,
    SparseCategoricalAccuracy,
};
pub use crate::model::{IntoSymbols, LoadOptions, Model, Sequential, SharedLayer, Symbol};
pub use crate::optimizers::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Clipping, Ftrl, LBFGS, Lamb, LearningRate,
    Lion, Muon, Nadam, Optimizer, RMSprop, SGD, ScheduleFreeAdamW, SparseAdam,
};
pub use crate::regularizers::{L1, L1L2, L2, OrthogonalRegularizer, Regularizer};
pub use crate::training::{
    Control, EvaluateOptions, FitOptions, History, Objective, PredictOptions, Results,
};
