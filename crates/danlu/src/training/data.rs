//! What fit, evaluate and predict take as data.

use std::sync::Arc;

use danlu_data::{ArrayDataset, BatchSource, Batches, Dataset, IteratorSource, Subset};
use danlu_graph::Tensor;

use crate::Result;

/// Examples: of a dataset, which can be shuffled and split, or of a source that gives batches in its own order.
pub enum Data<'a> {
    /// A dataset in which every example can be had by its number.
    Indexed(Arc<dyn Dataset>),
    /// A source of batches.
    Stream(&'a mut dyn BatchSource),
}

/// What fit, evaluate and predict take as data: `(x, y)` tensors, a dataset, or a source of batches.
///
/// Tensors given by reference are copied; given by value or in an [`Arc`], they are not.
pub trait IntoData<'a> {
    /// The data.
    ///
    /// # Errors
    /// The arrays do not fit together.
    fn into_data(self) -> Result<Data<'a>>;
}

impl<'a> IntoData<'a> for Data<'a> {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(self)
    }
}

impl<'a> IntoData<'a> for Arc<dyn Dataset> {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(Data::Indexed(self))
    }
}

impl<'a> IntoData<'a> for &Arc<dyn Dataset> {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(Data::Indexed(self.clone()))
    }
}

macro_rules! datasets {
    ($($dataset:ty),*) => {
        $(
            impl<'a> IntoData<'a> for $dataset {
                fn into_data(self) -> Result<Data<'a>> {
                    Ok(Data::Indexed(Arc::new(self)))
                }
            }

            impl<'a> IntoData<'a> for &$dataset {
                fn into_data(self) -> Result<Data<'a>> {
                    Ok(Data::Indexed(Arc::new(self.clone())))
                }
            }

            impl<'a> IntoData<'a> for Arc<$dataset> {
                fn into_data(self) -> Result<Data<'a>> {
                    Ok(Data::Indexed(self))
                }
            }
        )*
    };
}

datasets!(ArrayDataset, Subset);

impl<'a> IntoData<'a> for &'a mut dyn BatchSource {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(Data::Stream(self))
    }
}

impl<'a> IntoData<'a> for &'a mut IteratorSource {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(Data::Stream(self))
    }
}

impl<'a> IntoData<'a> for &'a mut Batches {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(Data::Stream(self))
    }
}

macro_rules! tensors {
    ($($tensor:ty => $share:expr;)*) => {
        $(
            impl<'a> IntoData<'a> for ($tensor, $tensor) {
                fn into_data(self) -> Result<Data<'a>> {
                    let share: fn($tensor) -> Arc<Tensor> = $share;
                    let dataset = ArrayDataset::new(share(self.0), share(self.1))?;
                    Ok(Data::Indexed(Arc::new(dataset)))
                }
            }

            /// Inputs alone, for `predict`.
            impl<'a> IntoData<'a> for $tensor {
                fn into_data(self) -> Result<Data<'a>> {
                    let share: fn($tensor) -> Arc<Tensor> = $share;
                    let features = vec![("x".to_owned(), share(self))];
                    let dataset = ArrayDataset::from_named("the data", features, Vec::new())?;
                    Ok(Data::Indexed(Arc::new(dataset)))
                }
            }
        )*
    };
}

tensors! {
    Tensor => Arc::new;
    &Tensor => |tensor| Arc::new(tensor.clone());
    Arc<Tensor> => |tensor| tensor;
}
