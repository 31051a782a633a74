//! What depends on constants only is computed once.

use super::{Rewrite, push, rebuild};
use crate::operations::Operation;
use crate::reference::Array;
use crate::tensor::element_count;
use crate::{Bindings, DType, Program, Result};

/// Constants above this many elements are not made by folding: they would cost memory for little work saved.
const LARGEST: usize = 4096;

/// 64-bit integers up to here have sums and products that the reference's `f64` either holds exactly or shows to be
/// larger than this.
const EXACT: f64 = 2_147_483_648.0;

/// Evaluates small nodes whose inputs are all constants. A node that takes or gives large 64-bit integers, which the
/// reference would round, is left to the device.
pub struct FoldConstants;

impl Rewrite for FoldConstants {
    fn name(&self) -> &'static str {
        "fold-constants"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let mut folded = 0;
        rebuild(program, |nodes, mut node| {
            let shape = node.value_type.shape.as_fixed();
            let small =
                shape.filter(|shape| element_count(shape).is_ok_and(|count| count <= LARGEST));
            // Repeating a constant is free where it is read, so a broadcast is left as it is.
            let leaf = node.inputs.is_empty()
                || matches!(
                    node.operation,
                    Operation::BroadcastTo(_) | Operation::Custom(_)
                );
            if let Some(shape) = small.filter(|_| !leaf) {
                let constants: Option<Vec<Array>> = node
                    .inputs
                    .iter()
                    .map(|&input| match &nodes[input].operation {
                        Operation::Constant(constant) => {
                            let array = Array::from_tensor(&constant.tensor);
                            is_exact(array.dtype, &array.data).then_some(array)
                        }
                        _ => None,
                    })
                    .collect();
                if let Some(constants) = constants {
                    let arguments: Vec<&Array> = constants.iter().collect();
                    let dtype = node.value_type.dtype;
                    // What fails (an index outside a table) fails when it runs, if it ever does.
                    if let Ok(data) = node
                        .operation
                        .evaluate(&arguments, &shape, &Bindings::new())
                        && is_exact(dtype, &data)
                    {
                        let array = Array::new(shape, dtype, data);
                        node.operation = Operation::constant(array.to_tensor()?);
                        node.inputs.clear();
                        folded += 1;
                    }
                }
            }
            push(nodes, node)
        })?;
        Ok(folded)
    }
}

/// Whether none of these elements can have been rounded by being `f64`.
fn is_exact(dtype: DType, data: &[f64]) -> bool {
    dtype != DType::I64 || data.iter().all(|x| x.abs() <= EXACT)
}
