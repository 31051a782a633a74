use danlu::cpu::{CpuExecutor, CpuOptions};

use super::*;
use crate::arguments::OperationArguments;
use crate::failure::{Failure, Result};

fn arguments(line: &str) -> OperationArguments {
    let mut arguments = OperationArguments::default();
    let words: Vec<&str> = line.split_whitespace().collect();
    arguments.op = Some(words[0].to_owned());
    for pair in words[1..].chunks(2) {
        let value = Some(pair[1].to_owned());
        match pair[0] {
            "shape" => arguments.shape = value,
            "kernel" => arguments.kernel = value,
            "stride" => arguments.stride = value,
            "dilation" => arguments.dilation = value,
            "padding" => arguments.padding = value,
            "groups" => arguments.groups = pair[1].parse().ok(),
            "axes" => arguments.axes = vec![pair[1].parse().unwrap()],
            other => panic!("{other}"),
        }
    }
    arguments
}

fn parse(line: &str) -> Result<Operation> {
    Operation::parse(&arguments(line))
}

fn executor() -> CpuExecutor {
    let options = CpuOptions {
        threads: Some(1),
        isa: None,
    };
    CpuExecutor::new(options).unwrap()
}

#[test]
fn costs_are_those_of_the_operation_in_every_direction() {
    let mut executor = executor();
    for (line, directions, flops) in [
        (
            "conv2d shape 2x8x8x4 kernel 6x3x3 padding same",
            3,
            2 * 2 * 64 * 6 * 36,
        ),
        (
            "conv2d shape 2x9x9x4 kernel 8x3x3 stride 2 groups 4",
            3,
            2 * 2 * 16 * 8 * 9,
        ),
        (
            "conv2d shape 2x9x9x4 kernel 8x3x3 dilation 2",
            3,
            2 * 2 * 25 * 8 * 36,
        ),
        ("matmul shape 6x50x7", 3, 2 * 6 * 50 * 7),
        ("max_pool2d shape 2x8x8x4 kernel 2", 2, 2 * 16 * 4 * 4),
        (
            "average_pool2d shape 2x8x8x4 kernel 2x2 stride 1",
            2,
            2 * 49 * 4 * 4,
        ),
        ("relu shape 100x10", 1, 1000),
        ("add shape 100x10", 1, 1000),
        ("sum shape 100x10", 1, 1000),
        ("sum shape 100x10 axes 0", 1, 1000),
        ("softmax shape 100x10", 1, 0),
    ] {
        let operation = parse(line).unwrap();
        assert_eq!(operation.directions().len(), directions, "{line}");
        for &direction in operation.directions() {
            let mut prepared = operation.prepare(direction, &mut executor).unwrap();
            prepared.run().unwrap();
            let costs = prepared.costs();
            let gradient_of_pooling = directions == 2 && direction.name != "forward";
            if !gradient_of_pooling {
                assert_eq!(costs.flops, flops, "{line} {}", direction.name);
            }
            let operand: usize = operation.shape.iter().product();
            // The one element that comes out is not counted as a read of the whole.
            let most = 5 * 4 * operand.max(2000) as u64 + 4 * 10_000;
            assert!(costs.bytes > 0 && costs.bytes < most, "{line}: {costs:?}");
        }
    }
}

#[test]
fn every_name_runs() {
    let mut executor = executor();
    for name in names() {
        let line = match name {
            "conv2d" => "conv2d shape 2x5x5x3 kernel 4x3x3".to_owned(),
            "matmul" => "matmul shape 2x3x4".to_owned(),
            "max_pool2d" | "average_pool2d" => format!("{name} shape 2x4x4x3 kernel 2"),
            name => format!("{name} shape 3x5"),
        };
        let operation = parse(&line).unwrap();
        for &direction in operation.directions() {
            operation
                .prepare(direction, &mut executor)
                .unwrap()
                .run()
                .unwrap();
        }
    }
}

#[test]
fn mistakes_are_explained() {
    for (line, expected) in [
        ("conv shape 1x2", "did you mean"),
        ("nothing_like_it shape 1x2", "there are: conv2d, matmul"),
        ("conv2d kernel 64x3x3", "needs --shape: BATCHxHEIGHT"),
        ("conv2d shape 32x28x28x64", "needs --kernel: FILTERSxROWS"),
        ("conv2d shape 32x28x28x64 kernel 3x3", "such as 64x3x3"),
        ("conv2d shape 32x28x28 kernel 64x3x3", "such as 32x28x28x64"),
        (
            "conv2d shape 32x28x28x64 kernel 64x3x3 stride 0",
            "--stride",
        ),
        ("conv2d shape 32x28x28x6 kernel 64x3x3 groups 4", "4 groups"),
        ("conv2d shape 1x2x2x1 kernel 1x3x3", "conv2d"),
        ("matmul shape 3x4", "ROWSxDEPTHxCOLUMNS"),
        ("relu shape 3xx4", "--shape `3xx4`"),
        ("relu shape 3x4 kernel 2", "--op relu has no --kernel"),
        ("max_pool2d shape 1x4x4x1 kernel 2 groups 2", "no --groups"),
        ("sum shape 3x4 axes 2", "there is no axis 2"),
    ] {
        let failure = parse(line).unwrap_err();
        assert!(matches!(failure, Failure::Usage(_)), "{line}: {failure}");
        let text = failure.to_string();
        assert!(text.contains(expected), "{line}: {text}");
    }
}
