//! Operations from the words of the command line.

use danlu::data::suggest;
use danlu::graph::operations::ReduceKind;
use danlu::graph::tensor::element_count;

use super::{
    AVERAGE_POOLING, CONVOLUTION, Kind, LOG_SOFTMAX, MAX_POOLING, Operation, PRODUCT, SOFTMAX,
    binary, names, unary,
};
use crate::arguments::OperationArguments;
use crate::bench::optimizer::OPTIMIZER;
use crate::bench::shapes::{exactly, pair, sizes};
use crate::failure::{Failure, Result};

impl Operation {
    /// What the command line says.
    ///
    /// # Errors
    /// There is no such operation, an option is missing or not its own, or sizes are none.
    pub fn parse(arguments: &OperationArguments) -> Result<Operation> {
        let name = arguments.op.as_deref().unwrap_or_default();
        let image = "BATCHxHEIGHTxWIDTHxCHANNELS, such as 32x28x28x64";
        let example = match name {
            CONVOLUTION | MAX_POOLING | AVERAGE_POOLING => image,
            PRODUCT => {
                "ROWSxDEPTHxCOLUMNS, such as 64x5408x128, for (rows, depth) times (depth, columns)"
            }
            _ => "the sizes of all axes, such as 64x1024",
        };
        let kind = || -> Result<Kind> {
            let strides = |otherwise: [usize; 2]| match &arguments.stride {
                Some(text) => pair("--stride", text),
                None => Ok(otherwise),
            };
            let same = arguments.padding.as_deref() == Some("same");
            let window = |example: &str| {
                arguments
                    .kernel
                    .as_deref()
                    .ok_or_else(|| Failure::Usage(format!("--op {name} needs --kernel: {example}")))
            };
            Ok(match name {
                CONVOLUTION => {
                    let example = "FILTERSxROWSxCOLUMNS, such as 64x3x3";
                    let [filters, rows, columns] = exactly("--kernel", window(example)?, example)?;
                    Kind::Convolution {
                        filters,
                        window: [rows, columns],
                        strides: strides([1; 2])?,
                        dilations: match &arguments.dilation {
                            Some(text) => pair("--dilation", text)?,
                            None => [1; 2],
                        },
                        same,
                        groups: arguments.groups.unwrap_or(1),
                    }
                }
                MAX_POOLING | AVERAGE_POOLING => {
                    let window = pair("--kernel", window("ROWSxCOLUMNS, such as 2x2")?)?;
                    Kind::Pooling {
                        max: name == MAX_POOLING,
                        window,
                        strides: strides(window)?,
                        same,
                    }
                }
                PRODUCT => Kind::Product { columns: 0 },
                SOFTMAX => Kind::Softmax,
                LOG_SOFTMAX => Kind::LogSoftmax,
                name => {
                    let reduce = ReduceKind::ALL.iter().find(|kind| kind.name() == name);
                    let unary = unary().find(|kind| kind.name() == name).map(Kind::Unary);
                    let binary = binary().find(|kind| kind.name() == name).map(Kind::Binary);
                    match reduce {
                        Some(&kind) => Kind::Reduce(kind, arguments.axes.clone()),
                        None => unary.or(binary).ok_or_else(|| {
                            let known: Vec<&str> = names().into_iter().chain([OPTIMIZER]).collect();
                            let hint = suggest::hint(name, known);
                            Failure::Usage(format!("--op: there is no operation `{name}`{hint}"))
                        })?,
                    }
                }
            })
        };
        let mut kind = kind()?;
        check_options(name, &kind, arguments)?;
        let text = arguments
            .shape
            .as_deref()
            .ok_or_else(|| Failure::Usage(format!("--op {name} needs --shape: {example}")))?;
        let shape = match &mut kind {
            Kind::Product { columns } => {
                let [rows, depth, last] = exactly("--shape", text, example)?;
                *columns = last;
                vec![rows, depth]
            }
            Kind::Convolution { .. } | Kind::Pooling { .. } => {
                exactly::<4>("--shape", text, example)?.to_vec()
            }
            _ => sizes("--shape", text, example)?,
        };
        if let Kind::Reduce(_, axes) = &mut kind {
            match axes.iter().find(|&&axis| axis >= shape.len()) {
                Some(axis) => {
                    return Err(Failure::Usage(format!(
                        "--axes: there is no axis {axis}; --shape {text} has the axes 0 to {}",
                        shape.len() - 1
                    )));
                }
                None if axes.is_empty() => *axes = (0..shape.len()).collect(),
                None => {
                    axes.sort_unstable();
                    axes.dedup();
                }
            }
        }
        let operation = Operation { kind, shape };
        // What does not fit is found before anything is measured.
        let built = operation.build().map(|_| ());
        built
            .and_then(|()| element_count(&operation.shape).map(|_| ()))
            .map_err(|error| Failure::Usage(format!("--op {name}: {error}")))?;
        Ok(operation)
    }
}

/// An option that an operation does not have is a mistake.
fn check_options(name: &str, kind: &Kind, arguments: &OperationArguments) -> Result<()> {
    let convolution = matches!(kind, Kind::Convolution { .. });
    let windows = convolution || matches!(kind, Kind::Pooling { .. });
    let takes = |option: &str| match option {
        "--kernel" | "--stride" | "--padding" => windows,
        "--dilation" | "--groups" => convolution,
        "--axes" => matches!(kind, Kind::Reduce(..)),
        _ => false,
    };
    let optimizer = [("--optimizer", arguments.optimizer.is_some())];
    let mut given = arguments.given().into_iter().chain(optimizer);
    match given.find(|&(option, given)| given && !takes(option)) {
        Some((option, _)) => Err(Failure::Usage(format!("--op {name} has no {option}"))),
        None => Ok(()),
    }
}
